"""A weight that is frozen by itself, within a layer that trains, stays what it is."""

import keras
import numpy as np
import pytest

import keras_priors as kp

LAYERS = {
    "dense": (lambda: keras.layers.Dense(2), (4,), "bias"),
    "kernel of dense": (lambda: keras.layers.Dense(2), (4,), "kernel"),
    "conv": (lambda: keras.layers.Conv1D(2, 2), (5, 4), "bias"),
    "einsum": (lambda: keras.layers.EinsumDense("ab,bc->ac", 2, bias_axes="c"), (4,), "bias"),
    "lstm": (lambda: keras.layers.LSTM(2), (5, 4), "bias"),
}


def by_name(layer, name):
    (found,) = [v for v in layer.variables if v.name == name]
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_it_keeps_its_value_and_is_not_trained(name):
    make, shape, frozen = LAYERS[name]
    model = keras.Sequential([keras.Input(shape), make(), keras.layers.Flatten()])
    layer, random = model.layers[0], np.random.default_rng(0)
    model.set_weights([1.0 + 0.1 * random.random(w.shape) for w in model.get_weights()])
    by_name(layer, frozen).trainable = False
    value = keras.ops.convert_to_numpy(by_name(layer, frozen))

    bayesian = kp.to_variational(model, num_data=8)
    assert by_name(bayesian.layers[0], frozen).trainable is False
    x = random.standard_normal((8, *shape)).astype("float32")
    y = random.standard_normal((8, *model.output_shape[1:])).astype("float32")
    bayesian.compile(keras.optimizers.SGD(0.01), loss=kp.likelihoods.Normal(1.0))
    bayesian.fit(x, y, epochs=1, verbose=0)
    after = keras.ops.convert_to_numpy(by_name(bayesian.layers[0], frozen))
    np.testing.assert_array_equal(after, value)
    assert any("rho" in v.path for v in bayesian.trainable_variables)

    plain = kp.to_deterministic(bayesian)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(by_name(plain.layers[0], frozen)), value
    )


def test_without_one_a_layer_gets_its_twin():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    assert isinstance(kp.to_variational(model).layers[0], kp.VariationalDense)
