"""The weights of a model as random variables of PyMC."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors import priors
from keras_priors.bridges.library import library
from keras_priors.functional.check_built import check_built
from keras_priors.functional.positions import Positions
from keras_priors.functional.warn_flat import warn_flat
from keras_priors.utils.export import export


@export()
def weights(model: Any, *, separator: str = ".") -> dict[str, Any]:
    """One PyMC random variable for each trained weight of a Keras model, with its prior.

    Called within a `pm.Model`. A prior becomes the distribution of PyMC that has its density
    (`NormalPrior` is `pm.Normal`, with PyMC's transforms where it has bounds); where PyMC has none,
    it is a `pm.CustomDist` of our density and our draws, so that prior predictive draws are there
    too. A weight without a prior is `pm.Flat`, which is said by a warning. `num_data` of the
    priors has no part in it.

    A weight whose prior has an unknown scale s, as in `NormalPrior(0, HalfCauchyPrior(1.0))`, is

        w = loc + s z,   z ~ N(0, 1),   s ~ p(s)

    with the random variables z ("dense.kernel.z") and s ("dense.kernel.prior_scale") and the
    `pm.Deterministic` w; so is a horseshoe, with a scale for each element, because no sampler
    follows its marginal density into the pole at 0.

    PyMC begins at the middle of each prior, and a net whose weights are all 0 has a gradient of 0:
    `pm.find_MAP` and `pm.fit` want `start=keras_priors.bridges.pymc.start(model)`. The variables
    have no `initval`, with which PyMC refuses `pm.compute_log_likelihood`, `pm.do` and
    `pm.observe`.

    Args:
        model: built `keras.Model` without variational layers, not changed.
        separator: str that stands for each slash of a path in the names of the random variables.
            Defaults to ".": "dense.kernel", because xarray takes no name with a slash.

    Returns:
        A mapping from path, as `keras_priors.get_priors` lists them, to the variable; with the
        unknown scales after all weights ("dense/kernel/prior_scale").

    Raises:
        ModuleNotFoundError: without PyMC.
        ValueError: a model that is not built or has variational layers, or a penalty that is no
            prior.

    Example:
        >>> import keras, pymc as pm
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> with pm.Model() as line:
        ...     kernel = kp.bridges.pymc.weights(model)["line/kernel"]
        >>> kernel.name, kernel.type.shape
        ('line.kernel', (2, 1))

    References:
        - Papaspiliopoulos, Roberts and Skold, 2007, A general framework for the parametrization of
          hierarchical models (non-centred coordinates).
    """
    pm = library("pymc")
    from keras_priors.bridges.pymc.distributions import distribution
    from keras_priors.bridges.pymc.tensor_function import tensor_function

    check_built("weights", model)
    positions = Positions(model, expanded=True)
    warn_flat(model, positions)
    names = [path.replace("/", separator) for path in positions.paths]

    def entry(k: int) -> Any:
        return distribution(names[k], positions.priors[k], positions.shapes[k])

    found = {scaled.scale: entry(scaled.scale) for scaled in positions.scaled}
    for k in range(len(names)):
        if k in found:
            continue
        if not positions.is_scaled(k):
            found[k] = entry(k)
            continue
        scaled = positions.scaled_of(k)
        s, scale_of = found[scaled.scale], scaled.latent.scale_of
        if not isinstance(positions.priors[k], priors.NormalPrior):  # whose s is the scale itself
            (s,) = tensor_function(lambda s, of=scale_of: (of(s),), [s], [s.type.shape], "scale")
        z = pm.Normal(f"{names[k]}{separator}z", shape=positions.shapes[k])
        found[k] = pm.Deterministic(names[k], np.asarray(scaled.latent.loc) + s * z)
    return {positions.paths[k]: found[k] for k in range(positions.shown)}
