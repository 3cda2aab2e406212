"""Priors centred on trained weights."""

from typing import Any

import keras
import numpy as np

from keras_priors.functional.check_built import check_built
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive


@export("keras_priors")
def pretrained_prior(model: keras.Model, scale: Any = 1.0) -> dict[str, NormalPrior]:
    """N(w, scale^2) for each trained weight w of a model: empirical Bayes from a trained net.

    For `keras_priors.to_variational(model, prior=keras_priors.pretrained_prior(model, 0.1))`. The
    trained values become part of the priors, and are saved with the model's configuration.

    Args:
        model: built `keras.Model`.
        scale: float, or a mapping from the path of a weight to a float: the standard deviation
            of the priors. Defaults to 1.0.

    Returns:
        Mapping from the path of each trainable weight to its prior.

    Raises:
        TypeError: `model` is not a Keras model, or `scale` not a number.
        ValueError: the model is not built, or a scale is not positive.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="out")])
        >>> sorted(path.split("/")[-1] for path in kp.pretrained_prior(model, scale=0.1))
        ['bias', 'kernel']

    References:
        - Krishnan, Subedar and Tickoo, 2020, arXiv:1906.05323, section 3.
    """
    check_built("pretrained_prior", model)
    scales = scale if isinstance(scale, dict) else {}
    default = 1.0 if isinstance(scale, dict) else positive("pretrained_prior", "scale", scale)
    unknown = set(scales) - {v.path for v in model.trainable_variables}
    if unknown:
        raise ValueError(
            f"`scale` must name trainable weights of {model.name}. Received: {sorted(unknown)}."
        )
    return {
        v.path: NormalPrior(_values(v), scales.get(v.path, default))
        for v in model.trainable_variables
    }


def _values(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)))
