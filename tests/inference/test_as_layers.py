"""Variational layers that begin where a posterior is."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp
from tests.inference._chains import SHORT_CHAINS

N, NOISE = 40, 0.3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype("float32")
X[:, 1] += X[:, 0]
Y = (X @ [[0.5], [-1.0], [0.2]] + NOISE * RNG.normal(size=(N, 1))).astype("float32")
LIKELIHOOD = kp.likelihoods.Normal(NOISE)
PRECISION = X.T.astype("float64") @ X / NOISE**2 + np.eye(3)
MODE = np.linalg.solve(PRECISION, X.T @ Y / NOISE**2)


pytestmark = SHORT_CHAINS


def line(**kwargs):
    kwargs = {"kernel_regularizer": kp.NormalPrior(0, 1), **kwargs}
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, use_bias=False, name="line", **kwargs)]
    )


def moments(q):
    return [ops.convert_to_numpy(v) for v in (q.mean(), q.stddev())]


def test_of_a_linear_model_they_begin_at_the_optimum_of_the_elbo():
    """Standard deviations with all other weights held: diag(precision)^-1/2."""
    model = line()
    posterior = kp.inference.Laplace("diagonal").fit(model, X, Y, LIKELIHOOD, verbose=0)
    layers = posterior.to_variational(num_data=N)
    mean, stddev = moments(layers.layers[0].kernel_posterior)
    np.testing.assert_allclose(mean, MODE, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(stddev[:, 0], np.diag(PRECISION) ** -0.5, rtol=1e-3)
    assert layers.layers[0].num_data == N
    back = kp.inference.VariationalLayers().fit(layers, X, Y, LIKELIHOOD, verbose=0)
    for ours, theirs in ((back.mean(), posterior.mean()), (back.stddev(), posterior.stddev())):
        np.testing.assert_allclose(ours["line/kernel"], theirs["line/kernel"], rtol=1e-5)


@pytest.mark.parametrize("family", ["low_rank", "full"])
def test_other_families_take_the_same_moments(family):
    posterior = kp.inference.Laplace("full").fit(line(), X, Y, LIKELIHOOD, verbose=0)
    mean, stddev = moments(posterior.to_variational(family).layers[0].kernel_posterior)
    np.testing.assert_allclose(mean, posterior.mean()["line/kernel"], rtol=1e-5)
    np.testing.assert_allclose(stddev, posterior.stddev()["line/kernel"], rtol=1e-4)
    np.testing.assert_allclose(stddev[:, 0] ** 2, np.diag(np.linalg.inv(PRECISION)), rtol=1e-3)


def net():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="hidden"),
            keras.layers.Dense(1, name="last"),
            kp.layers.NoiseScale(name="noise"),
        ]
    )


@pytest.fixture(scope="module")
def draws():
    """A posterior of draws, off the weights of its model, at a temperature."""
    model = net()
    kp.set_priors(model, {keras.layers.Dense: kp.NormalPrior(0, 1)})
    method = kp.inference.SGLD(1e-4, 16, num_burnin=20, num_samples=8, thinning=2, num_chains=1)
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    return method.fit(model, X, Y, likelihood, seed=0, verbose=0, temperature=0.5)


def test_a_net_with_its_noise_and_temperature(draws):
    layers = draws.to_variational(seed=1)
    mean, stddev = draws.mean(), draws.stddev()
    for path in mean:
        layer, weight = path.split("/")
        found = layers.get_layer(layer)
        q = (
            getattr(found, f"{weight}_posterior")
            if layer != "noise"
            else next(iter(found.posteriors.values()))
        )
        np.testing.assert_allclose(moments(q)[0], mean[path], rtol=1e-4, err_msg=path)
        np.testing.assert_allclose(moments(q)[1], stddev[path], rtol=1e-3, err_msg=path)
        assert found.temperature == 0.5
    assert type(q) is kp.posteriors.LogNormal


@pytest.mark.filterwarnings("ignore:A Laplace approximation is one around a mode")
def test_what_a_last_layer_posterior_leaves_out_stays_a_point():
    model = net()
    kp.set_priors(model, {keras.layers.Dense: kp.NormalPrior(0, 1)})
    kp.set_num_data(model, N)
    model.compile(keras.optimizers.Adam(0.02), kp.likelihoods.HeteroscedasticNormal())
    model.fit(X, Y, epochs=30, verbose=0)
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    posterior = kp.inference.Laplace(layers="last").fit(model, X, Y, likelihood, verbose=0)
    layers = posterior.to_variational()
    assert type(layers.get_layer("hidden")) is keras.layers.Dense
    assert type(layers.get_layer("last")) is kp.VariationalDense
    np.testing.assert_allclose(
        moments(layers.get_layer("last").kernel_posterior)[1],
        posterior.stddev()["last/kernel"],
        rtol=1e-3,
    )


def test_a_weight_without_a_spread_beside_others_is_made_a_point_or_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="line")])
    random = np.random.default_rng(0)
    stored = [random.normal(size=(1, 9, 3, 1)), np.full((1, 9, 1), 0.25)]
    values = [v.astype("float32") for v in stored]
    posterior = kp.inference.SamplePosterior(model, LIKELIHOOD, values)
    with pytest.raises(ValueError, match=r"the moments of all its weights. Received: .*line/bias"):
        posterior.to_variational()
    layer = posterior.to_variational({"line/bias": "delta"}).layers[0]
    np.testing.assert_allclose(moments(layer.kernel_posterior)[1], stored[0][0].std(0), rtol=0.1)
    assert not moments(layer.bias_posterior)[1].any()


def test_a_point_has_no_spread():
    posterior = kp.inference.MAP().fit(line(), X, Y, LIKELIHOOD, verbose=0)
    with pytest.raises(
        ValueError, match=r"standard deviations above 0. Received: 0 for line/kernel"
    ):
        posterior.to_variational()
