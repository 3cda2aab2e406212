"""The unknown noise: what the likelihood reads is the weight, and `fit` finds its MAP."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src import testing
from scipy import optimize, stats

import keras_priors as kp

LIKELIHOOD = kp.likelihoods.HeteroscedasticNormal()


def line(prior=None, **kwargs):
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), name="line"),
            kp.layers.NoiseScale(prior, name="noise", **kwargs),
        ]
    )


@pytest.mark.parametrize("scale", [1e-4, 0.3, 1.0, 7.0, 1e4])
def test_the_likelihood_reads_the_weight(scale):
    layer = kp.layers.NoiseScale(initial_scale=scale)
    outputs = layer(np.array([[1.0, -2.0]], "float32"))
    mean = ops.convert_to_numpy(LIKELIHOOD.mean(outputs))
    np.testing.assert_allclose(mean, [[1.0, -2.0]])
    std = np.sqrt(ops.convert_to_numpy(LIKELIHOOD.variance(outputs)))
    np.testing.assert_allclose(std, scale, rtol=2e-5)


def test_every_likelihood_with_a_scale_reads_it():
    layer = kp.layers.NoiseScale(initial_scale=0.5)
    outputs = layer(np.array([[1.0, -2.0]], "float32"))
    likelihoods = kp.likelihoods
    variances = {
        likelihoods.StudentT(4.0, scale=None): 2 * 0.25,
        likelihoods.Laplace(scale=None): 2 * 0.25,
        likelihoods.NegativeBinomial(total_count=None): np.exp([1, -2]) + 0.5 * np.exp([2, -4]),
    }
    for likelihood, variance in variances.items():
        found = ops.convert_to_numpy(likelihood.variance(outputs))
        np.testing.assert_allclose(found, np.broadcast_to(variance, (1, 2)), rtol=1e-5)


# Targets, and where the likelihood is largest: (location, scale).
SCALES = {
    "laplace": (
        kp.likelihoods.Laplace(scale=None),
        np.array([-3.0, -1.0, 0.0, 1.0, 8.0]),
        (0.0, 13 / 5),  # the median, and the mean absolute deviation from it
    ),
    "student-t": (
        kp.likelihoods.StudentT(1.0, scale=None),
        np.array([-2.0, -0.5, 0.5, 2.0]),
        (0.0, 1.0),  # sum_i (y_i^2 - s^2) / (y_i^2 + s^2) = 0
    ),
    "negative-binomial": (
        kp.likelihoods.NegativeBinomial(total_count=None),
        np.array([0.0, 0.0, 1.0, 11.0]),
        None,  # the logarithm of the mean, and a search over the dispersion
    ),
}


@pytest.mark.parametrize("name", SCALES)
def test_fit_finds_the_scale_of_each(name):
    likelihood, y, best = SCALES[name]
    if best is None:
        mean = y.mean()

        def loss(a):
            return -stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * mean)).sum()

        found = optimize.minimize_scalar(loss, bounds=(0.1, 10), method="bounded")
        best = np.log(mean), found.x
    wide = {"kernel_regularizer": kp.NormalPrior(0, 1000), "kernel_initializer": "zeros"}
    line = keras.layers.Dense(1, use_bias=False, **wide)
    line.trainable = name != "laplace"  # at a median its density has an edge
    model = keras.Sequential(
        [keras.Input((1,)), line, kp.layers.NoiseScale(kp.UniformPrior(0.0, 100.0))]
    )
    posterior = kp.inference.MAP().fit(
        model, np.ones((len(y), 1)), y[:, None], likelihood, verbose=0
    )
    predictive = posterior.predict(np.ones((1, 1)), verbose=0)
    location, scale = predictive.draws[0, 0]
    np.testing.assert_allclose(location, best[0], atol=2e-2)
    np.testing.assert_allclose(1e-6 + np.logaddexp(0, scale), best[1], rtol=2e-2)
    # What it says of new observations is that of these numbers.
    if name == "laplace":
        low, high = predictive.interval(0.9)
        half = best[1] * np.log(10)
        np.testing.assert_allclose([low[0, 0], high[0, 0]], [-half, half], atol=0.15 * half)
        assert predictive.std[0, 0] == pytest.approx(np.sqrt(2) * best[1], rel=2e-2)


def test_each_output_can_have_its_own():
    layer = kp.layers.NoiseScale(per_output=True)
    layer.build((None, 2))
    layer.scale.assign([0.5, 2.0])
    variance = LIKELIHOOD.variance(layer(np.zeros((3, 2), "float32")))
    np.testing.assert_allclose(ops.convert_to_numpy(variance), [[0.25, 4.0]] * 3, rtol=1e-5)


def test_a_scale_near_zero_gives_no_nan():
    layer = kp.layers.NoiseScale()
    layer.build((None, 1))
    layer.scale.assign([0.0])
    outputs = ops.convert_to_numpy(layer(np.zeros((1, 1), "float32")))
    assert np.all(np.isfinite(outputs))


def test_fit_finds_the_map_of_the_noise():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2)).astype("float32")
    y = (x @ [[1.0], [2.0]] + 0.5 * rng.standard_normal((200, 1))).astype("float32")
    model = line(kp.HalfNormalPrior(0.1))
    kp.set_num_data(model, x)
    model.compile(keras.optimizers.Adam(0.05), loss=LIKELIHOOD)
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.8**epoch)
    # Forty steps an epoch, each with all of the data.
    steps = np.tile(x, (40, 1)), np.tile(y, (40, 1))
    model.fit(*steps, batch_size=200, epochs=25, verbose=0, shuffle=False, callbacks=[rate])

    def negative_log_posterior(p):
        residual = y[:, 0] - x @ p[:2] - p[2]
        log_prior = -0.5 * np.sum(np.square(p[:2])) - 0.5 * (p[3] / 0.1) ** 2
        return np.sum(0.5 * np.square(residual / p[3])) + 200 * np.log(p[3]) - log_prior

    bounds = [(None, None)] * 3 + [(1e-3, None)]
    best = optimize.minimize(negative_log_posterior, [0, 0, 0, 1.0], bounds=bounds).x
    scale, kernel = (ops.convert_to_numpy(model.get_weights()[k]) for k in (-1, 0))
    np.testing.assert_allclose(scale, best[3:], rtol=1e-3)
    np.testing.assert_allclose(kernel[:, 0], best[:2], rtol=1e-3)


def test_priors_by_rule_reach_it_and_are_saved(tmp_path):
    model = line()
    kp.set_priors(model, {"noise/scale": kp.HalfNormalPrior(3.0)})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("noise").scale_regularizer.scale == 3.0
    assert kp.get_priors(loaded)["noise/scale"].scale == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": kp.NormalPrior(0, 1)}, "positive numbers"),
        ({"prior": kp.UniformPrior(-1, 1)}, "positive numbers"),
        ({"prior": kp.UniformPrior(0, 1), "initial_scale": 2.0}, "inside the support"),
        ({"initial_scale": 0.0}, "greater than 0"),
        ({"scale_regularizer": keras.regularizers.L2()}, "must be a prior"),
    ],
)
def test_what_is_no_scale_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kp.layers.NoiseScale(**arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
class TestBattery(testing.TestCase):
    def test_keras_own(self):
        self.run_layer_test(
            kp.layers.NoiseScale,
            init_kwargs={"scale_regularizer": kp.HalfCauchyPrior(1.0, num_data=10)},
            input_shape=(2, 3),
            expected_output_shape=(2, 6),
            expected_num_trainable_weights=1,
            expected_num_losses=1,
            supports_masking=True,
        )

    def tearDown(self):
        keras.config.enable_traceback_filtering()
        super().tearDown()


@pytest.mark.parametrize(
    ("prior", "start"),
    [
        (kp.HalfCauchyPrior(40.0), 40.0),
        (kp.HalfNormalPrior(3.0), 3.0),
        (kp.HalfStudentTPrior(4.0, 20.0), 20.0),
        (kp.HalfCauchyPrior(0.1), 1.0),
        (kp.GammaPrior(2.0, 0.01), 1.0),
        (None, 1.0),
    ],
)
def test_it_starts_in_the_units_of_its_prior(prior, start):
    layer = kp.layers.NoiseScale(prior)
    layer.build((None, 2))
    assert ops.convert_to_numpy(layer.scale) == pytest.approx([start])
    assert kp.layers.NoiseScale(prior, initial_scale=0.5).initial_scale == 0.5
    assert kp.layers.NoiseScale(scale_regularizer=prior).initial_scale == start
    again = kp.layers.NoiseScale.from_config(layer.get_config())
    assert again.initial_scale == start
