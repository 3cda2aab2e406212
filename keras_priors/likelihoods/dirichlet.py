"""The Dirichlet likelihood."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.parameters import positive, scalar
from keras_priors.likelihoods.shares import check_share_outputs, concentrations
from keras_priors.likelihoods.special import binet, trigamma
from keras_priors.utils.export import export
from keras_priors.utils.parameters import tensor

# Shares in float32 add up to 1 within this.
_SUM_TOLERANCE = 1e-4


@export()
class Dirichlet(Likelihood):
    """Shares of a whole, whose means and concentration are outputs.

        log p(y | f, r) = sum_k (c_k - 1) log y_k + log Gamma(sum_k c_k) - sum_k log Gamma(c_k)
        c = min_concentration + softplus(r) softmax(f)        (nats)

    So the mean is softmax(f), up to `min_concentration`, and softplus(r) is the concentration.
    With two shares it is the beta likelihood with f the difference of the logits.

    Args:
        min_concentration: float, greater than 0, the least c_k, so that loss and gradient are
            finite for any output. Defaults to 1e-6.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., K + 1), first the K logits f, then r; targets (n, ..., K), the shares of
        one observation. Where a share is not above 0, or their sum is not 1 (within 1e-4), the
        loss is +inf.

    Raises:
        TypeError: `min_concentration` is not a number.
        ValueError: `min_concentration` is not positive, fewer than two shares, a target that does
            not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Dirichlet()
        >>> outputs = np.array([[0.0, 0.0, 0.0, 2.94893]])       # concentration 3: uniform
        >>> round(float(likelihood(np.array([[0.2, 0.3, 0.5]]), outputs)), 4)     # -log 2
        -0.6931

    References:
        - Hijazi and Jernigan, 2009, Modelling compositional data using Dirichlet regression
          models, Journal of Applied Probability and Statistics 4(1).
    """

    _parameters = ("min_concentration",)
    _outputs_per_target = 2

    def __init__(
        self,
        min_concentration: float = 1e-6,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.min_concentration = scalar(
            "Dirichlet",
            "min_concentration",
            positive("Dirichlet", "min_concentration", min_concentration),
        )

    def mean(self, outputs: Any) -> Any:
        """c / sum_k c_k."""
        c = self._concentrations(self._checked(outputs))
        return c / ops.sum(c, axis=-1, keepdims=True)

    def variance(self, outputs: Any) -> Any:
        """m (1 - m) / (sum_k c_k + 1), with m the mean."""
        c = self._concentrations(self._checked(outputs))
        total = ops.sum(c, axis=-1, keepdims=True)
        return (c / total) * ((total - c) / total) / (total + 1.0)

    def distribution(self, outputs: Any) -> Any:
        """The native `Dirichlet`."""
        return backend.distribution(
            "Dirichlet", concentration=self._concentrations(self._checked(outputs))
        )

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        check_share_outputs("Dirichlet", shape)

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """The shares with the axes of the outputs."""
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        return align("Dirichlet", y, outputs, [(outputs.shape[-1] - 1,)], draws)

    def _concentrations(self, outputs: Any) -> Any:
        return concentrations(outputs, self.min_concentration)

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        positive_shares = ops.all(ops.logical_and(y > 0.0, y <= 1.0), axis=-1)
        whole = ops.abs(ops.sum(y, axis=-1) - 1.0) <= _SUM_TOLERANCE
        inside = ops.logical_and(positive_shares, whole)
        log_y = ops.log(ops.where(inside[..., None], y, 1.0 / y.shape[-1]))
        c = self._concentrations(outputs)
        total = ops.sum(c, axis=-1, keepdims=True)
        # Without Stirling's terms, which of large concentrations cancel.
        each = c * (log_y - ops.log(c / total)) - log_y + 0.5 * ops.log(c) - binet(c)
        of_total = (binet(total) - 0.5 * ops.log(total))[..., 0]
        constant = -0.5 * (y.shape[-1] - 1) * math.log(2.0 * math.pi)
        density = ops.sum(each, axis=-1) + of_total + constant
        return ops.where(inside, density, ops.cast(-np.inf, outputs.dtype))

    def _information(self, y: Any, outputs: Any) -> Any:
        """J^T (diag psi'(c) - psi'(sum c)) J, J the slopes of the concentrations."""
        del y
        c = self._concentrations(outputs)
        eye = tensor(np.eye(c.shape[-1]), c.dtype)
        p = ops.softmax(outputs[..., :-1], axis=-1)[..., None]
        raw = outputs[..., -1:][..., None]
        by_logits = ops.softplus(raw) * (p * eye - p * ops.swapaxes(p, -1, -2))
        slopes = ops.concatenate([by_logits, ops.sigmoid(raw) * p], axis=-1)  # (..., K, K + 1)
        total = trigamma(ops.sum(c, axis=-1, keepdims=True))[..., None]
        inner = trigamma(c)[..., None] * eye - total
        return ops.matmul(ops.swapaxes(slopes, -1, -2), ops.matmul(inner, slopes))
