"""The KL enters the loss once, divided by num_data, on every backend."""

import keras
import numpy as np
import pytest

from keras_priors import priors
from keras_priors.layers import VariationalDense
from keras_priors.priors import NormalPrior
from tests.posteriors._calculus import as_numpy

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
N = 40


class Nothing(keras.losses.Loss):
    """A likelihood that says nothing, so that the loss is the penalty alone."""

    def call(self, y_true, y_pred):
        return 0.0 * keras.ops.mean(y_pred, axis=-1)


def penalty_of(model, x=X, outputs=1):
    """The loss that training reports, before it moves anything."""
    model.compile(keras.optimizers.SGD(0.0), Nothing())
    y = np.zeros((8, 2), "float32")
    fitted = model.fit(x, [y] * outputs if outputs > 1 else y, batch_size=4, verbose=0)
    evaluated = model.evaluate(x, [y] * outputs if outputs > 1 else y, verbose=0)
    loss = fitted.history["loss"][0]
    np.testing.assert_allclose(np.ravel(evaluated)[0], loss, rtol=1e-5)
    return loss


def kl_of(layer):
    total = 0.0
    for posterior, prior in (
        (layer.kernel_posterior, layer.kernel_prior),
        (layer.bias_posterior, layer.bias_prior),
    ):
        mean, scale = as_numpy(posterior.mean()), as_numpy(posterior.stddev())
        # KL of normals, here for a prior N(0, s^2).
        s = prior.scale
        ratio = (scale**2 + mean**2) / s**2
        total += 0.5 * np.sum(ratio - 1 + 2 * np.log(s) - 2 * np.log(scale))
    return total


def shared():
    layer = VariationalDense(3, num_data=N, bias_prior=NormalPrior(0, 2.0))
    inputs = keras.Input((3,))
    return keras.Model(inputs, layer(keras.ops.tanh(layer(inputs)))[:, :2]), [layer]


def sequential():
    layers = [VariationalDense(4, num_data=N), VariationalDense(2, num_data=N)]
    return keras.Sequential([keras.Input((3,)), *layers]), layers


def nested():
    inner, (layer,) = shared()
    head = VariationalDense(2, num_data=N)
    inputs = keras.Input((3,))
    return keras.Model(inputs, head(inner(inputs))), [layer, head]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = [VariationalDense(4, num_data=N), VariationalDense(4, num_data=N)]
        self.head = VariationalDense(2, num_data=N)

    def call(self, x, training=None):
        for layer in self.block:
            x = keras.ops.relu(layer(x, training=training))
        return self.head(x, training=training)


def subclassed():
    model = Subclassed()
    return model, [*model.block, model.head]


class Composite(keras.layers.Layer):
    """A user's own layer around ours, built by Keras at its first call."""

    def __init__(self):
        super().__init__()
        self.inner = VariationalDense(2, num_data=N)

    def call(self, x, training=None):
        return self.inner(x, training=training)


def composite():
    layer = Composite()
    return keras.Sequential([layer]), [layer.inner]


def time_distributed():
    layer = VariationalDense(2, num_data=N)
    inputs = keras.Input((3,))
    x = keras.layers.Reshape((1, 3))(inputs)
    x = keras.layers.TimeDistributed(layer)(x)
    return keras.Model(inputs, keras.layers.Flatten()(x)), [layer]


MODELS = [sequential, shared, nested, subclassed, composite, time_distributed]


@pytest.mark.parametrize("make", MODELS, ids=lambda f: f.__name__)
def test_once_for_each_weight(make):
    model, layers = make()
    loss = penalty_of(model)
    total = sum(kl_of(layer) for layer in layers)
    np.testing.assert_allclose(loss, total / N, rtol=1e-4)
    np.testing.assert_allclose(
        sum(float(as_numpy(layer.kl())) for layer in layers), total, rtol=1e-4
    )


def test_a_frozen_layer_adds_nothing():
    model, (first, second) = sequential()
    first.trainable = False
    np.testing.assert_allclose(penalty_of(model), kl_of(second) / N, rtol=1e-4)
    second.trainable = False
    assert sum(model.losses, start=0.0) == 0.0


