"""The spike-and-slab prior."""

from typing import Any

import numpy as np

from keras_priors import backend
from keras_priors.priors.normal_mixture import log_normal_mixture
from keras_priors.priors.prior import Prior
from keras_priors.priors.special import LOG_2PI
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive, tensor


@export("keras_priors")
class SpikeAndSlabPrior(Prior):
    """Spike and slab: each weight is either negligible or free, both of them normal.

        log p(w) = sum_i log[ pi N(w_i | 0, slab_scale^2) + (1 - pi) N(w_i | 0, spike_scale^2) ]

    in nats, with pi = slab_probability. The spike is a narrow normal, so that the density exists
    and its gradient can be followed.

    Args:
        slab_probability: float or array that broadcasts against the weight, between 0 and 1
            exclusive, the share of weights that matter. Defaults to 0.5.
        slab_scale: float or array, greater than 0, their standard deviation. Defaults to 1.
        spike_scale: float or array, greater than 0 and less than `slab_scale`, the standard
            deviation of the rest. Defaults to 0.01.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite or out of its range, or the shapes do not broadcast
            (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> prior = kp.SpikeAndSlabPrior(0.25, slab_scale=1.0, spike_scale=0.1)
        >>> round(float(prior.log_prob([0.0, 1.0])), 4)
        -1.6765

    References:
        - George and McCulloch, 1993, Variable selection via Gibbs sampling, equation 4.
    """

    _parameters = ("slab_probability", "slab_scale", "spike_scale")
    _log_constant = -0.5 * LOG_2PI

    def __init__(
        self,
        slab_probability: Any = 0.5,
        slab_scale: Any = 1.0,
        spike_scale: Any = 0.01,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        owner = "SpikeAndSlabPrior"
        self.slab_probability = positive(owner, "slab_probability", slab_probability)
        self.slab_scale = positive(owner, "slab_scale", slab_scale)
        self.spike_scale = positive(owner, "spike_scale", spike_scale)
        check_broadcast(owner, **{name: getattr(self, name) for name in self._parameters})
        if not np.all(np.asarray(self.slab_probability) < 1.0):
            raise ValueError(
                f"`slab_probability` of {owner} must be less than 1 everywhere. "
                f"Received: slab_probability={slab_probability!r}."
            )
        if not np.all(np.asarray(self.spike_scale) < np.asarray(self.slab_scale)):
            raise ValueError(
                f"`spike_scale` of {owner} must be less than `slab_scale` everywhere. "
                f"Received: spike_scale={spike_scale!r} and slab_scale={slab_scale!r}."
            )

    def _log_weights(self) -> tuple[Any, Any]:
        p = np.asarray(self.slab_probability)
        return np.log(p), np.log1p(-p)

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        scales = np.broadcast_arrays(*self._log_weights(), self.slab_scale, self.spike_scale)
        logits, scale = np.stack(scales[:2], axis=-1), np.stack(scales[2:], axis=-1)
        parameters: dict[str, Any] = {"logits": logits, "loc": 0.0, "scale": scale}
        full = (*shape, 2) if broadcast else logits.shape
        tensors = {
            name: tensor(np.broadcast_to(value, full), dtype) for name, value in parameters.items()
        }
        return backend.distribution("NormalMixture", **tensors)

    def _log_density(self, w: Any) -> Any:
        return log_normal_mixture(
            w,
            [self._like(value, w) for value in self._log_weights()],
            [self._like(value, w) for value in (self.slab_scale, self.spike_scale)],
        )
