"""The initializer behind `Prior.initializer()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_priors.utils.export import register
from keras_priors.utils.parameters import seed_or_none

if TYPE_CHECKING:
    from keras_priors.priors.prior import Prior


@register
class PriorInitializer(keras.initializers.Initializer):
    """Draws the first value of a weight from a prior."""

    def __init__(self, prior: Prior | dict[str, Any], seed: int | None = None) -> None:
        self.prior = (
            keras.saving.deserialize_keras_object(prior) if isinstance(prior, dict) else prior
        )
        is_generator = isinstance(seed, keras.random.SeedGenerator)
        self.seed = seed if is_generator else seed_or_none("PriorInitializer", seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        draw = self.prior.sample(shape, seed=self.seed)
        return ops.cast(draw, dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"prior": keras.saving.serialize_keras_object(self.prior), "seed": self.seed}
