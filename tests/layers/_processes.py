"""Two processes that train together over localhost, and the one that they are held to."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import pytest

HERE = pathlib.Path(__file__).parent


def run_processes(backend, folder, root, of_one=None):
    """What each wrote, by rank: "0", "1" and "one".

    Args:
        backend: the script is `_<backend>_processes.py`, of `rank port folder`.
        folder: where they write.
        root: of the project.
        of_one: environment variables of "one" alone, or None.
    """
    if keras.config.backend() != backend:
        pytest.skip(backend)
    script = str(HERE / f"_{backend}_processes.py")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(root),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    port = str(_free_port())
    processes = {
        rank: subprocess.Popen(
            [sys.executable, script, rank, port, str(folder)],
            env=environment | ((of_one or {}) if rank == "one" else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1", "one")
    }
    try:
        said = {rank: process.communicate(timeout=300)[1] for rank, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    for rank, process in processes.items():
        assert process.returncode == 0, (rank, said[rank][-3000:])
    return {rank: json.loads((folder / f"{rank}.json").read_text()) for rank in processes}


def _free_port():
    """One that is free, and the next too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("localhost", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("localhost", port + 1))
            except OSError:
                continue
            return port
