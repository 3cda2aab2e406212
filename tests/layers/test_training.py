"""Plain `fit`: seeds, traces, compilers, devices."""

import keras
import numpy as np
import pytest

from keras_priors import backend as kp_backend
from keras_priors.layers import VariationalDense
from tests._compiled import compiled
from tests.layers._layers import PAIRS
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import FAMILIES

X = np.random.default_rng(0).normal(size=(48, 3)).astype("float32")
Y = X[:, :2] - 0.5
ESTIMATORS = ["reparameterization", "local_reparameterization", "flipout"]


def net(*estimators, seed=0, layer=VariationalDense, initial=7, **arguments):
    """A layer for each of the estimators, by default for all three."""
    keras.utils.set_random_seed(initial)
    arguments = {"num_data": 48, **arguments}
    estimators = estimators or ESTIMATORS
    return keras.Sequential(
        [
            keras.Input((3,)),
            *(
                layer(
                    2 + 2 * (estimator != estimators[-1]),
                    "tanh",
                    seed=None if seed is None else seed + 100 * k,
                    estimator=estimator,
                    **arguments,
                )
                for k, estimator in enumerate(estimators)
            ),
        ]
    )


# The draws of each family, and the moments of each estimator, once; the slow test has all pairs.
ONCE = [
    *(("reparameterization", family) for family in ("low_rank_1", "full", "matrix_normal")),
    ("reparameterization", "log_normal"),
    ("local_reparameterization", "mean_field"),
    ("flipout", "mean_field"),
]
WIDE = [pair for pair in PAIRS if pair[1] not in ("delta", "low_rank_3")]


def wide_net(pairs):
    """A layer for each estimator and posterior family, their outputs averaged."""
    keras.utils.set_random_seed(7)
    x = keras.Input((3,))
    layers = [
        VariationalDense(
            2, kernel_posterior=FAMILIES[family], estimator=estimator, num_data=48, seed=seed
        )
        for seed, (estimator, family) in enumerate(pairs)
    ]
    return keras.Model(x, keras.layers.Average()([layer(x) for layer in layers]))


