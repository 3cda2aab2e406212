"""A process of its own in which JAX has several devices, for what needs them from the start."""

import json
import os
import subprocess
import sys


def found_on_devices(script, root, folder, number=4):
    """What `script` writes as JSON to the path that it is given, with so many devices of a CPU."""
    path = folder / "found.json"
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": str(root),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={number}",
    }
    run = subprocess.run(
        [sys.executable, str(script), str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(path.read_text())
