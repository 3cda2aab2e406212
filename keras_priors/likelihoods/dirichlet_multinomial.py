"""The Dirichlet-multinomial likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.parameters import positive, scalar
from keras_priors.likelihoods.shares import check_share_outputs, concentrations
from keras_priors.likelihoods.special import binet, log1p_excess, stirling_rest
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
class DirichletMultinomial(Likelihood):
    """Counts of K kinds among n, whose shares vary more than those of a multinomial.

        log p(y | f, r) = log n! - sum_k log y_k! + log Gamma(C) - log Gamma(C + n)
                          + sum_k [ log Gamma(c_k + y_k) - log Gamma(c_k) ]
        c = min_concentration + softplus(r) softmax(f),   C = sum_k c_k,   n = sum_k y_k   (nats)

    A multinomial whose probabilities are a draw from the `Dirichlet` with these outputs: votes of
    a town, species in a sample, words of a text. The mean share is softmax(f), up to
    `min_concentration`; with a large concentration it is a multinomial, and with two kinds a
    beta-binomial.

    Args:
        total_count: integer, n, the same for each observation; a target of another sum has no
            density. None: it is the sum of each target. Defaults to None.
        min_concentration: float, greater than 0, the least c_k. Defaults to 1e-6.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., K + 1), first the K logits f, then r; targets (n, ..., K), the counts of
        one observation. What is no count has no density: the loss is +inf. (With n = 0 an
        observation says nothing, and its loss is 0.)

        With total_count=None outputs do not say how many there will be: `mean`, `variance` and
        `sample`, (n, ..., K), are those of n = 1, so that the mean is the shares, as of `Binomial`.

    The curvature of one row may be negative: `keras_priors.inference.Laplace` then refuses
    "kronecker".

    Raises:
        TypeError: `total_count` is no integer, `min_concentration` no number.
        ValueError: one of them is not positive, fewer than two kinds, a target that does not fit
            the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.DirichletMultinomial()
        >>> outputs = np.array([[0.0, 0.0, 0.0, 2.94893]])       # concentration 3: uniform
        >>> loss = likelihood(np.array([[0, 1, 1]]), outputs)    # of 6 ways to share out 2
        >>> round(float(loss), 4)                                # log 6
        1.7918

    References:
        - Mosimann, 1962, On the compound multinomial distribution, Biometrika 49(1-2).
    """

    is_discrete = True
    _parameters = ("total_count", "min_concentration")
    _outputs_per_target = 2

    def __init__(
        self,
        total_count: int | None = None,
        min_concentration: float = 1e-6,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        owner = "DirichletMultinomial"
        self.total_count = (
            None if total_count is None else whole_number(owner, "total_count", total_count)
        )
        self.min_concentration = scalar(
            owner,
            "min_concentration",
            positive(owner, "min_concentration", min_concentration),
        )

    def mean(self, outputs: Any) -> Any:
        """n c / C; of n = 1 where total_count=None."""
        c = self._concentrations(self._checked(outputs))
        return self._trials * c / ops.sum(c, axis=-1, keepdims=True)

    def variance(self, outputs: Any) -> Any:
        """n m (1 - m) (n + C) / (1 + C), with m = c / C; of n = 1 where total_count=None."""
        c = self._concentrations(self._checked(outputs))
        total = ops.sum(c, axis=-1, keepdims=True)
        of_one = (c / total) * ((total - c) / total)
        return self._trials * of_one * (self._trials + total) / (1.0 + total)

    def distribution(self, outputs: Any) -> Any:
        """The native `DirichletMultinomial`; of one count where total_count=None."""
        c = self._concentrations(self._checked(outputs))
        count = ops.full_like(c[..., 0], float(self._trials))
        return backend.distribution("DirichletMultinomial", total_count=count, concentration=c)

    @property
    def _trials(self) -> int:
        return 1 if self.total_count is None else self.total_count

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        check_share_outputs("DirichletMultinomial", shape)

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """The counts with the axes of the outputs."""
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        return align("DirichletMultinomial", y, outputs, [(outputs.shape[-1] - 1,)], draws)

    def _concentrations(self, outputs: Any) -> Any:
        return concentrations(outputs, self.min_concentration)

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        counts = ops.logical_and(y >= 0.0, ops.logical_and(y == ops.floor(y), y < np.inf))
        inside = ops.all(counts, axis=-1)
        if self.total_count is not None:
            inside = ops.logical_and(inside, ops.sum(y, axis=-1) == float(self.total_count))
        y = ops.where(inside[..., None], y, 0.0)
        density = self._log_mass(y, self._concentrations(outputs))
        return ops.where(inside, density, ops.cast(-np.inf, outputs.dtype))

    def _log_mass(self, y: Any, c: Any) -> Any:
        """Of counts y (..., K), whatever their sum, at the concentrations c."""
        n, total = (ops.sum(each, axis=-1, keepdims=True) for each in (y, c))
        some, one = y > 0.0, ops.ones_like(y)
        surplus = ((c + y) / (total + n)) / ops.where(some, y / ops.where(some, n, one), one)
        of_kinds = y * ops.log(ops.where(some, surplus, one)) - stirling_rest(y)
        of_kinds = of_kinds + _rest(c, y)
        return ops.sum(of_kinds, axis=-1) + (stirling_rest(n) - _rest(total, n))[..., 0]


def _rest(c: Any, y: Any) -> Any:
    """log Gamma(c + y) - log Gamma(c) - y log(c + y), without the terms that large c cancel."""
    x = y / c
    return c * log1p_excess(x) - 0.5 * ops.log1p(x) + binet(c + y) - binet(c)