def fit(model, epochs=2, jit_compile="auto", **arguments):
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    arguments = {"batch_size": 16, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(X, Y, epochs=epochs, **arguments).history["loss"]


def weights(model):
    return np.concatenate([as_numpy(v).reshape(-1) for v in model.trainable_variables])


def test_the_same_seed_gives_the_same_fit():
    one, two = net(), net()
    losses = fit(one), fit(two)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    np.testing.assert_allclose(weights(one), weights(two), rtol=1e-5, atol=1e-7)


def test_another_seed_gives_other_draws():
    """In each layer by itself, at the same weights and inputs."""
    for one, other in zip(net().layers, net(seed=1).layers, strict=True):
        x = np.ones((4, one.input.shape[-1]), "float32")
        np.testing.assert_allclose(as_numpy(one(x)), as_numpy(other(x)), rtol=1e-6)
        draws = [as_numpy(layer(x, training=True)) for layer in (one, other)]
        assert not np.allclose(*draws, rtol=1e-2)


def test_the_global_seed_serves_layers_without_one():
    one, two = net("flipout", seed=None), net("flipout", seed=None)
    other = net("flipout", seed=None, initial=8)
    for model in (one, two, other):
        fit(model, epochs=1)
    np.testing.assert_allclose(weights(one), weights(two), rtol=1e-5, atol=1e-7)
    assert not np.allclose(weights(one), weights(other), rtol=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_step_draws_anew(estimator):
    model = net(estimator)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    losses = [float(np.ravel(model.train_on_batch(X[:8], Y[:8]))[0]) for _ in range(5)]
    assert len(set(losses)) == 5
    tested = [float(np.ravel(model.test_on_batch(X[:8], Y[:8]))[0]) for _ in range(2)]
    assert tested[0] == tested[1]
    predicted = [model.predict(X, verbose=0) for _ in range(2)]
    assert np.array_equal(*predicted)


def test_layers_of_one_model_draw_independently_without_seeds():
    keras.utils.set_random_seed(0)
    layers = [VariationalDense(2, num_data=1) for _ in range(2)]
    for layer in layers:
        layer.build((None, 3))
    noise = []
    for layer in layers:
        difference = as_numpy(layer(np.eye(3, dtype="float32"), training=True)) - as_numpy(
            layer(np.eye(3, dtype="float32"))
        )
        noise.append(difference)
    assert not np.allclose(noise[0], noise[1], rtol=1e-2)


class Counting(VariationalDense):
    """Counts how often its Python code runs: once a trace."""

    traces = 0

    def call(self, inputs, training=None):
        Counting.traces += 1
        return super().call(inputs, training=training)


def test_no_retracing_after_the_first_step():
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch traces nothing")
    model = net(layer=Counting)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    fit_once = {"batch_size": 16, "verbose": 0}
    model.fit(X, Y, epochs=1, **fit_once)
    counted = Counting.traces
    model.fit(X, Y, epochs=2, **fit_once)
    for layer in model.layers:
        layer.kl_weight.assign(0.5)
    model.fit(X, Y, epochs=1, **fit_once)
    assert Counting.traces == counted


def test_a_last_batch_that_is_shorter():
    model = net()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    history = model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_batches_of_one():
    model = net()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    assert np.isfinite(model.fit(X[:3], Y[:3], batch_size=1, verbose=0).history["loss"]).all()


def test_several_steps_per_execution():
    if keras.backend.backend() == "torch":
        pytest.skip("Keras refuses it on PyTorch")
    model = net("reparameterization")
    model.compile(keras.optimizers.Adam(0.01), "mse", steps_per_execution=3)
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, shuffle=False)
    plain = net("reparameterization")
    fit(plain)
    np.testing.assert_allclose(weights(model), weights(plain), rtol=1e-4, atol=1e-6)


@compiled
@pytest.mark.parametrize("pairs", [ONCE, pytest.param(WIDE, marks=pytest.mark.slow)])
def test_the_compiler_changes_nothing(pairs):
    """One model with a layer for each estimator and family: one compilation for all of them."""

    def fitted(jit_compile):
        model = wide_net(pairs)
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
        model.fit(X, Y, batch_size=16, epochs=1, shuffle=False, verbose=0)
        return weights(model)

    np.testing.assert_allclose(fitted(True), fitted(False), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "posterior", ["mean_field", "low_rank", "full", "matrix_normal", "log_normal"]
)
def test_an_unbuilt_model_builds_in_fit(posterior):
    """Initializers may run while Keras traces."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = VariationalDense(2, kernel_posterior=posterior, num_data=48, seed=0)

        def call(self, x, training=None):
            return self.head(x, training=training)

    model = Net()
    assert np.isfinite(fit(model, epochs=1)).all()
    assert type(model.head.kernel_posterior.mean()) is not keras.Variable


def test_stateless_call_returns_the_kl():
    model = net()
    x = keras.ops.convert_to_tensor(X)
    trainable = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]
    result = model.stateless_call(trainable, fixed, x, training=False, return_losses=True)
    kl = sum(float(as_numpy(layer.kl())) for layer in model.layers) / 48
    np.testing.assert_allclose(sum(float(as_numpy(loss)) for loss in result[2]), kl, rtol=1e-5)


def test_noise_is_not_repeated_across_neighbouring_seeds():
    """A layer with seed s at its step k+1 is not a layer with seed s+1 at its step k."""
    draws = {}
    for seed in (1, 2):
        generator = keras.random.SeedGenerator(seed)
        for step in range(3):
            draws[seed, step] = as_numpy(kp_backend.standard_normal((4,), generator.next()))
    values = list(draws.values())
    for i, one in enumerate(values):
        for other in values[:i]:
            assert not np.allclose(one, other)
