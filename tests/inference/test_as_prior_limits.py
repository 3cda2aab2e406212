"""What `as_prior` refuses, what it warns of, and how many draws it takes."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import inference

LIKELIHOOD = kp.likelihoods.Normal(0.5)
X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = X[:, :1] - X[:, 1:]
PATHS = ("line/kernel", "line/bias")
COVARIANCE = [[1.0, 0.999, 0.0], [0.999, 1.0, 0.0], [0.0, 0.0, 1e-4]]


def make():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="line")])
    kp.set_priors(model, kp.NormalPrior(0, 1))
    return model


def sampled(values, model=None, **kwargs):
    """Draws (chains, draws, 3) of kernel and bias."""
    parts = [values[..., :2, None], values[..., 2:]]
    parts = [part.astype("float32") for part in parts]
    return inference.SamplePosterior(model or make(), LIKELIHOOD, parts, **kwargs)


def normals(*shape):
    return np.random.default_rng(1).normal(size=(*shape, 3))


def test_members_of_an_ensemble_are_modes_and_no_draws(tmp_path):
    ensemble = inference.DeepEnsemble(2, epochs=1).fit(make(), X, Y, LIKELIHOOD, seed=0, verbose=0)
    with pytest.raises(ValueError, match=r"modes.*Received: a SamplePosterior of 2 members"):
        ensemble.as_prior("diagonal")
    of_modes = sampled(normals(1, 100), modes=True)
    of_modes.save(tmp_path / "a.posterior")
    for posterior in (of_modes, inference.Posterior.load(tmp_path / "a.posterior")):
        with pytest.raises(ValueError, match="of 100 members"):
            posterior.as_prior("diagonal")
    sampled(normals(1, 100)).save(tmp_path / "a.posterior")
    assert inference.Posterior.load(tmp_path / "a.posterior").as_prior("diagonal").paths == PATHS


def test_members_begin_at_draws_of_a_joint_prior():
    model = make()
    mean = {"line/kernel": [[5.0], [5.0]], "line/bias": [-3.0]}
    kp.set_priors(model, kp.JointNormalPrior(mean, COVARIANCE))
    method = inference.DeepEnsemble(8, epochs=1, optimizer=keras.optimizers.SGD(0.0), start="prior")
    found = method.fit(model, X, Y, LIKELIHOOD, seed=0, verbose=0).draws()
    first, second = found["line/kernel"][:, 0, 0], found["line/kernel"][:, 1, 0]
    np.testing.assert_allclose(found["line/bias"], -3.0, atol=0.05)
    assert np.ptp(first) > 0.5  # a standard deviation of 1
    np.testing.assert_allclose(first, second, atol=0.2)  # correlated: sd of the difference 0.045


def low_rank_layers():
    return inference.LayersPosterior(
        kp.to_variational(make(), posterior="low_rank", num_data=8), LIKELIHOOD
    )


def test_draws_are_as_many_as_asked_for_and_repeatable():
    posterior = low_rank_layers()
    one, same, other = (posterior.as_prior(num_samples=60, seed=s).mean() for s in (0, 0, 1))
    np.testing.assert_array_equal(one["line/kernel"], same["line/kernel"])
    assert np.any(one["line/kernel"] != other["line/kernel"])
    expected = posterior.draws(60, seed=0)["line/kernel"].mean(axis=0)
    np.testing.assert_allclose(one["line/kernel"], expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"at least 30.*of 20\. Take num_samples=30 or more"):
        posterior.as_prior(num_samples=20)


def test_draws_that_are_stored_are_taken_in_part():
    posterior = sampled(normals(2, 100))
    taken = posterior.draws(50)["line/kernel"].mean(axis=0)
    found = posterior.as_prior("diagonal", num_samples=50).mean()["line/kernel"]
    np.testing.assert_allclose(found, taken, rtol=1e-5)
    with pytest.raises(ValueError, match="at most the number of stored draws"):
        posterior.as_prior(num_samples=201)


def variational(size):
    model = keras.Sequential(
        [keras.Input((size,)), keras.layers.Dense(1, use_bias=False, name="line")]
    )
    kp.set_priors(model, kp.NormalPrior(0, 1))
    rng = np.random.default_rng(0)
    parameters = {"loc": rng.normal(size=size), "rho": rng.normal(size=size)}
    family = kp.posteriors.MeanFieldNormal()
    return inference.VariationalPosterior(model, LIKELIHOOD, family, parameters)


def test_independent_weights_stay_so_and_what_is_too_large_is_refused():
    posterior = variational(40_000)  # its covariance has 12 GiB
    prior = posterior.as_prior("low_rank")
    for name in ("mean", "stddev"):
        found, expected = getattr(prior, name)(), getattr(posterior, name)()
        np.testing.assert_allclose(found["line/kernel"], expected["line/kernel"], rtol=1e-5)
    with pytest.raises(ValueError, match=r"4294967296 bytes.*Received: 40000 elements"):
        posterior.as_prior("full")
    many = np.zeros((1, 40, 40_000, 1), "float32")
    stored = inference.SamplePosterior(posterior.model, LIKELIHOOD, [many])
    with pytest.raises(ValueError, match="more than the weights"):
        stored.as_prior("full")
    full = variational(3).as_prior("full")
    assert full.structure == "full"
    sd = np.ravel(variational(3).stddev()["line/kernel"])
    np.testing.assert_allclose(full.precision(), np.diag(sd**-2.0), rtol=1e-5, atol=1e-9)
