"""Where the weights of a model are, in the names of PyMC."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.functional.check_built import check_built
from keras_priors.functional.positions import Positions
from keras_priors.utils.export import export


@export()
def start(model: Any, *, separator: str = ".") -> dict[str, Any]:
    """The weights that a Keras model has now, as values of its PyMC variables.

    For `pm.find_MAP(start=...)`, `pm.fit(start=...)` and `pm.sample(initvals=...)`. PyMC itself
    begins at the middle of each prior: a net whose weights are all 0 has a gradient of 0, so that
    a search would end there.

    Args:
        model: built `keras.Model` without variational layers.
        separator: as in `keras_priors.bridges.pymc.weights`. Defaults to ".".

    Returns:
        A mapping from the name of each random variable to an array.

    Raises:
        ValueError: a model that is not built or has variational layers, a penalty that is no prior,
            or weights that are not finite, or outside of the support of their prior.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_initializer="ones",
        ...     kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> kp.bridges.pymc.start(model)
        {'line.kernel': array([[1.]])}
    """
    check_built("start", model)
    backend.sync_variables(model)
    positions = Positions(model, expanded=True)
    values = positions.with_scales(positions.current())
    parts = positions.split(positions.unconstrain(values))
    found = {}
    for k, path in enumerate(positions.paths):
        name = path.replace("/", separator)
        if positions.is_scaled(k):
            name, values[k] = f"{name}{separator}z", parts[k]
        found[name] = ops.convert_to_numpy(values[k]).astype("float64")
    return found
