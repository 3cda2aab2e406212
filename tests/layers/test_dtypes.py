"""Every dtype policy trains one step; posteriors stay in full precision."""

import keras
import numpy as np
import pytest

from keras_priors.layers import VariationalDense
from tests.layers._layers import PAIRS
from tests.posteriors._families import FAMILIES

# Each of them compiles and fits a model, or takes thousands of draws.
pytestmark = pytest.mark.slow

POLICIES = ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"]


def fit(policy, estimator, family):
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            VariationalDense(
                4,
                "relu",
                kernel_posterior=FAMILIES[family],
                estimator=estimator,
                num_data=8,
                seed=0,
            ),
            VariationalDense(
                2, kernel_posterior=FAMILIES[family], estimator=estimator, num_data=8, seed=1
            ),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    before = [keras.ops.convert_to_numpy(v.value).copy() for v in model.trainable_variables]
    loss = model.fit(x, x[:, :2], epochs=1, verbose=0).history["loss"][0]
    after = [keras.ops.convert_to_numpy(v.value) for v in model.trainable_variables]
    return model, loss, before, after


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "estimator, family",
    [(e, f) for e, f in PAIRS if f == "mean_field" or e == "reparameterization"],
)
def test_one_step(policy, estimator, family):
    if policy == "float64":
        keras.config.set_floatx("float64")
    model, loss, before, after = fit(policy, estimator, family)
    assert np.isfinite(loss)
    dtype = "float64" if policy == "float64" else "float32"
    for variable, old, new in zip(model.trainable_variables, before, after, strict=True):
        assert variable.dtype == dtype, variable.path
        assert np.isfinite(new).all(), variable.path
        assert not np.array_equal(old, new), variable.path
    if policy == "float64" and keras.backend.backend() != "tensorflow":
        return  # JAX has no float64 by default; Keras' own matmul returns float32 on PyTorch
    x = np.ones((2, 3), "float32")
    compute = keras.dtype_policies.get(policy).compute_dtype
    for training in (False, True):
        output = model(x, training=training)
        assert keras.backend.standardize_dtype(output.dtype) == compute


@pytest.mark.parametrize("estimator", ["reparameterization", "local_reparameterization", "flipout"])
def test_large_inputs_do_not_overflow_float16(estimator):
    layer = VariationalDense(2, estimator=estimator, dtype="mixed_float16", num_data=1, seed=0)
    layer.build((None, 3))
    y = layer(np.full((2, 3), 1000.0, "float32"), training=True)
    assert np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))).all()
