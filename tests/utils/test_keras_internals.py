"""What Keras is asked by undocumented names, and what it must answer."""

import ast
import importlib
import pathlib
import random
import threading

import keras
import numpy as np
from keras import ops

import keras_priors as kp
from keras_priors.utils import keras_internals as internals

PACKAGE = pathlib.Path(kp.__file__).parent
FILE = PACKAGE / "utils" / "keras_internals.py"


def sequential():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="hidden"),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dense(1, name="last"),
        ]
    )


def test_layers_within_layers():
    cell = keras.layers.LSTMCell(2)
    model = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.Bidirectional(keras.layers.RNN(cell))]
    )
    assert model in internals.all_layers(model)
    assert model not in internals.all_layers(model, include_self=False)
    kinds = [type(layer).__name__ for layer in internals.all_layers(model)]
    assert {"Bidirectional", "RNN", "LSTMCell"} <= set(kinds)
    wrapper = model.layers[-1]
    assert {type(layer).__name__ for layer in internals.inner_layers(wrapper)} == {"RNN"}


def test_variables_that_a_layer_made_itself():
    model = sequential()
    dense = model.get_layer("hidden")
    dense.trainable = False
    assert [v.name for v in internals.own_weights(dense)] == ["kernel", "bias"]
    norm = keras.layers.BatchNormalization()
    norm.build((None, 3))
    assert [v.name for v in internals.own_state(norm)] == ["moving_mean", "moving_variance"]


def test_seeds_of_a_layer():
    dropout = sequential().layers[1]
    (generator,) = internals.seed_generators(dropout)
    assert isinstance(generator, keras.random.SeedGenerator)
    x = np.ones((1, 1000), "float32")
    draws = []
    for seed in (3, 3, 4):
        generator.state.assign(ops.convert_to_tensor([seed, 0], dtype=generator.state.dtype))
        internals.set_first_seed(generator, seed)
        draws.append(ops.convert_to_numpy(dropout(x, training=True)))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.any(draws[0] != draws[2])


def test_initializers_without_a_seed_have_one_for_a_while():
    def drawn():
        return ops.convert_to_numpy(keras.layers.Dense(3).kernel_initializer((2, 3)))

    state = random.getstate()
    with internals.seeded_initializers(5):
        first = drawn()
    assert random.getstate() == state
    with internals.seeded_initializers(5):
        np.testing.assert_array_equal(drawn(), first)
    with internals.seeded_initializers(6):
        assert np.abs(drawn() - first).max() > 1e-3


def test_functional_models_are_known():
    x = keras.Input((2,))
    assert isinstance(keras.Model(x, keras.layers.Dense(1)(x)), internals.functional_class())
    assert not isinstance(sequential(), internals.functional_class())


def test_outputs_in_a_dict_go_by_its_keys():
    x = keras.Input((2,))
    made = {"z": keras.layers.Dense(1)(x), "a": keras.layers.Dense(3)(x)}
    model = keras.Model(x, made)
    shapes = dict(zip(internals.output_keys(model), (o.shape for o in model.outputs), strict=True))
    assert shapes == {"z": (None, 1), "a": (None, 3)}
    assert internals.output_keys(sequential()) is None


def test_the_graph_backwards():
    model = sequential()
    graph = internals.functional_graph(model)
    (output,) = graph.outputs
    names = []
    while True:
        layer, inputs = internals.maker_of(output)
        names.append(layer.name)
        if not inputs:
            break
        (output,) = inputs
    assert names[:3] == ["last", model.layers[1].name, "hidden"]

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    assert internals.functional_graph(Subclassed()) is None


def test_weights_of_losses_and_losses_of_layers():
    model = sequential()
    model.compile(loss=["mse"], loss_weights=[2.0])
    assert keras.tree.flatten(internals.loss_weights(model)) == [2.0]
    assert internals.user_metrics(model) == []
    model.compile(loss="mse", metrics=["mae", "mse"])
    assert internals.user_metrics(model) == ["mae", "mse"]
    plain = keras.layers.Dense(1)
    adds = keras.layers.Dense(1, activity_regularizer="l2")
    for layer in (plain, adds):
        layer(np.ones((1, 2), "float32"))
    assert not internals.adds_losses(plain)
    assert internals.adds_losses(adds)


def test_the_number_of_a_variable_in_an_optimizer():
    optimizer, variables = keras.optimizers.SGD(), sequential().trainable_variables
    optimizer.build(variables)
    assert [internals.index_of(optimizer, v) for v in variables] == [0, 1, 2, 3]


def test_an_optimizer_is_built_on_the_variables_of_its_model():
    model = sequential()
    model.compile(keras.optimizers.SGD())
    internals.build_optimizer(model)
    assert model.optimizer.built
    trained = internals.trained_by(model.optimizer)
    assert [id(v) for v in trained] == [id(v) for v in model.trainable_variables]


def test_a_model_that_was_called():
    called, fresh = sequential(), sequential()
    called(np.ones((1, 3), "float32"))
    internals.copy_called(called, fresh)
    assert fresh._called is called._called is True


def test_keras_own_classes():
    assert internals.is_keras_class(keras.layers.Dense)
    assert not internals.is_keras_class(kp.VariationalDense)


def private_names(tree):
    """Attributes that begin with one underscore."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    }


def test_no_other_file_has_these_names():
    ours = private_names(ast.parse(FILE.read_text("utf-8")))
    assert {"_flatten_layers", "_functional", "_keras_history"} <= ours
    others = [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != FILE and path.relative_to(PACKAGE).parts[0] != "backend"
    ]
    found = {path: private_names(ast.parse(path.read_text("utf-8"))) & ours for path in others}
    assert {path: names for path, names in found.items() if names} == {}


def test_derivatives_are_left_to_the_backend_in_one_thread():
    module = importlib.import_module("keras.src.ops")
    theirs, seen = module.custom_gradient, []

    def function(x):
        return x, lambda *args, upstream=None: (upstream,)

    with internals.plain_gradients():
        assert module.custom_gradient(function)(1.0) == 1.0
        other = threading.Thread(target=lambda: seen.append(module.custom_gradient(function)))
        other.start()
        other.join()
        here = module.custom_gradient(function)
    assert module.custom_gradient is theirs
    # In the other one Keras' own, whatever that is on this backend.
    assert [type(x).__name__ for x in seen] == [type(theirs(function)).__name__]
    if type(here) is type(seen[0]):
        assert here.__qualname__ != seen[0].__qualname__
