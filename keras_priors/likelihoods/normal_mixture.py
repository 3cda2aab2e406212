"""A likelihood of several hills."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import positive, scalar
from keras_priors.likelihoods.special import log_normal_density
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
class NormalMixture(ElementwiseLikelihood):
    """A mixture of normals whose weights, means and standard deviations are outputs.

        log p(y | a, m, rho) = sum_d logsumexp_k [ log softmax(a_d)_k + log N(y_d; m_dk, s_dk^2) ]
        s = min_scale + softplus(rho)        (nats)

    A mixture density network: targets with several values for the same inputs, or with skewed
    noise. The components can change places, and a component can sink onto one target, which
    `min_scale` bounds; the curvature of one row may be negative, for which
    `keras_priors.inference.Laplace` refuses "kronecker".

    Args:
        num_components: integer of at least 1, K.
        min_scale: float, greater than 0, the least standard deviation, in the units of the
            targets. Defaults to 1e-3.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., 3 K d), first all logits a, then all means m, then all rho, each the K of
        the first target, then the K of the second ...; targets (n, ..., d), or (n, ...) where d
        is 1.

    Raises:
        TypeError: a parameter is no number.
        ValueError: `num_components` or `min_scale` is not positive, the outputs or the target do
            not fit, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.NormalMixture(2)
        >>> two_hills = np.array([[0.0, 0.0, -3.0, 3.0, 0.5, 0.5]])
        >>> float(likelihood.mean(two_hills)[0, 0])
        0.0

    References:
        - Bishop, 1994, Mixture density networks, equations 20 to 23.
    """

    _parameters = ("num_components", "min_scale")

    def __init__(
        self,
        num_components: int,
        min_scale: float = 1e-3,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.num_components = whole_number("NormalMixture", "num_components", num_components)
        self.min_scale = scalar(
            "NormalMixture", "min_scale", positive("NormalMixture", "min_scale", min_scale)
        )
        self._outputs_per_target = 3 * self.num_components

    def mean(self, outputs: Any) -> Any:
        """sum_k softmax(a)_k m_k."""
        logits, loc, _ = self._parts(self._checked(outputs))
        return ops.sum(ops.softmax(logits, axis=-1) * loc, axis=-1)

    def variance(self, outputs: Any) -> Any:
        """sum_k softmax(a)_k (s_k^2 + (m_k - mean)^2)."""
        logits, loc, scale = self._parts(self._checked(outputs))
        away = loc - ops.expand_dims(self.mean(outputs), axis=-1)
        each = ops.square(scale) + ops.square(away)
        return ops.sum(ops.softmax(logits, axis=-1) * each, axis=-1)

    def _parts(self, outputs: Any) -> tuple[Any, Any, Any]:
        """Logits, means and standard deviations, (..., d, K)."""
        width = outputs.shape[-1] // self._outputs_per_target
        blocks = ops.reshape(outputs, (*ops.shape(outputs)[:-1], 3, width, self.num_components))
        scale = self.min_scale + ops.softplus(blocks[..., 2, :, :])
        return blocks[..., 0, :, :], blocks[..., 1, :, :], scale

    def _log_density(self, y: Any, outputs: Any) -> Any:
        logits, loc, scale = self._parts(outputs)
        log_weight = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
        z = (y[..., None] - loc) / scale
        each = log_weight + log_normal_density(z) - ops.log(scale)
        return ops.logsumexp(each, axis=-1)

    def _distribution(self, outputs: Any) -> Any:
        logits, loc, scale = self._parts(outputs)
        return backend.distribution("NormalMixture", logits=logits, loc=loc, scale=scale)
