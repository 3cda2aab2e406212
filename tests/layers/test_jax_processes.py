"""Two JAX processes that train one model end where one process does."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).parent / "_jax_processes.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    if keras.config.backend() != "jax":
        pytest.skip("JAX")
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(project_root),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    two = "--xla_force_host_platform_device_count=2"
    processes = {
        rank: subprocess.Popen(
            [sys.executable, str(SCRIPT), rank, str(port), str(folder)],
            env={**environment, "XLA_FLAGS": two} if rank == "one" else environment,
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


def flat(value):
    """All numbers, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in flat(part)]
    return [value]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    ["delta", "penalized", "mean_field", "local", "flipout", "accumulated", "monitor", "annealing",
     "ivon", "swag", "collect", "predicted", "saved", "unset", "mode"],
)  # fmt: skip
def test_two_processes_end_where_one_does(found, case):
    """Losses, KLs and weights; the noise of a step is that of the whole batch, cut in two."""
    one, *both = (flat(found[rank][case]) for rank in ("one", "0", "1"))
    assert both[0] == both[1]
    assert len(one) == len(both[0]) > 0 and np.all(np.isfinite(one))
    np.testing.assert_allclose(both[0], one, rtol=2e-5, atol=1e-5)


@pytest.mark.slow
def test_the_pattern_of_a_kernel_cuts_its_posterior_and_slots(found):
    one, cut = found["one"]["mean_field"], found["one"]["parallel"]
    np.testing.assert_allclose(flat(cut["losses"]), flat(one["losses"]), rtol=1e-5)
    np.testing.assert_allclose(flat(cut["weights"]), flat(one["weights"]), rtol=1e-5, atol=1e-6)
    kernels = {path: shape for path, shape in cut["local"].items() if "kernel" in path}
    assert len(kernels) == 2, cut["local"]
    assert all(shape == [3, 1] for shape in kernels.values()), cut["local"]
    assert cut["slots"] == [[3, 1]] * 4
