"""The scale mixture of normals."""

from typing import Any

import numpy as np

from keras_priors import backend
from keras_priors.priors.normal_mixture import log_normal_mixture
from keras_priors.priors.prior import Prior
from keras_priors.priors.special import LOG_2PI
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive, tensor


@export("keras_priors")
class ScaleMixturePrior(Prior):
    """Mixture of normals with mean zero: narrow ones for most weights, wide ones for a few.

        log p(w) = sum_i log sum_k weights_k N(w_i | 0, scales_k^2)   (nats)

    Computed in log space, so that no component underflows.

    Args:
        weights: sequence of K numbers greater than 0 that sum to 1 (to 1e-6), the probabilities
            of the components. Defaults to (0.5, 0.5).
        scales: sequence of K numbers greater than 0, their standard deviations. Defaults to
            (1.0, 0.0025), one of those of Blundell et al. (1 and exp(-6)). Both are the same for
            every element of a weight: `SpikeAndSlabPrior` takes arrays that broadcast.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not an array of numbers.
        ValueError: a parameter is not finite, not positive or not of one axis, the two differ in
            length, or the weights do not sum to 1.

    Example:
        >>> import keras_priors as kp
        >>> prior = kp.ScaleMixturePrior(weights=(0.25, 0.75), scales=(1.0, 0.1))
        >>> round(float(prior.log_prob([0.0, 1.0])), 4)
        -1.6765

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, equation 7,
          arXiv:1505.05424.
    """

    _parameters = ("weights", "scales")
    _log_constant = -0.5 * LOG_2PI

    def __init__(
        self,
        weights: Any = (0.5, 0.5),
        scales: Any = (1.0, 0.0025),
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        owner = "ScaleMixturePrior"
        self.weights = np.asarray(positive(owner, "weights", weights))
        self.scales = np.asarray(positive(owner, "scales", scales))
        if self.weights.ndim != 1 or self.weights.shape != self.scales.shape:
            raise ValueError(
                "`weights` and `scales` of ScaleMixturePrior must have one axis and one number "
                "for each component. Received: weights of shape "
                f"{self.weights.shape} and scales of shape {self.scales.shape}."
            )
        if abs(self.weights.sum() - 1.0) > 1e-6:
            raise ValueError(
                "`weights` of ScaleMixturePrior must sum to 1. Received: "
                f"weights={weights!r} with sum {self.weights.sum()}. Divide them by their sum."
            )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Nothing to refuse: the components are the same for every element."""

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        parameters = {"logits": np.log(self.weights), "loc": 0.0, "scale": self.scales}
        full = (*shape, self.weights.size) if broadcast else (self.weights.size,)
        tensors = {
            name: tensor(np.broadcast_to(value, full), dtype) for name, value in parameters.items()
        }
        return backend.distribution("NormalMixture", **tensors)

    def _log_density(self, w: Any) -> Any:
        return log_normal_mixture(w, np.log(self.weights).tolist(), self.scales.tolist())
