"""The KL of one weight, as the regularizer of its first variable."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

import keras
from keras import ops

from keras_priors.layers.conditional_normal import ConditionalNormal
from keras_priors.posteriors.posterior import Posterior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import register, share
from keras_priors.utils.unset_num_data import check_in_loss, warn_unset


class PenalizedLayer(Protocol):
    """What the penalties of a `VariationalLayer` ask of it."""

    seed_generator: Any
    kl_weight: Any
    kl_samples: int
    temperature: float
    _num_data_check: Any
    _kl_penalties: list[KLPenalty]

    @property
    def num_data(self) -> int | None:
        """Number of observations whose mean is the loss, or None."""


@share
@register
class KLPenalty(keras.regularizers.Regularizer):
    """kl_weight * (KL(q‖p) + (1 - T) H(q)) / num_data, in nats per observation.

    At a temperature T of 1 the KL; else -E[log p(w)] - T H(q).

    It hangs on a weight, not on `add_loss`: Keras calls the regularizer of each trained variable
    once for each loss, however often its layer was called, on every backend. For the same reason a
    KL without closed form takes draws of its own: that of the forward pass belongs to another trace
    on TensorFlow and JAX, and a shared layer has had several.
    """

    def __init__(
        self,
        layer: PenalizedLayer,
        posterior: Posterior,
        prior: Prior,
        learned: ConditionalNormal | None = None,
        of_scale: KLPenalty | None = None,
    ) -> None:
        self.layer = layer
        self.posterior = posterior
        self.prior = prior
        self.learned = learned
        self.of_scale = of_scale

    @property
    def num_data(self) -> int | None:
        """The layer's `num_data`, else that of the prior, else that of the layer's other prior."""
        # All weights of a layer see the same data: a number given with the kernel's prior alone
        # holds for the default prior of the bias too.
        others = (penalty.prior.num_data for penalty in self.layer._kl_penalties)
        return self.layer.num_data or self.prior.num_data or next(filter(None, others), None)

    @property
    def density(self) -> Prior:
        """What stands for the prior in the KL: itself, unless its scale is learned."""
        return self.prior if self.learned is None else self.learned

    @property
    def parts(self) -> list[KLPenalty]:
        """This one and, where the scale of the prior has a posterior, that of the scale."""
        return [self] if self.of_scale is None else [self, self.of_scale]

    @property
    def is_exact(self) -> bool:
        """Whether no part needs draws."""
        return all(part.posterior.kl_is_exact(part.density) for part in self.parts)

    def kl(self, seed: Any = None, num_samples: int | None = None) -> Any:
        """KL(q‖p) in nats, summed over the tensor; by default with the layer's seed and draws."""
        return self.posterior.kl(
            self.density,
            seed=self.layer.seed_generator if seed is None else seed,
            num_samples=num_samples or self.layer.kl_samples,
        )

    def tempered(self, seed: Any = None, num_samples: int | None = None) -> Any:
        """-E[log p(w)] - T H(q) in nats: what stands in the loss, the KL at a temperature of 1."""
        kl, temperature = self.kl(seed, num_samples), self.layer.temperature
        return kl if temperature == 1.0 else kl + (1.0 - temperature) * self.posterior.entropy()

    def __call__(self, w: Any) -> Any:
        if self.num_data is None:
            warn_unset("a variational layer")
        if self.layer._num_data_check is not None:
            check_in_loss(self.layer)
        weight = ops.convert_to_tensor(self.layer.kl_weight) / (self.num_data or 1)
        kl = self.tempered()
        return ops.cast(ops.cast(weight, kl.dtype) * kl, keras.config.floatx())

    def get_config(self) -> NoReturn:
        """Refused: the layer is saved, and makes its penalties anew."""
        raise NotImplementedError("The penalty of a posterior has no config: save its layer.")
