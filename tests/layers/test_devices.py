"""A training step is one program for the device: no callbacks, no float64, many replicas."""

import functools
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_priors.layers import VariationalDense
from tests.layers._layers import PAIRS
from tests.likelihoods._cases import CASES
from tests.posteriors._families import FAMILIES
from tests.priors._models import every_prior, wide_model

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X[:, :2] - 0.5


def variational(estimator, family):
    def layer(units, activation=None):
        return VariationalDense(
            units,
            activation,
            kernel_posterior=FAMILIES[family],
            estimator=estimator,
            num_data=16,
            seed=units,
        )

    return keras.Sequential([keras.Input((3,)), layer(4, "tanh"), layer(2)]), "mse", Y


def penalized():
    return wide_model(every_prior()), "mse", Y


def explained(case):
    """Constant outputs under a likelihood, each through the link that its targets need."""
    activation = {"categorical-probs": "softmax", "bernoulli-probs": "sigmoid"}.get(case.name)
    activation = "softplus" if case.name == "poisson-rate" else activation
    width = case.outputs.shape[-1]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(width, activation)])
    rows = np.resize(case.y, (len(X), *case.y.shape[1:]))
    return model, case.likelihood, rows.astype("int32" if rows.ndim == 1 else "float32")


def compiled(model, loss, y):
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model, y


PROGRAMS = {
    **{f"{e}-{f}": functools.partial(variational, e, f) for e, f in PAIRS},
    "priors": penalized,
    **{case.name: functools.partial(explained, case) for case in CASES},
}
every_program = pytest.mark.parametrize("name", PROGRAMS)


def jax_step(name):
    """Keras' own train step (forward, loss, gradients, optimizer), its state and a batch."""
    model, y = compiled(*(PROGRAMS[name] if isinstance(name, str) else name)())
    model.optimizer.build(model.trainable_variables)
    model._symbolic_build(data_batch=(X, y))
    state = tuple(
        [v.value for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    return model.train_step, state, (X, y)


@every_program
def test_jax_step_lowers_for_cuda(name, backend):
    if backend != "jax":
        pytest.skip("JAX")
    import jax
    import jax.export

    step, state, data = jax_step(name)
    exported = jax.export.export(jax.jit(step), platforms=["cuda"])(state, data)
    assert exported.platforms == ("cuda",)
    assert "callback" not in exported.mlir_module()


def test_jax_step_asks_for_no_float64_where_there_is_one(backend):
    """With 64 bits allowed, a stray float64 constant would spread; Keras alone is the control."""
    if backend != "jax":
        pytest.skip("JAX")
    import jax

    def wide(name):
        """Float64 arrays; Python's floats are float64 scalars there, and harm nothing."""
        step, state, data = jax_step(name)
        with jax.enable_x64(True):
            return len(re.findall(r"f64\[\d", str(jax.make_jaxpr(step)(state, data))))

    counts = {name: wide(name) for name in PROGRAMS}
    # Keras' own cross-entropy of integers makes a one-hot of the widest float.
    for name in ("categorical", "categorical-probs"):
        assert counts.pop(name) <= wide(functools.partial(stock, name == "categorical"))
    assert not any(counts.values()), counts


def stock(from_logits):
    head = keras.layers.Dense(5, activation=None if from_logits else "softmax")
    model = keras.Sequential([keras.Input((3,)), head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    return model, loss, np.resize([0, 1, 4], len(X)).astype("int32")


@every_program
def test_tensorflow_step_has_no_float64_and_no_python(name, backend):
    if backend != "tensorflow":
        pytest.skip("TensorFlow")
    import tensorflow as tf

    model, y = compiled(*PROGRAMS[name]())
    model.optimizer.build(model.trainable_variables)
    model._symbolic_build(data_batch=(X, y))

    @tf.function(autograph=False)
    def step(x, y):
        return model.train_step((x, y))

    definition = step.get_concrete_function(tf.constant(X), tf.constant(y)).graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    assert len(nodes) > 20
    for node in nodes:
        assert "PyFunc" not in node.op, node.name
        for key, attribute in node.attr.items():
            assert attribute.type != tf.float64.as_datatype_enum, (node.name, node.op, key)


@every_program
def test_pytorch_step_has_no_float64_and_waits_for_no_value(name, backend, monkeypatch):
    """But for the seeds: `Tensor.tolist` is not seen here (docs/sharp_edges.md)."""
    if backend != "torch":
        pytest.skip("PyTorch")
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from keras_priors.backend.torch import mean_field as _mean_field_torch

    # What it keeps on the CPU alone, where nothing is waited for.
    monkeypatch.setattr(_mean_field_torch, "_is_kept", lambda rho: False)

    class Watch(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.calls, self.wide, self.reads = 0, [], 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for value in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                    self.wide.append(str(function))
            self.calls += 1
            self.reads += function is torch.ops.aten._local_scalar_dense.default
            return result

    model, y = compiled(*PROGRAMS[name]())
    model.train_on_batch(X, y)
    data = torch.from_numpy(X), torch.from_numpy(y)
    with Watch() as watch:
        model.train_step(data)
    assert watch.calls > 20
    assert not watch.wide
    assert not watch.reads


MIRRORED = """
import warnings
import keras, numpy as np, tensorflow as tf
import keras_priors as kp

cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
y = x[:, :2] - 0.5

def variational(estimator, family):
    arguments = {"kernel_posterior": family, "bias_posterior": family, "estimator": estimator}
    return kp.VariationalDense(2, num_data=16, seed=0, **arguments)

def penalized(prior):
    return keras.layers.Dense(2, kernel_regularizer=prior, bias_regularizer=prior)

def same_draws():
    return [
        variational("reparameterization", "delta"),
        variational("reparameterization", "mean_field"),
        penalized(kp.NormalPrior(num_data=16)),
        penalized(kp.StudentTPrior(3.0, num_data=16)),
    ]

# Noise of each row, and so of each replica, next to nothing.
narrow = kp.posteriors.MeanFieldNormal(1e-4)

def own_draws():
    return [variational("local_reparameterization", narrow), variational("flipout", narrow)]

def fit(make):
    keras.utils.set_random_seed(0)
    x_in = keras.Input((3,))
    model = keras.Model(x_in, keras.layers.Average()([layer(x_in) for layer in make()]))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=8, epochs=10, shuffle=False, verbose=0)
    return [v.numpy() for v in model.trainable_variables], history.history["loss"]

alone = [fit(make) for make in (same_draws, own_draws)]
# One for both: a second strategy in one process meets the first one's collectives.
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    mirrored = [fit(make) for make in (same_draws, own_draws)]
for (one, loss), (two, losses), tolerance in zip(alone, mirrored, [1e-5, 3e-4]):
    # A penalty counts once, not once a replica.
    np.testing.assert_allclose(losses, loss, rtol=tolerance)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

with strategy.scope():
    unset = keras.Sequential([keras.Input((3,)), penalized(kp.NormalPrior())])
    unset.compile("sgd", "mse")
counts = []
for verb in (unset.fit,):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        verb(x, y, batch_size=8, verbose=0)
    counts.append(any("num_data was never given" in str(w.message) for w in caught))
assert counts == [True], counts
"""


def test_mirrored_strategy_ends_where_one_device_does_and_warns_as_there(project_root, backend):
    if backend != "tensorflow":
        pytest.skip("TensorFlow")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(project_root)}
    command = [sys.executable, "-c", MIRRORED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
