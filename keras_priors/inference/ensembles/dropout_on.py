"""Dropout that drops also in inference: one mask for all rows, one mask for each draw."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_priors.utils.export import register

# Others are refused by name, subclasses too: what they do when they are called is their own.
PLAIN = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


@register
class DropoutOn(keras.layers.Layer):
    """Takes the place of a dropout layer. One draw of masks is one draw of the weights.

    Args:
        kind: "bernoulli" or "gaussian".
        rate: float, the part that is dropped; sqrt(rate / (1 - rate)) is the deviation of the
            Gaussian kind.
        noise_shape: tuple of integers or None, shape of a mask, 1 or None for the axis of rows; or
            "channels_last" or "channels_first", for masks of whole channels.
    """

    def __init__(self, kind: str, rate: float, noise_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.rate, self.noise_shape = kind, rate, noise_shape
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The inputs times one mask, broadcast over the rows."""
        if self.rate == 0:
            return inputs
        shape = self._shape(inputs)
        if self.kind == "gaussian":
            spread = (self.rate / (1 - self.rate)) ** 0.5
            factor = 1 + spread * keras.random.normal(shape, seed=self.seed_generator)
        else:
            drawn = keras.random.uniform(shape, seed=self.seed_generator)
            factor = ops.cast(drawn >= self.rate, "float32") / (1 - self.rate)
        return inputs * ops.cast(factor, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"kind": self.kind, "rate": self.rate, "noise_shape": self.noise_shape}
        return {**super().get_config(), **own}

    def _shape(self, inputs: Any) -> tuple[Any, ...]:
        sizes = ops.shape(inputs)
        if self.noise_shape == "channels_last":
            return (1,) * (len(sizes) - 1) + (sizes[-1],)
        if self.noise_shape == "channels_first":
            return (1, sizes[1]) + (1,) * (len(sizes) - 2)
        given = self.noise_shape or (None,) * len(sizes)
        return (
            1,
            *(size if n is None else n for n, size in zip(given[1:], sizes[1:], strict=True)),
        )


def dropout_on(layer: Any, rate: float | None) -> Any:
    """The layer that takes the place of `layer`, or None where it drops nothing."""
    kind = type(layer)
    if kind is keras.layers.GaussianDropout:
        return DropoutOn("gaussian", layer.rate if rate is None else rate, None, name=layer.name)
    if kind not in PLAIN:
        return None
    shape = layer.noise_shape if kind is keras.layers.Dropout else "channels_last"
    config = layer.get_config()
    if config.get("data_format") == "channels_first":
        shape = "channels_first"
    return DropoutOn("bernoulli", layer.rate if rate is None else rate, shape, name=layer.name)


def drops_within(layer: Any) -> bool:
    """Whether a layer drops by itself, where no other layer can take its place."""
    if type(layer) in (*PLAIN, keras.layers.GaussianDropout):
        return False
    rates = [vars(layer).get(name) for name in ("dropout", "recurrent_dropout", "_dropout")]
    by_rate = any(isinstance(rate, (int, float)) and rate > 0 for rate in rates)
    others = (keras.layers.AlphaDropout, *PLAIN, keras.layers.GaussianDropout)
    return by_rate or isinstance(layer, others)
