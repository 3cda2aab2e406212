"""The binomial likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.information import diagonal
from keras_priors.likelihoods.link import (
    checked_link,
    information,
    log_probabilities,
    probability,
)
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.likelihoods.special import stirling_rest
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class Binomial(ElementwiseLikelihood):
    """Numbers of successes out of n trials, each a success with the probability p.

        log p(y | f) = sum_d [ y_d log p_d + (n_d - y_d) log(1 - p_d) + log C(n_d, y_d) ]   (nats)

    with p = sigmoid(f), or Phi(f) with the probit link, f being the outputs.

    Args:
        total_count: integer or vector with one entry for each output, the number of trials n.
            None: each target brings its own. Defaults to None.
        link: "logit", or "probit". Defaults to "logit".
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d). Targets (n, ..., d), or (n, ...) where d is 1, the successes; with
        total_count=None (n, ..., 2 d), first all successes, then all numbers of trials. A target
        that is not 0, 1, ... n, or with an n that is not 0, 1, 2 ..., has no density: the loss is
        +inf. (With n = 0 an observation says nothing, and its loss is 0.)

        With total_count=None outputs do not say how many trials there will be: `mean`,
        `variance` and `sample`, (n, ..., d), are those of one trial, so that the mean is p. Of 20
        trials they are those of `Binomial(20)` with the same outputs:
        `keras_priors.Predictive(p.draws, Binomial(20))`.

    Raises:
        TypeError: `total_count` is not a number or a vector of numbers.
        ValueError: `total_count` is no whole number above 0 or does not fit the outputs, another
            `link`, the target does not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Binomial()
        >>> successes_of_trials = np.array([[1, 2]])
        >>> round(float(likelihood(successes_of_trials, np.array([[0.0]]))), 4)    # log 2
        0.6931

    References:
        - McCullagh and Nelder, 1989, Generalized linear models, sections 4.1 and 4.3.
    """

    is_discrete = True
    _parameters = ("total_count", "link")

    def __init__(
        self,
        total_count: Any = None,
        link: str = "logit",
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.total_count = positive_or_none("Binomial", "total_count", total_count)
        if self.total_count is not None and np.any(self.total_count != np.floor(self.total_count)):
            raise ValueError(
                "`total_count` of Binomial must be a whole number. "
                f"Received: total_count={total_count!r}."
            )
        self.link = checked_link("Binomial", link)

    def mean(self, outputs: Any) -> Any:
        """n p; of one trial, p, where total_count=None."""
        f = self._checked(outputs)
        return self._trials(f) * probability(self.link, f)

    def variance(self, outputs: Any) -> Any:
        """n p (1 - p); of one trial where total_count=None."""
        f = self._checked(outputs)
        return self._trials(f) * probability(self.link, f) * probability(self.link, -f)

    def _trials(self, outputs: Any) -> Any:
        count = 1.0 if self.total_count is None else self.total_count
        return constant(count, outputs.dtype)

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """Successes, and with total_count=None the trials behind them, with a last axis."""
        if self.total_count is not None:
            return super().aligned(y, outputs, draws)
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        width = outputs.shape[-1]
        advice = (
            "Give a target whose last axis is first all successes, then all numbers of trials, "
            f"of size {2 * width}; or write Binomial(total_count)."
        )
        return align("Binomial", y, outputs, [(2 * width,)], draws, advice)

    def _inside_support(self, y: Any) -> Any:
        return _are_successes(y, ops.zeros_like(y) + self._trials(y))

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        if self.total_count is not None:
            return super().joint_log_density(y, outputs)
        width = outputs.shape[-1]
        y, count = y[..., :width], y[..., width:]
        inside = _are_successes(y, count)
        y, count = ops.where(inside, y, 0.0), ops.where(inside, count, 1.0)
        density = self._mass(y, count, outputs)
        return ops.sum(ops.where(inside, density, ops.cast(-np.inf, y.dtype)), axis=-1)

    def _mass(self, y: Any, count: Any, outputs: Any) -> Any:
        """By Stirling's series, with log p beside log(y / n): 1e5 trials have their digits."""
        of_one, of_zero = log_probabilities(self.link, outputs)
        rest = count - y
        ways = stirling_rest(count) - stirling_rest(y) - stirling_rest(rest)
        return ways + _surplus(y, rest, of_one) + _surplus(rest, y, of_zero)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        return self._mass(y, ops.zeros_like(y) + self._trials(outputs), outputs)

    def _information(self, y: Any, outputs: Any) -> Any:
        """n p'^2 / (p (1 - p)) of each output: with the logit it is the curvature itself."""
        if self.total_count is None:
            count = self.aligned(y, outputs, draws=False)[..., outputs.shape[-1] :]
            count = ops.where(ops.isfinite(count), count, 0.0)
        else:
            count = self._trials(outputs)
        return diagonal(count * information(self.link, outputs))

    def _distribution(self, outputs: Any) -> Any:
        p: dict[str, Any] = (
            {"logits": outputs}
            if self.link == "logit"
            else {"probs": probability("probit", outputs)}
        )
        if self.total_count is None:
            return backend.distribution("Bernoulli", **p)
        count = ops.zeros_like(outputs) + self._trials(outputs)
        return backend.distribution("Binomial", total_count=count, **p)


def _are_successes(y: Any, count: Any) -> Any:
    whole = ops.logical_and(y == ops.floor(y), count == ops.floor(count))
    ordered = ops.logical_and(y >= 0.0, y <= count)
    return ops.logical_and(ops.logical_and(whole, ordered), ops.isfinite(count))


def _surplus(part: Any, other: Any, log_p: Any) -> Any:
    """part (log p - log(part / (part + other))), 0 where the part is 0."""
    some = part > 0.0
    total = ops.where(some, part + other, 1.0)
    most = part > other
    by_other = ops.log1p(-ops.where(most, other / total, 0.0))
    by_part = ops.log(ops.where(ops.logical_or(most, ops.logical_not(some)), total, part) / total)
    return part * (log_p - ops.where(most, by_other, by_part))
