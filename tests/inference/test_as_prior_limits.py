"""What `as_prior` refuses, what it warns of, and how many draws it takes."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import inference
from keras_priors.inference.arviz import mixing_of
from keras_priors.priors import FullBlock

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


def test_positive_draws_that_underflow_are_named():
    model = make()
    model.layers[0].bias.assign([1.0])
    kp.set_priors(model, {"bias": kp.HalfNormalPrior(1.0)})
    values = np.abs(normals(1, 100))
    values[0, :7, 2] = 1e-60  # 0 in float32
    with pytest.raises(ValueError, match=r"Received: 7 of 100 draws of line/bias that are 0"):
        sampled(values, model).as_prior("diagonal")


def test_collinear_draws_have_no_precision():
    values = normals(1, 100)
    values[..., 1] = 3.0 * values[..., 0] - 1.0
    posterior = sampled(values)
    with pytest.raises(ValueError, match=r"Received: 3 elements .*eigenvalue .*below 1e-10"):
        posterior.as_prior()
    np.testing.assert_allclose(posterior.as_prior("diagonal").stddev()["line/bias"], 1, atol=0.2)
    values[..., 1] += 1e-3 * normals(2, 100)[1, :, 0]  # close, yet enough
    np.testing.assert_allclose(
        np.linalg.inv(sampled(values).as_prior().precision()), np.cov(values[0].T), rtol=1e-3
    )


def test_a_covariance_that_is_none_is_refused():
    normal = (("line/kernel",), ((2, 1),), np.zeros(2), (False,))
    with pytest.raises(ValueError, match=r"positive definite\. Received: one over \['line/kernel"):
        FullBlock.from_covariance(*normal, np.ones((2, 2)) - np.eye(2))


def autocorrelated(draws):
    """AR(1) chains of correlation 0.95: the effective draws are about a 39th of all."""
    noise = np.random.default_rng(3).normal(size=(2, draws, 3))
    for t in range(1, draws):
        noise[:, t] = 0.95 * noise[:, t - 1] + (1 - 0.95**2) ** 0.5 * noise[:, t]
    return noise


def test_draws_of_chains_count_by_their_effective_size():
    posterior = sampled(autocorrelated(150))  # about 8 effective of 300
    with pytest.warns(UserWarning, match=r"Received: an effective sample size of \d+ of 300 draws"):
        posterior.as_prior("diagonal")
    posterior = sampled(autocorrelated(300))  # of 60 draws that are independent none would be said
    ess = mixing_of(np.concatenate([v.reshape(2, 300, -1) for v in posterior._stored], 2))
    assert ess["ess_bulk"] < 30
    with pytest.warns(UserWarning) as said:
        posterior.as_prior()
    messages = [str(w.message) for w in said]
    assert any("precision of draws" in m and f"{ess['ess_bulk']:.0f} " in m for m in messages)
    sampled(normals(2, 300)).as_prior()


def test_paths_that_name_one_weight_are_refused():
    prior = kp.JointNormalPrior(
        {"line/kernel": [[0.0], [0.0]], "kernel": [[0.0], [0.0]]}, np.eye(4)
    )
    with pytest.raises(ValueError, match="Received: line/kernel and kernel, both of line/kernel"):
        kp.set_priors(make(), prior)


def test_a_matrix_of_draws_must_fit_too(monkeypatch):
    monkeypatch.setattr("keras_priors.inference.as_prior._MOST_BYTES", 359)
    posterior = sampled(normals(2, 300))
    with pytest.raises(ValueError, match=r"Received: 3 elements .* take 360 bytes"):
        posterior.as_prior()
    assert posterior.as_prior("low_rank", rank=1).structure == "low_rank"
