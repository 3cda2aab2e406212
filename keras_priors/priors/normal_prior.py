"""The normal prior."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.priors.latent_scale import LatentScale
from keras_priors.priors.learnable import Learnable
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import Number, check_broadcast, positive, real


@export("keras_priors")
class NormalPrior(Prior):
    """Normal prior on every element of a weight.

        log p(w) = sum_i [ -(w_i - loc)^2 / (2 scale^2) - log scale - log(2 pi) / 2 ]   (nats)

    As a penalty it is L2 regularization (weight decay) whose strength does not depend on the
    batch size: `keras.regularizers.L2(1 / (2 * scale**2 * num_data))` has the same gradient.

    Args:
        loc: float or array that broadcasts against the weight, the mean. Defaults to 0.
        scale: float or array, greater than 0, the standard deviation; or a prior on w > 0, such as
            `HalfCauchyPrior(1.0)`, or `keras_priors.Learnable`: then it is unknown too, in
            variational layers and in every inference over the weights that draws it with them.
            Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight); a density is asked for whose
            scale is learned.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0.0, 1.0, num_data=100)
        >>> layer = keras.layers.Dense(10, kernel_regularizer=prior)
        >>> w = np.array([0.0, 1.0, 2.0], "float32")
        >>> round(float(prior.log_prob(w)), 4)
        -5.2568
        >>> round(float(prior(w)), 6)
        0.052568

    References:
        - MacKay, 1992, A practical Bayesian framework for backpropagation networks, section 3.
    """

    _parameters = ("loc", "scale")
    _library_name = "Normal"

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.loc = real("NormalPrior", "loc", loc)
        if isinstance(scale, Prior):
            scale = Learnable(prior=scale)
        self.scale: Number | Learnable = scale
        if not isinstance(scale, Learnable):
            self.scale = positive("NormalPrior", "scale", scale)
            check_broadcast("NormalPrior", loc=self.loc, scale=self.scale)

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        self._known_scale()
        return super()._distribution(shape, dtype, broadcast)

    def _penalty(self, w: Any, num_data: int) -> Any:
        # One factor in place of three operations: of a small weight, calls are all the cost.
        w = self._as_weight(w)
        self.check_shape(tuple(w.shape))
        return self._quadratic(w, factor=-1.0 / num_data)

    def log_prob(self, w: Any) -> Any:
        """Log density of the whole tensor in nats: a scalar."""
        # The closed form on the hot path: one pass over the weight, where the library's density
        # makes four (benchmarks/training_step.py, variants l2 and prior).
        w = self._as_weight(w)
        self.check_shape(tuple(w.shape))
        return self._quadratic(w)

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """E[log p(w)] in nats under independent normals with these means and variances."""
        self.check_shape(tuple(mean.shape))
        return self._quadratic(mean, variance)

    def as_normal(self, shape: tuple[int, ...]) -> tuple[Any, Any] | None:
        """(loc, scale), or None where the scale is unknown."""
        return None if isinstance(self.scale, Learnable) else (self.loc, self.scale)

    @property
    def latent_scale(self) -> LatentScale | None:
        """The scale, where it is unknown."""
        if not isinstance(self.scale, Learnable):
            return None
        learned = self.scale
        return LatentScale(
            name="prior_scale",
            prior=learned.prior,
            per=learned.per,
            loc=self.loc,
            initial=learned.initial,
            scale_of=lambda s: s,
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        config = super().get_config()
        if isinstance(self.scale, Learnable):
            config["scale"] = keras.saving.serialize_keras_object(self.scale)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "NormalPrior":
        """The prior that `get_config` described."""
        if "class_name" in (config["scale"] if isinstance(config.get("scale"), dict) else {}):
            config = {**config, "scale": keras.saving.deserialize_keras_object(config["scale"])}
        return cls(**config)

    def _known_scale(self) -> Number:
        if isinstance(self.scale, Learnable):
            raise ValueError(
                "A prior whose scale is unknown has no density by itself, and `fit` has no place "
                f"for the scale. Received: {self!r} on a plain layer. Infer both by "
                "keras_priors.inference: NUTS, HMC, SGLD, SGHMC, MeanField, LowRank, FullRank or "
                "Laplace; give it as the prior of a variational layer "
                "(`VariationalDense(10, kernel_prior=...)`, or `to_variational(model, prior=...)`);"
                " or give a number as its scale, which `Laplace().fit(...).tune()` finds."
            )
        return self.scale

    def _quadratic(self, w: Any, variance: Any = None, factor: float = 1.0) -> Any:
        """`factor` times E[log p(w)] for these means and variances, none being zero."""
        size = math.prod(w.shape)
        scale = self._known_scale()
        if isinstance(scale, float):
            log_scales = math.log(scale) * size
        else:
            log_scales = np.log(scale).sum() * (size / np.size(scale))
        # A Python float: one of NumPy's would make float64 of the sum where JAX allows it.
        constant = float(-log_scales - 0.5 * size * math.log(2.0 * math.pi)) * factor
        zero = self.loc == 0.0 if isinstance(self.loc, float) else not np.any(self.loc)
        squares = ops.square(w if zero else w - self._like(self.loc, w))
        if variance is not None:  # on PyTorch a sum with 0 is a pass over the weight
            squares = squares + variance
        if isinstance(scale, float):
            return constant - ops.sum(squares) * (0.5 * factor / scale**2)
        return constant - 0.5 * factor * ops.sum(squares / self._like(np.square(scale), w))
