"""A training step is one program for the device: no callbacks, no float64, many replicas."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_priors.layers import VariationalDense
from tests.layers._layers import PAIRS
from tests.posteriors._families import FAMILIES

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X[:, :2] - 0.5


def net(estimator, family, **arguments):
    def layer(units, activation=None):
        return VariationalDense(
            units,
            activation,
            kernel_posterior=FAMILIES[family],
            estimator=estimator,
            num_data=16,
            seed=units,
            **arguments,
        )

    model = keras.Sequential([keras.Input((3,)), layer(4, "tanh"), layer(2)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def jax_step(model):
    """Keras' own train step, its state and a batch."""
    model.optimizer.build(model.trainable_variables)
    model._symbolic_build(data_batch=(X, Y))
    state = tuple(
        [v.value for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    return model.train_step, state, (X, Y)


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_jax_step_lowers_for_cuda(estimator, family):
    if keras.backend.backend() != "jax":
        pytest.skip("JAX")
    import jax
    import jax.export

    step, state, data = jax_step(net(estimator, family))
    exported = jax.export.export(jax.jit(step), platforms=["cuda"])(state, data)
    text = exported.mlir_module()
    assert exported.platforms == ("cuda",)
    assert "f64" not in text
    assert "callback" not in text


def test_jax_step_asks_for_no_float64_where_there_is_one():
    """With 64 bits allowed, a stray float64 constant would spread; Dense is the control."""
    if keras.backend.backend() != "jax":
        pytest.skip("JAX")
    import jax

    def wide(model):
        _step, state, data = jax_step(model)
        with jax.enable_x64(True):
            text = str(
                jax.make_jaxpr(
                    lambda s, d: model.stateless_call(
                        s[0], s[1], d[0], training=True, return_losses=True
                    )
                )(state, data)
            )
        return text.count("f64[")

    control = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    control.compile(keras.optimizers.Adam(0.01), "mse")
    for estimator, family in PAIRS:
        assert wide(net(estimator, family)) <= wide(control), (estimator, family)


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_tensorflow_step_has_no_float64_and_no_python(estimator, family):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow")
    import tensorflow as tf

    model = net(estimator, family)
    model.fit(X, Y, epochs=1, verbose=0)

    @tf.function(autograph=False)
    def step(x, y):
        return model.train_step((x, y))

    definition = step.get_concrete_function(tf.constant(X), tf.constant(Y)).graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    assert len(nodes) > 20
    for node in nodes:
        assert "PyFunc" not in node.op, node.name
        for key, attribute in node.attr.items():
            assert attribute.type != tf.float64.as_datatype_enum, (node.name, node.op, key)


MIRRORED = """
import sys
import keras, numpy as np, tensorflow as tf
from keras_priors import posteriors
from keras_priors.layers import VariationalDense

cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
y = x[:, :2] - 0.5
delta = sys.argv[1] == "delta"
family = "delta" if delta else posteriors.MeanFieldNormal(1e-4)

def fit():
    keras.utils.set_random_seed(0)
    layer = VariationalDense(
        2, kernel_posterior=family, bias_posterior=family, num_data=16, seed=0
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=8, epochs=20, shuffle=False, verbose=0)
    return [v.numpy() for v in model.trainable_variables], history.history["loss"]

one, loss = fit()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    two, mirrored = fit()
# The penalty counts once, not once a replica; the noise of replicas is their own and small.
tolerance = 1e-4 if delta else 2e-2
np.testing.assert_allclose(mirrored, loss, rtol=tolerance)
for a, b in zip(one, two, strict=True):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
"""


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["delta", "mean_field"])
def test_mirrored_strategy_ends_where_one_device_does(posterior, project_root):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow")
    # A process of its own: a second strategy in one process meets the first one's collectives.
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(project_root)}
    command = [sys.executable, "-c", MIRRORED, posterior]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
