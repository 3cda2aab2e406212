"""Values, draws and gradients of functions of Keras variables, compiled on each backend."""

import keras
import numpy as np
from keras import ops


def as_numpy(tensor):
    # On TensorFlow `convert_to_tensor` leaves a variable a variable, and NumPy warns of those.
    tensor = ops.cast(tensor, keras.backend.standardize_dtype(tensor.dtype))
    return ops.convert_to_numpy(tensor).astype("float64")


def _jax_step(function, variables, state, with_gradient, once):
    import jax

    def pure(values, state_values, args):
        mapping = [*zip(variables, values, strict=True), *zip(state, state_values, strict=True)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            result = function(*args)
        new = [scope.get_current_value(v) for v in state]
        return result, [s.value if n is None else n for s, n in zip(state, new, strict=True)]

    def step(*args):
        return (pure(*args), [])

    if with_gradient:
        step = jax.value_and_grad(pure, has_aux=True)
    if not once:  # for a single call the compiler costs more than it gives
        step = jax.jit(step)

    def run(*args):
        values, state_values = [v.value for v in variables], [v.value for v in state]
        (result, new), gradients = step(values, state_values, args)
        for variable, value in zip(state, new, strict=True):
            variable.assign(value)
        return result, gradients

    return run


def _tensorflow_step(function, variables, state, with_gradient, once):
    import tensorflow as tf

    @tf.function(autograph=False)
    def step(*args):
        with tf.GradientTape() as tape:
            result = function(*args)
        if not with_gradient:
            return result, []
        values = [v.value for v in variables]
        return result, tape.gradient(result, values, unconnected_gradients="zero")

    return step


def _torch_step(function, variables, state, with_gradient, once):
    import torch

    def step(*args):
        if not with_gradient:
            with torch.no_grad():
                return function(*args), []
        result = function(*args)
        values = [v.value for v in variables]
        gradients = torch.autograd.grad(result, values, allow_unused=True)
        pairs = zip(gradients, values, strict=True)
        return result, [torch.zeros_like(v) if g is None else g for g, v in pairs]

    return step


_STEPS = {"jax": _jax_step, "tensorflow": _tensorflow_step, "torch": _torch_step}


def compiled(function, variables=(), state=(), with_gradient=False, once=False):
    """`function(*tensors)` compiled; a call returns its value and gradients as numpy arrays.

    `state` are variables that the function moves, such as those of seed generators.
    """
    make = _STEPS[keras.backend.backend()]
    step = make(function, list(variables), list(state), with_gradient, once)

    def run(*args):
        value, gradients = step(*args)
        return as_numpy(value), [as_numpy(g) for g in gradients]

    return run


def value_and_gradient(function, variables):
    """Value of `function()` and its gradients, once."""
    return compiled(function, variables, with_gradient=True, once=True)()


def seeds(count, start=0):
    """`count` pairs of words, far apart."""
    words = np.random.default_rng(start).integers(0, 2**32, size=(count, 2), dtype="uint64")
    return ops.convert_to_tensor(words.astype("uint32"), dtype="uint32")


def over_seeds(function, count, start=0):
    """Stack `function(seed)` over `count` seeds, compiled: a numpy array."""
    from keras_priors import backend

    mapped = backend.compile_function(lambda words: backend.map_draws(function, words))
    return as_numpy(mapped(seeds(count, start)))


def standard_errors(samples, expected):
    """How far the mean of `samples` over the first axis is from `expected`, in standard errors."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    difference = np.abs(samples.mean(axis=0) - expected)
    return difference / np.maximum(error, 1e-6 * (1.0 + np.abs(expected)))
