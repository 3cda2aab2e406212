"""SGLD and SGHMC as optimizers of plain `fit`."""

import keras
import numpy as np
import pytest

import keras_priors as kp

COUNT, SCALE, UNITS = 20, 0.8, 1000
OPTIMIZERS = {
    "sgld": lambda **k: kp.inference.SGLDOptimizer(0.2, COUNT, seed=1, **k),
    "sghmc": lambda **k: kp.inference.SGHMCOptimizer(0.02, COUNT, momentum=0.9, seed=1, **k),
}


def many_means(optimizer, units=UNITS):
    """UNITS means of the same data: as many chains of a one-dimensional posterior."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                units,
                use_bias=False,
                kernel_initializer="zeros",
                kernel_regularizer=kp.NormalPrior(0.0, SCALE, num_data=COUNT),
            ),
        ]
    )
    model.compile(optimizer=optimizer, loss=kp.likelihoods.Normal(1.0))
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_stationary_distribution_is_the_posterior(name):
    model = many_means(OPTIMIZERS[name]())
    y = np.random.default_rng(0).normal(0.7, 1.0, size=(COUNT, 1)).astype("float32")
    data = (np.ones((COUNT, 1), "float32"), np.repeat(y, UNITS, axis=1))
    # An epoch of Keras costs more than its steps do here: one has the data sixty times.
    often = tuple(np.tile(part, (60, 1)) for part in data)
    model.fit(*often, batch_size=COUNT, epochs=1, shuffle=False, verbose=0)
    first = model.get_weights()[0][0]
    model.fit(*data, batch_size=COUNT, epochs=1, verbose=0)
    second = model.get_weights()[0][0]
    precision = COUNT + 1 / SCALE**2
    mean, sd = y.sum() / precision, precision**-0.5
    # 1000 chains: standard errors sd / 32 and, of the standard deviation, 2.2%. The step adds to
    # the variance 1 / (1 - 0.2 / 2) of SGLD, 1 / (1 - 0.02 / 3.8) of SGHMC.
    h = precision / COUNT
    wide = 1 / (1 - 0.2 * h / 2) if name == "sgld" else 1 / (1 - 0.02 * h / 3.8)
    assert abs(first.mean() - mean) < 4 * sd / 32
    assert abs(first.std() / (sd * wide**0.5) - 1) < 4 * 0.022
    # One step later: z1 = (1 - rate h) z0 + noise, and so correlated as that says.
    if name == "sgld":
        correlation = np.corrcoef(first, second)[0, 1]
        assert abs(correlation - (1 - 0.2 * h)) < 4 * (1 - 0.8**2) / 32
    assert not np.allclose(first, second)


def one_move(optimizer, slopes):
    """How far one step moves weights that begin at 0, where the loss has these slopes."""
    units = len(slopes)
    layer = keras.layers.Dense(units, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(optimizer=optimizer, loss=lambda y, f: keras.ops.sum(y * f, axis=-1))
    x = np.ones((2, 1), "float32")
    model.fit(x, np.repeat(slopes[None], 2, axis=0), batch_size=2, epochs=1, verbose=0)
    return model.get_weights()[0][0]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("temperature", [1.0, 0.0, 0.25])
@pytest.mark.parametrize("preconditioner", [None, "rmsprop"])
def test_a_step_is_its_formula(name, temperature, preconditioner):
    """-rate G g + sqrt(2 (1 - momentum) T rate G / N) n, with G = 1 / |g| after the first step."""
    slopes = np.repeat(np.array([0.1, -10.0], "float32"), 1000)
    rate, momentum, kind = 0.02, 0.0, kp.inference.SGLDOptimizer
    kwargs = {"preconditioner": preconditioner, "temperature": temperature, "seed": 4}
    if preconditioner is not None:
        kwargs["num_burnin"] = 1
    if name == "sghmc":
        momentum, kind = 0.6, kp.inference.SGHMCOptimizer
        kwargs["momentum"] = momentum
    move = one_move(kind(rate, COUNT, **kwargs), slopes)
    metric = 1.0 if preconditioner is None else 1.0 / np.abs(slopes)
    sd = np.sqrt(2.0 * (1.0 - momentum) * temperature * rate * metric / COUNT) * np.ones(2000)
    noise = move + rate * metric * slopes
    if temperature == 0.0:
        np.testing.assert_allclose(noise, 0.0, atol=1e-3 * rate * np.max(np.abs(metric * slopes)))
        return
    for part in (noise[:1000] / sd[:1000], noise[1000:] / sd[1000:]):
        assert abs(part.mean()) < 4 / 1000**0.5
        assert abs(part.std() - 1.0) < 4 / 2000**0.5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_noise_differs_by_step_weight_and_seed_and_is_repeatable(name):
    x, y = np.ones((4, 1), "float32"), np.zeros((4, 3), "float32")

    def steps(seed):
        kind = {"sgld": kp.inference.SGLDOptimizer, "sghmc": kp.inference.SGHMCOptimizer}[name]
        model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros"),
                keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros"),
            ]
        )
        model.compile(optimizer=kind(1e-3, num_data=4, seed=seed), loss=kp.likelihoods.Normal(1e3))
        found = []
        keep = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: found.append([w.copy() for w in model.get_weights()])
        )
        model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[keep])
        return found

    one = steps(0)
    # With a flat loss SGLD's moves are its noise.
    moves = [one[0][0], one[1][0] - one[0][0], one[2][0] - one[1][0], one[0][1][:1]]
    for k, move in enumerate(moves):
        assert np.abs(move).min() > 0
        for other in moves[:k]:
            assert not np.allclose(move, other, atol=1e-4)
    np.testing.assert_allclose(steps(0)[2][0], one[2][0], rtol=1e-5)
    assert not np.allclose(steps(1)[0][0], one[0][0], atol=1e-4)


def test_preconditioner_saving_and_refusals(tmp_path):
    optimizer = kp.inference.SGHMCOptimizer(
        1e-3, 40, momentum=0.8, preconditioner="rmsprop", num_burnin=2, seed=3
    )
    model = many_means(optimizer, units=3)
    x = np.linspace(-1, 1, 8, dtype="float32")[:, None]
    data = (x, x @ np.array([[1.0, 2.0, 3.0]], "float32"))
    model.fit(*data, batch_size=4, epochs=1, verbose=0)
    squares = keras.ops.convert_to_numpy(optimizer._squares[0])
    model.fit(*data, batch_size=4, epochs=2, verbose=0)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(optimizer._squares[0]), squares)
    assert np.all(squares > 0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras").optimizer
    assert type(loaded) is kp.inference.SGHMCOptimizer
    assert loaded.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="num_data"):
        kp.inference.SGLDOptimizer(1e-3)
    with pytest.raises(ValueError, match="momentum"):
        kp.inference.SGHMCOptimizer(1e-3, 10, momentum=1.0)
    with pytest.raises(ValueError, match="num_burnin=0"):
        kp.inference.SGLDOptimizer(1e-3, 10, preconditioner="rmsprop")
