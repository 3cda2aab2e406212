"""A prior that a copy of its layer has not."""

from typing import Any

import keras

from keras_priors.priors.prior import Prior
from keras_priors.utils.export import share


@share
def lost_prior(prior: Any, kept: Any) -> Prior | None:
    """A copy of the prior of a variable, where the config of its layer does not keep it.

    Such are those of `set_priors(..., saved=False)`.

    Args:
        prior: the regularizer of the variable.
        kept: that of the layer, or of the variable's copy.

    Returns:
        None where `prior` is none, or `kept` says the same.
    """
    if not isinstance(prior, Prior):
        return None
    config = keras.saving.serialize_keras_object(prior)
    if isinstance(kept, Prior) and keras.saving.serialize_keras_object(kept) == config:
        return None
    copy: Prior = keras.saving.deserialize_keras_object(config)
    return copy
