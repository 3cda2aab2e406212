"""Where numbers are hard: half precision, inputs far from zero, peaks of the density."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference import test_failures

LIKELIHOOD = kp.likelihoods.Normal(0.1)
NOT_BY_THE_LOG_POSTERIOR = {"DeepEnsemble", "MCDropout", "VariationalLayers"}
METHODS = {
    name: method
    for name, method in test_failures.METHODS.items()
    if name not in NOT_BY_THE_LOG_POSTERIOR
}
# Too few transitions end at a step size at which all diverge, and are refused.
METHODS["NUTS"] = kp.inference.NUTS(num_samples=20, num_warmup=100, num_chains=2)
METHODS["HMC"] = kp.inference.HMC(num_samples=20, num_warmup=100, num_chains=2)

IN_CI = {("MAP", "mixed_float16"), ("SGLD", "mixed_float16"), ("Laplace", "mixed_bfloat16")}


def line(width, policy="float32", bias_scale=1.0):
    dense = keras.layers.Dense(
        1,
        kernel_regularizer=kp.NormalPrior(0, 1),
        bias_regularizer=kp.NormalPrior(0, bias_scale),
        name="line",
        dtype=policy,
    )
    return keras.Sequential([keras.Input((width,)), dense])


def rows(count=60, width=3, shift=0.0):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, width)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "float32")
    y = y + 0.1 * random.normal(size=(count, 1)).astype("float32")
    return x + np.float32(shift), y.astype("float32")


def exact(x, y, bias_scale):
    """(mean, precision) of kernel and bias, in float64."""
    design = np.column_stack([x.astype("float64"), np.ones(len(x))])
    prior = np.diag([1.0] * x.shape[1] + [bias_scale**-2])
    precision = design.T @ design / 0.1**2 + prior
    return np.linalg.solve(precision, design.T @ y / 0.1**2)[:, 0], precision


def flat(mean):
    return np.concatenate([mean["line/kernel"][:, 0], mean["line/bias"]]).astype("float64")


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        # Each compiles two programs; all go through the same outputs.
        pytest.param(name, policy, marks=[] if (name, policy) in IN_CI else pytest.mark.slow)
        for name in METHODS
        for policy in ("mixed_float16", "mixed_bfloat16")
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # few draws, few steps
def test_half_precision_does_not_reach_the_log_posterior(name, policy, backend):
    if backend == "torch" and name in ("NUTS", "HMC"):
        pytest.skip("its kernels are not on PyTorch")
    x, y = rows()
    found = []
    for chosen in ("float32", policy):
        model = line(3, chosen)
        model.layers[-1].set_weights([np.full((3, 1), 0.1, "float32"), np.zeros(1, "float32")])
        posterior = METHODS[name].fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
        assert model.layers[-1].dtype_policy.name == chosen
        found.append(flat(posterior.mean()))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shift", [0.0, 30.0, 1000.0])
def test_the_mode_is_found_far_from_zero(shift):
    x, y = rows(200, shift=shift)
    posterior = kp.inference.MAP().fit(line(3, bias_scale=1e4), x, y, LIKELIHOOD, verbose=0)
    mean, precision = exact(x, y, 1e4)
    away = flat(posterior.mean()) - mean
    assert np.sqrt(away @ precision @ away / len(away)) < 0.1


def test_a_search_that_cannot_move_has_not_converged(monkeypatch):
    """Values that are all alike show no higher point; the gradient knows better."""
    from keras_priors.inference import newton

    monkeypatch.setattr(newton, "_STEPS", 1)
    monkeypatch.setattr(newton, "_HALVINGS", 0)
    x, y = rows(200, shift=1000.0)
    monkeypatch.setattr(newton, "_EPSILON", 1.0)  # no difference between values counts
    with pytest.warns(UserWarning, match="MAP stopped before it converged"):
        kp.inference.MAP().fit(line(3, bias_scale=1e4), x, y, LIKELIHOOD, verbose=0)


def test_a_peak_is_a_mode():
    """Soft thresholding of the least-squares slope, by sigma^2 / (b sum x^2)."""
    x = np.array([[1.0], [-1.0], [2.0]], "float32")
    for y, wanted in ((0.02 * x, 0.0), (3.0 * x, 3.0 - 0.1**2 / (6.0 * 0.01))):
        model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(
                    1,
                    use_bias=False,
                    kernel_regularizer=kp.LaplacePrior(0.0, 0.01),
                    kernel_initializer=keras.initializers.Constant(0.5),
                    name="line",
                ),
            ]
        )
        posterior = kp.inference.MAP().fit(model, x, y, LIKELIHOOD, verbose=0)
        np.testing.assert_allclose(posterior.mean()["line/kernel"][0, 0], wanted, atol=1e-3)
