"""A likelihood of targets of which some are known by bounds only."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.censorable import CensorableLikelihood
from keras_priors.likelihoods.get import get
from keras_priors.likelihoods.interval import log_interval
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.utils.export import export


@export()
class Censored(Likelihood):
    """Targets known exactly, or by a lower bound, an upper bound, or both.

        log p(l, u | f) = sum_d [ log p(y_d | f)                   where l_d = u_d = y_d
                                  log P(Y_d > l_d | f)             where u_d = inf   (right)
                                  log P(Y_d <= u_d | f)            where l_d = -inf  (left)
                                  log P(l_d < Y_d <= u_d | f) ]    else              (interval)

    in nats: a patient who lives at the end of the study, a reading below what the device sees, an
    income given as a bracket. Why a target is censored must not tell more of it than the bounds
    do.

    Args:
        likelihood: `Normal`, `HeteroscedasticNormal`, `LogNormal`, `Weibull` or `Gamma`, of which
            the distribution function is known. What it takes for outputs, this takes.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs as of the likelihood within. Targets (n, ..., 2 d), first all lower, then all
        upper bounds. The lower bound of what is positive may be 0 as well as -inf. Bounds that
        are upside down or NaN, or outside of the support, have no density: the loss is +inf.
        (From -inf to inf a target says nothing, and its loss is 0.)

        `mean`, `variance` and `sample`, (n, ..., d), are those of Y itself, with nothing
        censored.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: another likelihood than those above, a target that does not fit the outputs,
            or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Censored(kp.likelihoods.Weibull())
        >>> bounds = np.array([[3.0, np.inf]])                     # still running after 3
        >>> round(float(likelihood(bounds, np.array([[0.0]]))), 4)
        3.0

    References:
        - Kalbfleisch and Prentice, 2002, The statistical analysis of failure time data, 2nd
          edition, section 3.2.
        - Tobin, 1958, Estimation of relationships for limited dependent variables, Econometrica
          26(1), for a normal with a left bound.
    """

    _parameters = ("likelihood",)

    def __init__(
        self,
        likelihood: Any,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        likelihood = get(likelihood)
        if not isinstance(likelihood, CensorableLikelihood):
            raise ValueError(
                "Censored takes a likelihood whose distribution function is known: Normal, "
                "HeteroscedasticNormal, LogNormal, Weibull or Gamma. "
                f"Received: {likelihood!r}. Take one of these."
            )
        self.likelihood = likelihood
        self._outputs_per_target = likelihood._outputs_per_target

    def mean(self, outputs: Any) -> Any:
        """That of the likelihood, with nothing censored."""
        return self.likelihood.mean(outputs)

    def variance(self, outputs: Any) -> Any:
        """That of the likelihood, with nothing censored."""
        return self.likelihood.variance(outputs)

    def distribution(self, outputs: Any) -> Any:
        """That of the likelihood, with nothing censored."""
        return self.likelihood.distribution(outputs)

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        self.likelihood._check_outputs(shape)

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """Lower and upper bounds, with the axes of the outputs."""
        width = 2 * (outputs.shape[-1] // self._outputs_per_target)
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        advice = (
            "Give a target whose last axis is first all lower, then all upper bounds, of size "
            f"{width}: np.stack([lower, upper], axis=-1), equal where y is known."
        )
        return align("Censored", y, outputs, [(width,)], draws, advice)

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        within = self.likelihood
        width = y.shape[-1] // 2
        low, high = y[..., :width], y[..., width:]
        open_below, open_above = low <= within._low, high == np.inf
        exact = ops.logical_and(low == high, within._inside_support(low))
        # The comparisons are False of NaN.
        interval = ops.logical_and(low < high, ops.logical_and(high > within._low, low < np.inf))
        valid = ops.logical_or(exact, interval)
        inside = within._interior_point()
        # Where a bound is missing, another point inside: no branch may be NaN.
        point = ops.where(ops.logical_or(exact, interval), low, inside)
        below = ops.where(ops.logical_or(open_below, ops.logical_not(valid)), inside, point)
        above = ops.where(ops.logical_or(open_above, ops.logical_not(valid)), inside, high)
        both = ops.logical_and(interval, ops.logical_not(ops.logical_or(open_below, open_above)))
        # At both ends at once: the graph of a gamma variable is large.
        lower, upper = within._log_tails(ops.stack([below, above]), outputs)
        at_low, at_high = (lower[0], upper[0]), (lower[1], upper[1])
        width = ops.where(both, above - below, 1.0)
        density = log_interval(
            at_low, at_high, below, width, lambda at: within._log_density(at, outputs)
        )
        density = ops.where(open_above, at_low[1], density)
        one_side = ops.where(open_above, 0.0, at_high[0])
        density = ops.where(open_below, one_side, density)
        density = ops.where(exact, within._log_density(below, outputs), density)
        return ops.sum(ops.where(valid, density, ops.cast(-np.inf, y.dtype)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
        }
