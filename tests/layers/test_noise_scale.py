"""The unknown noise: what the likelihood reads is the weight, and `fit` finds its MAP."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src import testing
from scipy import optimize

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
