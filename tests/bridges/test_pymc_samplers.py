"""`pm.sample(nuts_sampler=…)` on a Keras model: the samplers that PyMC borrows."""

import importlib.metadata
import os
import subprocess
import sys

import keras
import pytest

pytest.importorskip("pymc", reason="no PyMC", exc_type=ModuleNotFoundError)

# A process of its own: these set JAX's x64 mode, in the whole process.
SCRIPT = """
import sys
import keras_priors as kp
import pymc as pm
from tests.bridges._nets import NOISE, X, Y, assert_exact, line

model = line()
options = {
    "nutpie": {"backend": "jax", "gradient_backend": "jax"},
    "numpyro": {},
    # Without it PyMC puts each chain on a device of its own.
    "blackjax": {"chain_method": "vectorized"},
}[sys.argv[1]]
with kp.bridges.pymc.to_pymc(model, X, Y, NOISE):
    idata = pm.sample(
        1000, tune=500, chains=2, cores=1, random_seed=1, progressbar=False, quiet=True,
        nuts_sampler=sys.argv[1], nuts_sampler_kwargs=options,
    )
posterior = kp.bridges.pymc.from_pymc(model, idata, X, Y, NOISE)
assert_exact(posterior.draws()["line/kernel"][:, :, 0], 1000)
"""


def version(name):
    try:
        return tuple(map(int, importlib.metadata.version(name).split(".")[:2]))
    except importlib.metadata.PackageNotFoundError:
        return None


@pytest.mark.slow
@pytest.mark.closed_form
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="PyMC compiles these by JAX")
@pytest.mark.parametrize("sampler", ["numpyro", "blackjax", "nutpie"])
def test_a_borrowed_sampler_finds_the_line(sampler, project_root):
    found = version(sampler)
    if found is None:
        pytest.skip(f"no {sampler}")
    if sampler == "blackjax" and found >= (1, 6) and version("pymc") < (6, 0):
        pytest.skip("PyMC 5.28 hands it an argument that it knew until 1.5")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, sampler],
        cwd=project_root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(project_root), *sys.path])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
