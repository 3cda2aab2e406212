"""Going on from an earlier posterior: of the same data, likelihood, priors and settings alone."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference._chains import SHORT_CHAINS

X = np.linspace(-1.0, 1.0, 12, dtype="float32")[:, None]
ONE = {"thinning": 2, "num_chains": 1}
METHODS = {
    "SGLD": kp.inference.SGLD(1e-3, batch_size=4, num_burnin=4, num_samples=3, **ONE),
    "SGHMC": kp.inference.SGHMC(1e-4, batch_size=4, num_burnin=4, num_samples=3, **ONE),
    "MeanField": kp.inference.MeanField(5),
    "LowRank": kp.inference.LowRank(1, 5),
    "FullRank": kp.inference.FullRank(5),
    "NUTS": kp.inference.NUTS(2, 100, 20),
    "HMC": kp.inference.HMC(2, 100, 20),
}


def line(prior=None):
    dense = keras.layers.Dense(
        1, use_bias=False, kernel_regularizer=prior or kp.NormalPrior(0, 1), name="line"
    )
    return keras.Sequential([keras.Input((1,)), dense])


def fit(name, y=2 * X, x=X, likelihood=None, prior=None, **more):
    likelihood = likelihood or kp.likelihoods.Normal(0.5)
    return METHODS[name].fit(line(prior), x, y, likelihood, seed=0, verbose=0, **more)


# What those that are slow do is what others of their family do here.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("HMC", "FullRank")))
        for name in METHODS
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # few draws
def test_what_differs_is_named(name, tmp_path, backend):
    if backend == "torch" and name in ("NUTS", "HMC"):
        pytest.skip("its kernels are not on PyTorch")
    earlier = fit(name)
    earlier.save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior")
    for resume in (earlier, loaded):
        for change, words in (
            ({"y": -2 * X}, "with other targets"),
            ({"x": 2 * X}, "with other inputs"),
            ({"sample_weight": np.full(12, 0.5)}, "another sample_weight"),
            ({"likelihood": kp.likelihoods.Normal(0.1)}, "another likelihood"),
            ({"prior": kp.NormalPrior(0, 2)}, "other priors"),
        ):
            with pytest.raises(ValueError, match=words):
                fit(name, **change, resume=resume)
    # `num_data` has no part in a posterior, nor have names.
    fit(name, prior=kp.NormalPrior(0, 1, num_data=7), resume=loaded)


@SHORT_CHAINS
def test_settings_of_a_chain_are_named_too():
    earlier = fit("SGLD")
    other = kp.inference.SGLD(2e-3, batch_size=4, num_burnin=4, num_samples=3, **ONE)
    with pytest.raises(ValueError, match=r"learning_rate=0\.001 there and 0.002 here"):
        other.fit(line(), X, 2 * X, kp.likelihoods.Normal(0.5), verbose=0, resume=earlier)


@SHORT_CHAINS
def test_a_file_that_does_not_say_is_taken_with_a_warning():
    earlier = fit("SGLD")
    earlier.fingerprint = None
    with pytest.warns(UserWarning, match="does not say what it was made with"):
        fit("SGLD", resume=earlier)
