"""The continuous ranked probability score of normals."""

from typing import Any

import numpy as np

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.mixtures import normal_mixture_crps
from keras_priors.metrics.rows import real_array, weighted_mean
from keras_priors.metrics.scores import normal_crps
from keras_priors.utils.export import export


@export()
def crps_normal(y_true: Any, mean: Any, scale: Any, *, sample_weight: Any = None) -> float:
    """Continuous ranked probability score of normals, or of mixtures of them, in closed form.

        scale (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)),    z = (y - mean) / scale

    averaged over rows and outputs; see `crps`.

    Args:
        y_true: array (N, ...), the targets.
        mean: array (N, ...); or (S, N, ...), with one axis more in front, for mixtures of S normals
            of equal weight.
        scale: array that broadcasts against `mean`, the standard deviations, greater than 0.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The mean, a float.

    Raises:
        ValueError: shapes that do not match, NaN, or scales that are not positive.

    Example:
        >>> import keras_priors as kp
        >>> round(kp.metrics.crps_normal([0.0], [0.0], [1.0]), 4)  # (sqrt(2) - 1) / sqrt(pi)
        0.2337

    References:
        - Gneiting and Raftery, 2007, Strictly proper scoring rules, prediction, and estimation,
          section 4.2, Journal of the American Statistical Association 102(477).
    """
    y, mean = real_array(y_true, "y_true"), real_array(mean, "mean")
    scale = real_array(scale, "scale")
    if not np.all(scale > 0.0):
        raise ValueError(f"`scale` must be greater than 0. Received: least {scale.min():.4g}.")
    if mean.shape not in (y.shape, (*mean.shape[:1], *y.shape)) or y.ndim == 0:
        raise ValueError(
            "`mean` must have the shape of `y_true`, or one axis more in front. Received: mean of "
            f"shape {mean.shape}, y_true of shape {y.shape}."
        )
    scale = np.broadcast_to(scale, mean.shape)
    one = mean.ndim == y.ndim
    values = normal_crps(NUMPY, y, mean, scale) if one else normal_mixture_crps(y, mean, scale)
    return weighted_mean(values, sample_weight)
