"""Every method crossed with what each promises of its posterior."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests._arviz import groups_of
from tests.inference import test_failures
from tests.inference.test_failures import LIKELIHOOD, ON_TWO, model_for, x_and_y

X, Y = x_and_y()
METHODS = {
    **test_failures.METHODS,
    "NUTS": kp.inference.NUTS(num_chains=2, num_warmup=100, num_samples=50),
    "HMC": kp.inference.HMC(num_chains=2, num_warmup=100, num_samples=50),
}
ALWAYS_THE_SAME = {"MAP", "VariationalLayers"}
"""Their fit has nothing random."""


def number_of(posterior):
    """Two draws, or the only one that there is."""
    return min(2, posterior.default_num_samples)


@pytest.fixture(scope="module", params=list(METHODS))
def fitted(request):
    """(name, model, weights before, three posteriors: of seed 0, of seed 0 again, of seed 1)."""
    name = request.param
    if name in ON_TWO and keras.backend.backend() == "torch":
        pytest.skip("tested to be refused")
    keras.utils.set_random_seed(0)
    model = model_for(name)
    before = [keras.ops.convert_to_numpy(v) + 0.0 for v in model.weights]
    with warnings.catch_warnings():
        # So few draws and steps are not enough, which each method's own tests hold it to say.
        warnings.simplefilter("ignore", UserWarning)
        found = [METHODS[name].fit(model, X, Y, LIKELIHOOD, seed=s, verbose=0) for s in (0, 0, 1)]
    return name, model, before, found


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws(fitted):
    name, _, _, (one, again, other) = fitted
    number = number_of(one)
    draws = [p.draws(number, seed=5)["line/kernel"] for p in (one, again, other)]
    assert draws[0].shape == (number, 3, 1)
    np.testing.assert_array_equal(draws[0], draws[1])
    if name not in {*ALWAYS_THE_SAME, "Laplace", "last-layer Laplace", "MCDropout"}:
        assert np.max(np.abs(draws[0] - draws[2])) > 0
    if number == 2:
        assert np.max(np.abs(draws[0][0] - draws[0][1])) > 0


@pytest.mark.slow
def test_the_model_stays_as_it_was(fitted):
    _, model, before, _ = fitted
    for v, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(v), value)


@pytest.mark.slow
def test_one_object_answers_for_all(fitted):
    _, _, _, (posterior, *_) = fitted
    assert isinstance(posterior, kp.inference.Posterior)
    number = number_of(posterior)
    assert set(posterior.draws(number, seed=0)) == set(posterior.mean()) == set(posterior.stddev())
    predictive = posterior.predict(X, seed=0, verbose=0)
    assert isinstance(predictive, kp.Predictive)
    assert predictive.mean.shape == predictive.epistemic.shape == (6, 1)
    densities = posterior.log_likelihood(X, Y, number)
    assert densities.shape[:2] == (number, 6) and np.all(np.isfinite(densities))
    row = kp.compare({"it": posterior}, X, Y)["it"]
    assert np.isfinite(row["nll"]) and row["fit_s"] >= 0


@pytest.mark.slow
def test_it_goes_to_arviz_and_to_a_table(fitted):
    _, _, _, (posterior, *_) = fitted
    data = posterior.to_arviz(num_prior_samples=3)
    assert {"posterior", "log_likelihood", "observed_data", "prior"} <= set(groups_of(data))
    assert data.posterior["line.kernel"].shape[2:] == (3, 1)
    assert len(posterior.summary()) == 3


@pytest.mark.slow
def test_a_file_and_a_plain_model_say_the_same(fitted, tmp_path):
    _, _, _, (posterior, *_) = fitted
    posterior.save(tmp_path / "it.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "it.posterior")
    assert type(loaded) is type(posterior)
    np.testing.assert_array_equal(
        *(p.draws(number_of(p), seed=3)["line/kernel"] for p in (loaded, posterior))
    )
    plain = posterior.to_model()
    kernel = posterior.mean()["line/kernel"]
    np.testing.assert_allclose(plain.predict(X, verbose=0), X @ kernel, rtol=1e-5, atol=1e-6)
    assert "keras_priors" not in str(plain.get_config())