def test_kl_weight_scales_it():
    model, layers = sequential()
    for layer in layers:
        layer.kl_weight.assign(0.25)
    expected = 0.25 * sum(kl_of(layer) for layer in layers) / N
    np.testing.assert_allclose(penalty_of(model), expected, rtol=1e-4)


def test_kl_weight_is_live_in_a_traced_step():
    model, layers = sequential()
    full = penalty_of(model)
    for layer in layers:
        layer.kl_weight.assign(0.0)
    y = np.zeros((8, 2), "float32")
    assert full > 0
    assert model.fit(X, y, verbose=0).history["loss"][0] == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(
    "on_prior, on_layer, used", [(N, None, N), (None, N, N), (N, N, N), (N, 10, 10)]
)
def test_num_data_of_prior_and_layer(on_prior, on_layer, used):
    """The layer's own number goes before that of the prior."""
    layer = VariationalDense(
        2,
        kernel_regularizer=NormalPrior(0, 1, num_data=on_prior),
        bias_prior=NormalPrior(0, 1, num_data=on_prior),
        num_data=on_layer,
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    np.testing.assert_allclose(penalty_of(model), kl_of(layer) / used, rtol=1e-4)


def test_num_data_of_one_prior_is_that_of_the_layer():
    """All weights of a layer see the same data; the bias has a default prior without a number."""
    layer = VariationalDense(2, kernel_prior=NormalPrior(0, 1, num_data=N))
    model = keras.Sequential([keras.Input((3,)), layer])
    np.testing.assert_allclose(penalty_of(model), kl_of(layer) / N, rtol=1e-4)


@pytest.mark.parametrize("wrong, error", [(0, ValueError), (-3, ValueError), (2.5, TypeError)])
def test_num_data_is_a_whole_number(wrong, error):
    with pytest.raises(error, match="`num_data` of VariationalDense"):
        VariationalDense(2, num_data=wrong)
    with pytest.raises(error, match="`kl_samples` of VariationalDense"):
        VariationalDense(2, kl_samples=wrong)


def test_without_num_data_training_warns():
    layer = VariationalDense(2, name="head")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="num_data was never given") as record:
        model.fit(X, X[:, :2], epochs=2, batch_size=2, verbose=0)
    said = [str(w.message).split(":")[0] for w in record if "num_data" in str(w.message)]
    assert set(said) == {"num_data was never given for a variational layer"}


def test_a_monte_carlo_kl_draws_anew_each_step():
    layer = VariationalDense(
        2,
        use_bias=False,
        kernel_posterior="log_normal",
        kernel_prior=NormalPrior(),
        num_data=1,
        kl_samples=2,
        seed=0,
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.0), Nothing())
    y = np.zeros((8, 2), "float32")
    losses = [model.train_on_batch(X, y) for _ in range(4)]
    assert len({float(np.ravel(loss)[0]) for loss in losses}) == 4
    evaluated = [float(as_numpy(layer.kl())) for _ in range(2)]
    assert evaluated[0] != evaluated[1]


def test_a_monte_carlo_kl_trains():
    layer = VariationalDense(
        2,
        kernel_posterior="log_normal",
        kernel_prior=priors.LogNormalPrior(),
        bias_prior=priors.StudentTPrior(3.0, 0.0, 1.0),
        num_data=8,
        seed=0,
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    history = model.fit(np.abs(X), X[:, :2], epochs=30, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert np.mean(history[-5:]) < np.mean(history[:5])


def test_gradients_of_the_kl_reach_every_variable():
    model, layers = sequential()
    penalty_of(model)
    model.compile(keras.optimizers.SGD(0.1), Nothing())
    before = [as_numpy(v) for v in model.trainable_variables]
    kl = sum(kl_of(layer) for layer in layers)
    model.fit(X, np.zeros((8, 2), "float32"), epochs=5, verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        if variable.path.endswith("bias_loc"):
            continue  # at the prior's own mean
        assert not np.array_equal(as_numpy(variable), old), variable.path
    assert sum(kl_of(layer) for layer in layers) < kl
