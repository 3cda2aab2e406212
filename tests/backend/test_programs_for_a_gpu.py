"""What JAX compiles, lowered for a GPU that is not there: no float64, no call back to Python."""

import contextlib
import functools
import importlib
import re

import keras
import numpy as np
import pytest

import keras_priors as kp

if keras.config.backend() != "jax":
    pytest.skip("programs of JAX", allow_module_level=True)

import jax
import jax.numpy as jnp

CHAIN = {"num_samples": 4, "num_burnin": 4, "thinning": 1}
METHODS = {
    "MAP": kp.inference.MAP(),
    "Laplace": kp.inference.Laplace("full"),
    "Laplace kronecker": kp.inference.Laplace("kronecker"),
    "Laplace low rank": kp.inference.Laplace("low_rank", rank=3),
    "Laplace last layer": kp.inference.Laplace("full", layers="last"),
    "NUTS": kp.inference.NUTS(2, 50, 10),
    "HMC": kp.inference.HMC(2, 50, 10),
    "SGLD": kp.inference.SGLD(1e-4, **CHAIN),
    "SGHMC": kp.inference.SGHMC(1e-4, **CHAIN),
    "MeanField": kp.inference.MeanField(10),
    "FullRank": kp.inference.FullRank(10),
    "LowRank": kp.inference.LowRank(2, 10),
    "IVON": kp.inference.IVON(10),
    "SWAG": kp.inference.SWAG(1e-3, burnin_epochs=1, num_snapshots=3),
    "RandomizedMAP": kp.inference.RandomizedMAP(2),
    "DeepEnsemble": kp.inference.DeepEnsemble(2, epochs=1),
}
# TFP's kernels ask for constants in float64, which JAX makes float32 where float64 is not enabled.
OF_TFP = ("NUTS", "HMC")
QUICK = ("Laplace kronecker", "SGHMC", "MeanField")
X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X[:, :1]
LIKELIHOOD = kp.likelihoods.Normal(0.3)


@pytest.fixture
def programs(monkeypatch):
    """The text of each program that is compiled meanwhile, for CUDA, by its function's name."""
    found, real = [], jax.jit

    class Compiled:
        def __init__(self, function, **arguments):
            self._name = getattr(function, "__qualname__", type(function).__name__)
            self._function, self._seen = real(function, **arguments), False

        def __call__(self, *args, **kwargs):
            traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
            if not self._seen and not traced:
                self._seen = True
                exported = jax.export.export(self._function, platforms=["cuda"])(*args, **kwargs)
                found.append((self._name, exported.mlir_module()))
            return self._function(*args, **kwargs)

        def __getattr__(self, name):
            return getattr(self._function, name)

    def jit(function=None, **arguments):
        if function is None:
            return functools.partial(jit, **arguments)
        return Compiled(function, **arguments)

    monkeypatch.setattr(jax, "jit", jit)
    monkeypatch.setattr(importlib.import_module("keras.src.backend.jax.trainer"), "jit", jit)
    return found


@pytest.fixture
def float64():
    """Where it can be seen who asks for it."""
    with contextlib.ExitStack() as stack:
        before = jax.config.jax_enable_x64
        stack.callback(jax.config.update, "jax_enable_x64", before)
        jax.config.update("jax_enable_x64", True)
        yield


def asks_for_float64(programs):
    """The names of those that do. One that calls back to Python is lowered for no absent GPU."""
    return [name for name, text in programs if re.search(r"\bf64\b|xf64>", text)]


def test_a_fault_is_seen(programs, float64):
    def calls(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    jax.jit(lambda x: x + 1.0)(jnp.ones(3, "float64"))
    assert len(asks_for_float64(programs)) == 1
    with pytest.raises(ValueError, match="backend cpu is different from the lowering platform"):
        jax.jit(calls)(jnp.ones(3, "float32"))


def test_training_and_predicting_by_variational_layers(programs, float64):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            kp.VariationalDense(4, activation="tanh", num_data=24, estimator="flipout"),
            kp.VariationalDense(4, num_data=24, estimator="local_reparameterization"),
            kp.VariationalDense(1, num_data=24, kernel_posterior="low_rank"),
        ]
    )
    model.compile("adam", LIKELIHOOD)
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    predictive = kp.predict(model, X, likelihood=LIKELIHOOD, seed=0, verbose=0)
    assert np.all(np.isfinite(predictive.mean))
    assert sum("train_step" in name for name, _ in programs) == 1 and len(programs) > 2
    assert asks_for_float64(programs) == []


@pytest.mark.filterwarnings("ignore::UserWarning")  # few draws, few steps
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in METHODS]
)
def test_every_method(name, programs, float64):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)]
    )
    kp.set_priors(model, kp.NormalPrior(0, 1))
    METHODS[name].fit(model, X, Y, LIKELIHOOD, seed=0, verbose=0).predict(X, seed=0)
    assert len(programs) > 1
    of_tfp = ["compile_chains.<locals>.traced"] if name in OF_TFP else []
    assert asks_for_float64(programs) == of_tfp
