"""A weight of a Keras layer where there is a posterior."""

from typing import Any


class PosteriorMean:
    """The attribute by which the Keras layer has a weight: the posterior's mean, read-only."""

    def __init__(self, weight: str) -> None:
        self._weight = weight
        self.__doc__ = f"Mean of the posterior of the {weight}; None where there is no {weight}."

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        if not layer.built:
            raise AttributeError(f"{layer.name} must be built before it has a `{self._weight}`.")
        posterior = layer.posteriors.get(self._weight)
        return None if posterior is None else posterior.mean()

    def __set__(self, layer: Any, value: Any) -> None:
        # Keras' `build` assigns what `add_weight` returned: the posterior, which is kept already.
        if layer.built:
            argument = layer.weight_arguments[self._weight]
            raise AttributeError(
                f"`{self._weight}` of {layer.name} is the mean of a posterior and cannot be set. "
                f"Assign to the variables of its `{argument}_posterior`, such as `loc`."
            )
