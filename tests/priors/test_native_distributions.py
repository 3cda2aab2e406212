"""The one line that gives the library's distributions, in a fresh process."""

import os
import subprocess
import sys

import keras
import numpy as np
from scipy import stats

import keras_priors as kp

CODE = """
import keras, keras_priors as kp
tfd = kp.native_distributions()
prior = kp.DistributionPrior(tfd.Normal(1.0, 2.0))
print(float(prior.log_prob([0.0])))
if keras.backend.backend() == "jax":
    import tensorflow_probability.substrates.jax as tfp
    assert tfp.distributions is tfd
"""


def test_it_works_first_thing_and_so_does_the_library_after_it(project_root):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
        cwd=project_root,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(float(run.stdout), stats.norm.logpdf(0.0, 1.0, 2.0), rtol=1e-6)


def test_its_distributions_are_those_that_the_prior_takes():
    tfd = kp.native_distributions()
    prior = kp.DistributionPrior(tfd.Gumbel(0.5, 2.0))
    w = np.array([-1.0, 0.0, 3.0], "float32")
    wanted = stats.gumbel_r.logpdf(w, 0.5, 2.0).sum()
    np.testing.assert_allclose(float(prior.log_prob(w)), wanted, rtol=1e-5)
