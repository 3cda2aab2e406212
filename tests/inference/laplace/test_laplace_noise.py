"""Laplace of models that end in `NoiseScale`: the last layer and the noise behind it."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference import Laplace, LogPosterior
from tests.inference.laplace.test_laplace import covariance_of

COUNT, SCALE = 30, 2.0
RNG = np.random.default_rng(7)
X = RNG.normal(size=(COUNT, 2)).astype("float32")
AUGMENTED = np.c_[X, np.ones(COUNT)].astype("float64")
W = np.array([[0.8, -0.5, 0.3], [-0.2, 0.4, 0.6]])
Y = (AUGMENTED @ W.T + [0.4, 0.9] * RNG.normal(size=(COUNT, 2))).astype("float32")
WEIGHT = RNG.uniform(0.5, 2.0, size=COUNT).astype("float32")
LIKELIHOOD = kp.likelihoods.HeteroscedasticNormal()
HERE = {"max_iterations": 0, "tolerance": 1e6}


def line(outputs, per_output=False, scale=0.6, tail=(), trained=True):
    """A linear model at fixed weights, with its noise."""
    noise = kp.layers.NoiseScale(kp.HalfCauchyPrior(2.5), scale, per_output, name="noise")
    noise.trainable = trained
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(outputs, name="line"),
            *tail,
            noise,
        ]
    )
    kp.set_priors(model, {"line/*": kp.NormalPrior(0, SCALE)})
    model.layers[0].set_weights([W[:outputs, :2].T, W[:outputs, 2]])
    return model


def prior_curvature(scale):
    """-d2 / dz2 of log HalfCauchy(exp(z) | 2.5) + z, by differences."""

    def log_prior(z):
        return -np.log1p(np.exp(2 * z) / 2.5**2) + z

    z, h = np.log(scale), 1e-3
    return -(log_prior(z + h) - 2 * log_prior(z) + log_prior(z - h)) / h**2


@pytest.mark.parametrize("layers", ["all", "last"])
def test_the_noise_has_the_fisher_information_of_its_logarithm(layers):
    """2 for each observation: log p has the second derivative 2 (y - f)^2 / s^2, of mean 2."""
    posterior = Laplace("full", layers=layers, **HERE).fit(
        line(1), X, Y[:, :1], LIKELIHOOD, sample_weight=WEIGHT
    )
    precision = (AUGMENTED.T * WEIGHT) @ AUGMENTED / 0.6**2 + np.eye(3) / SCALE**2
    expected = np.zeros((4, 4))
    expected[:3, :3] = np.linalg.inv(precision)
    expected[3, 3] = 1 / (2 * WEIGHT.sum(dtype="float64") + prior_curvature(0.6))
    np.testing.assert_allclose(covariance_of(posterior), expected, rtol=1e-3, atol=1e-6)
    v = expected[3, 3]  # of a log-normal
    spread = 0.6 * np.exp(v / 2) * np.sqrt(np.expm1(v))
    assert posterior.stddev()["noise/scale"].item() == pytest.approx(spread, rel=1e-3)


@pytest.mark.parametrize(
    ("structure", "curvature", "per_output"),
    [
        ("full", "fisher", True),
        ("diagonal", "fisher", False),
        ("kronecker", "ggn", True),
        ("low_rank", "ggn", False),
    ],
)
def test_the_last_layer_of_a_net_with_one_is_all_of_it(structure, curvature, per_output):
    """Empirical Fisher matrices couple means and noise; two outputs have one scale or two."""
    model = line(2, per_output, tail=[keras.layers.Rescaling(0.5)])
    whole, last = (
        Laplace(structure, curvature, layers=layers, **HERE).fit(
            model, X, Y, LIKELIHOOD, sample_weight=WEIGHT
        )
        for layers in ("all", "last")
    )
    np.testing.assert_allclose(covariance_of(last), covariance_of(whole), rtol=2e-3, atol=1e-6)
    assert last.log_marginal_likelihood() == pytest.approx(
        whole.log_marginal_likelihood(), abs=2e-2
    )
    assert last.log_prob(last.mean()) == pytest.approx(whole.log_prob(last.mean()), abs=2e-2)
    np.testing.assert_allclose(
        last.predict(X[:3], seed=0).std, whole.predict(X[:3], seed=0).std, rtol=2e-3
    )


def test_other_weights_with_bounds_are_points_and_have_no_part_in_the_density():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, use_bias=False, name="before", kernel_initializer="ones"),
            *line(1).layers,
        ]
    )
    kp.set_priors(model, {"before/kernel": kp.HalfNormalPrior(1.0)})
    model.layers[0].set_weights([np.array([[0.5, 2.0], [1.5, 0.1]])])
    posterior = Laplace("full", layers="last", **HERE).fit(model, X, Y[:, :1], LIKELIHOOD)
    features = X.astype("float64") @ [[0.5, 2.0], [1.5, 0.1]]
    alone = Laplace("full", layers="last", **HERE).fit(
        line(1), features.astype("float32"), Y[:, :1], LIKELIHOOD
    )
    position = alone.mean()
    expected = alone.log_prob(position)
    assert posterior.log_prob({**posterior.mean(), **position}) == pytest.approx(expected, abs=1e-3)
    assert posterior.log_marginal_likelihood() == pytest.approx(
        alone.log_marginal_likelihood(), abs=1e-3
    )


def test_a_frozen_noise_is_a_known_one():
    model = line(1, trained=False)
    last = Laplace("full", layers="last", **HERE).fit(model, X, Y[:, :1], LIKELIHOOD)
    plain = keras.Sequential([keras.Input((2,)), model.layers[0]])
    known = Laplace("full", layers="last", **HERE).fit(
        plain, X, Y[:, :1], kp.likelihoods.Normal(0.6)
    )
    np.testing.assert_allclose(covariance_of(last), covariance_of(known), rtol=1e-4, atol=1e-7)
    assert last.log_marginal_likelihood() == pytest.approx(
        known.log_marginal_likelihood(), abs=1e-3
    )


def test_it_is_saved_and_loaded(tmp_path):
    model = line(2, per_output=True)
    posterior = Laplace("kronecker", layers="last", **HERE).fit(model, X, Y, LIKELIHOOD)
    posterior.save(tmp_path / "noise.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "noise.posterior")
    for path, spread in posterior.stddev().items():
        np.testing.assert_allclose(loaded.stddev()[path], spread, rtol=1e-6)


def test_the_mode_is_judged_with_the_jacobian_of_the_noise():
    """The evidence is that of z: its slope at the mode of z is 0, for a single pass too."""
    model = line(1)
    best = LogPosterior(model, X, Y[:, :1], LIKELIHOOD)
    whole = Laplace("full").fit(model, X, Y[:, :1], LIKELIHOOD)
    mode = best.positions.constrain(keras.ops.convert_to_tensor(whole._mode))[0]
    model.set_weights([keras.ops.convert_to_numpy(v) for v in mode])
    Laplace("full", layers="last", tolerance=1e-2).fit(model, X, Y[:, :1], LIKELIHOOD)
