"""Posterior families by name."""

from typing import Any

import keras

from keras_priors.posteriors.delta import Delta
from keras_priors.posteriors.full_normal import FullNormal
from keras_priors.posteriors.log_normal import LogNormal
from keras_priors.posteriors.low_rank_normal import LowRankNormal
from keras_priors.posteriors.matrix_normal import MatrixNormal
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.posteriors.posterior import Posterior
from keras_priors.utils.export import export

_BY_NAME: dict[str, type[Posterior]] = {
    "mean_field": MeanFieldNormal,
    "delta": Delta,
    "low_rank": LowRankNormal,
    "full": FullNormal,
    "matrix_normal": MatrixNormal,
    "log_normal": LogNormal,
}


@export()
def get(identifier: Any) -> Posterior:
    """Return a posterior family for a name, a class, a config or an instance.

    Args:
        identifier: one of "mean_field", "delta", "low_rank", "full", "matrix_normal",
            "log_normal"; a `Posterior` class or instance; or a serialized config.

    Returns:
        A `Posterior`. An instance is returned as it is; layers take copies.

    Raises:
        ValueError: the name is not known.
        TypeError: `identifier` is nothing that describes a posterior.

    Example:
        >>> import keras_priors as kp
        >>> kp.posteriors.get("low_rank")
        LowRankNormal(rank=1, initial_scale=None, scale_rate=1.0)
    """
    if isinstance(identifier, Posterior):
        return identifier
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
        return get(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Posterior):
        return identifier()
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise ValueError(
                f"A posterior family by name must be one of {sorted(_BY_NAME)}. "
                f"Received: {identifier!r}. Use one of the names, or an instance such as "
                "keras_priors.posteriors.MeanFieldNormal(initial_scale=0.01)."
            )
        return _BY_NAME[identifier]()
    raise TypeError(
        "A posterior must be a name, a class or an instance of keras_priors.posteriors. "
        f"Received: {identifier!r} of type {type(identifier).__name__}."
    )
