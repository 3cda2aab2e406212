"""Every dtype policy trains one step; posteriors stay in full precision."""

import keras
import numpy as np
import pytest

from keras_priors.layers import VariationalDense
from tests.layers._layers import PAIRS
from tests.posteriors._families import FAMILIES

# One of them in CI: each compiles all estimators and families.
POLICIES = [
    "mixed_float16",
    *(
        pytest.param(policy, marks=pytest.mark.slow)
        for policy in ("mixed_bfloat16", "float16", "bfloat16", "float64")
    ),
]
X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")


def net():
    """A layer for each estimator and posterior family, on a layer that all of them train."""
    x = keras.Input((3,))
    hidden = VariationalDense(4, "relu", num_data=8, seed=100)(x)
    outputs = []
    for seed, (estimator, family) in enumerate(PAIRS):
        arguments = {
            "kernel_posterior": FAMILIES[family],
            "estimator": estimator,
            "num_data": 8,
            "seed": seed,
        }
        outputs.append(VariationalDense(2, **arguments)(hidden))
    return keras.Model(x, keras.layers.Average()(outputs))


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize("policy", POLICIES)
def test_one_step(policy, backend):
    keras.config.set_dtype_policy(policy)
    if policy == "float64":
        keras.config.set_floatx("float64")
    model = net()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [keras.ops.convert_to_numpy(v.value).copy() for v in model.trainable_variables]
    loss = model.fit(X, X[:, :2], epochs=1, verbose=0).history["loss"][0]
    after = [keras.ops.convert_to_numpy(v.value) for v in model.trainable_variables]
    assert np.isfinite(loss)
    dtype = "float64" if policy == "float64" else "float32"
    for variable, old, new in zip(model.trainable_variables, before, after, strict=True):
        assert variable.dtype == dtype, variable.path
        assert np.isfinite(new).all(), variable.path
        assert not np.array_equal(old, new), variable.path
    compute = keras.dtype_policies.get(policy).compute_dtype
    dtypes = {compute}
    if policy == "float64":
        # Without x64, JAX has nothing wider than float32; on PyTorch Keras' own matmul, and with it
        # `Dense` without a bias, returns that.
        dtypes = {"jax": {"float32"}, "torch": {"float32", "float64"}}.get(backend, dtypes)
    hidden = model.layers[1](X)
    for training in (False, True):
        for layer in model.layers[1:-1]:
            output = layer(X if layer is model.layers[1] else hidden, training=training)
            assert keras.backend.standardize_dtype(output.dtype) in dtypes, layer.name


@pytest.mark.parametrize("estimator", ["reparameterization", "local_reparameterization", "flipout"])
def test_large_inputs_do_not_overflow_float16(estimator):
    layer = VariationalDense(2, estimator=estimator, dtype="mixed_float16", num_data=1, seed=0)
    layer.build((None, 3))
    y = layer(np.full((2, 3), 1000.0, "float32"), training=True)
    assert np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))).all()
