"""The log posterior of a model as a PyMC model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.bridges.library import library
from keras_priors.bridges.pymc.outputs import outputs
from keras_priors.bridges.pymc.weights import weights
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.utils.export import export


@export()
def to_pymc(
    model: Any, x: Any, y: Any = None, likelihood: Any = None, *, separator: str = "."
) -> Any:
    """A `pm.Model` whose log posterior is that of a Keras model with priors, given data.

    The weights are those of `keras_priors.bridges.pymc.weights`, the inputs `pm.Data` "x", and the
    targets an observed variable "y" whose density and draws are those of the likelihood, so that
    `pm.sample`, `pm.find_MAP`, `pm.fit`, `pm.compute_log_likelihood` and
    `pm.sample_posterior_predictive` are at hand, the last after `pm.set_data({"x": ...})` at new
    rows. Of several inputs or outputs the names are "x.NAME" and "y.NAME", or of a list "x.0".

    PyMC's NUTS runs on every backend, a call of Python for each gradient: `pm.sample(cores=1)`,
    because the threads of a backend do not live on in a forked process (it is refused there).

    Args:
        model: built `keras.Model` without variational layers, not changed.
        x: inputs: arrays in the structure of the model's inputs, or a data set of (x, y) batches,
            which is read once.
        y: targets, in the structure of the outputs. None with a data set.
        likelihood: a likelihood, or a stock loss that is one; for several outputs, a structure of
            them. Defaults to None: the loss that the model was compiled with.
        separator: str that stands for each slash of a path. Defaults to ".".

    Returns:
        A `pm.Model`. Within it more may be added.

    Raises:
        ModuleNotFoundError: without PyMC.
        ValueError: as `keras_priors.inference.LogPosterior`; outputs with a mask.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_initializer="ones",
        ...     kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> line = kp.bridges.pymc.to_pymc(
        ...     model, np.ones((2, 1)), np.zeros((2, 1)), kp.likelihoods.Normal(1.0))
        >>> density = line.compile_logp()(kp.bridges.pymc.start(model))
        >>> round(float(density), 4)    # 3 (-log(2 pi) - 1) / 2
        -4.2568

    `keras_priors.bridges.pymc.from_pymc` takes the draws back.
    """
    pm = library("pymc")
    log_posterior = LogPosterior(model, x, y, likelihood)
    data = log_posterior.observations
    parts = log_posterior.likelihoods
    _check_no_mask(model, data, parts)
    with pm.Model() as built:
        shared = _shared("x", data.x)
        found = outputs(model, shared, weights(model, separator=separator))
        names = keras.tree.pack_sequence_as(data.y, _names("y", data.y))
        targets = {id(name): target for name, target in _pairs(names, data.y)}
        for one, name, output in parts.each(names, found):
            _observed(name, one, targets[id(name)], output)
    return built


def _names(stem: str, structure: Any) -> list[str]:
    if not keras.tree.is_nested(structure):
        return [stem]
    keys = sorted(structure) if isinstance(structure, dict) else range(len(structure))
    return [f"{stem}.{key}" for key in keys]


def _pairs(names: Any, values: Any) -> Any:
    return zip(keras.tree.flatten(names), keras.tree.flatten(values), strict=True)


def _shared(stem: str, structure: Any) -> Any:
    pm = library("pymc")
    leaves = zip(_names(stem, structure), keras.tree.flatten(structure), strict=True)
    return keras.tree.pack_sequence_as(structure, [pm.Data(name, leaf) for name, leaf in leaves])


def _observed(name: str, likelihood: Any, y: Any, outputs: Any) -> None:
    """Targets with the density of a likelihood, one number for each observation."""
    pm = library("pymc")
    from keras_priors.bridges.pymc.tensor_function import tensor_function

    axes = max(outputs.type.ndim - 1, 1)  # of observations; of outputs there may be none
    if isinstance(likelihood, Categorical) and y.ndim == outputs.type.ndim > axes:
        y = _classes(y, outputs.type.shape[-1])
    event = y.shape[axes:]
    discrete = y.dtype.kind in "biu"

    def logp(value: Any, f: Any, *template: Any) -> Any:
        (density,) = tensor_function(
            lambda y, f: (likelihood.log_prob(y, f),),
            [value, f],
            [f.type.shape[:axes]],
            f"log density of {name}",
        )
        return density

    sample = backend.compile_function(likelihood.sample)

    def random(f: Any, *template: Any, rng: Any = None, size: Any = None) -> Any:
        number = f.shape[:axes] if size is None else tuple(size)
        f = np.broadcast_to(f, (*number, *f.shape[f.ndim - (outputs.type.ndim - axes) :]))
        seed = backend.as_seed(int(rng.integers(2**31)))
        draw = sample(ops.convert_to_tensor(f.astype("float32")), seed)
        return np.reshape(ops.convert_to_numpy(draw), (*number, *event)).astype(y.dtype)

    core = "d" if outputs.type.ndim > axes else ""
    pm.CustomDist(
        name,
        outputs,
        *([np.zeros(event)] if event else []),  # tells PyMC the size of a target
        logp=logp,
        random=random,
        signature=f"({core}),(t)->(t)" if event else f"({core})->()",
        shape=(*(outputs.shape[k] for k in range(axes)), *event),
        dtype="int64" if discrete else "floatX",
        observed=pm.Data(f"{name}_data", y),
        class_name=type(likelihood).__name__,
    )


def _classes(y: Any, number: Any) -> Any:
    """The numbers of the classes, of one-hot targets; others as they are."""
    one_hot = y.shape[-1] == number and np.array_equal(y, np.eye(number)[y.argmax(axis=-1)])
    return y.argmax(axis=-1) if one_hot else y


def _check_no_mask(model: Any, data: Any, parts: Any) -> None:
    for likelihood, _, output in parts.each(data.y, model(data.x, training=False)):
        if not np.all(ops.convert_to_numpy(likelihood._weights(output, output)) == 1.0):
            raise ValueError(
                "Every output must count in PyMC's log likelihood, which knows no mask. Received: "
                f"{model.name} with outputs that a mask leaves out. Use "
                "keras_priors.inference.NUTS, which obeys it; or LogPosterior(...).logdensity()."
            )
