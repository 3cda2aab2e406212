"""Split conformal intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.calibration.conformal_threshold import conformal_threshold, warn_of_too_few
from keras_priors.calibration.mixture_levels import at_levels, has_levels
from keras_priors.calibration.rows_held_back import (
    check_fitted,
    check_numbers,
    kind_of,
    target_shape,
    targets_of,
)
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between

_SCORES = ("absolute", "normalized", "quantile")


@export()
class SplitConformalRegressor:
    """Intervals around predictions that hold a new y as often as they say, whatever the model.

        score           of row i                      interval of a new row
        "absolute"      |y_i - m_i|                   [m - t, m + t]
        "normalized"    |y_i - m_i| / sd_i            [m - t sd, m + t sd]
        "quantile"      max(l_i - y_i, y_i - u_i)     [l - t, u + t]

    with m and sd the mean and standard deviation of y*, l and u its central interval of this
    coverage (conformalized quantile regression), and t the k-th smallest of the n scores of rows
    held back, k = ceil((n + 1) coverage). Then

        P(y_new in interval) >= k / (n + 1) >= coverage

    for any model and any data, as long as these n rows and the new one come from the same place,
    in any order (they are exchangeable), and trained nothing. The first is an equality where no
    two scores are equal. It holds on average over such rows, not for every x: "absolute" has one
    width everywhere, the two others are wide where the predictive is.

    The quantiles are those of the mixture itself, to a billionth, for the package's likelihoods;
    of one of your own `Predictive.quantile`'s.

    Several numbers in a row are calibrated each by itself, and each interval holds its own number
    that often; all of a row at once are held less often. So are steps of sequences: steps of one
    row are not exchangeable, the rows at one step are.

    Args:
        score: "absolute", "normalized" or "quantile". Defaults to "normalized".
        coverage: float between 0 and 1. Defaults to 0.9.

    Attributes:
        threshold_: t, float or array in the shape of one row of `y`.

    Raises:
        ValueError: another `score`, a `coverage` that is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> predictive = kp.Predictive(np.zeros((1, 9)), kp.likelihoods.Normal(1.0))
        >>> conformal = kp.calibration.SplitConformalRegressor("absolute", coverage=0.8)
        >>> conformal.fit(predictive, np.arange(9.0)).threshold_  # the 8th of 9
        7.0
        >>> low, high = conformal.predict(predictive)
        >>> float(low[0]), float(high[0])
        (-7.0, 7.0)

    References:
        - Lei et al., 2018, Distribution-free predictive inference for regression, theorem 2.2 and
          section 5.2, arXiv:1604.04173.
        - Romano, Patterson and Candès, 2019, Conformalized quantile regression, algorithm 1,
          arXiv:1905.03222.
    """

    def __init__(self, score: str = "normalized", *, coverage: float = 0.9) -> None:
        if score not in _SCORES:
            raise ValueError(f"`score` must be one of {_SCORES}. Received: score={score!r}.")
        self.score = score
        self.coverage = number_between("SplitConformalRegressor", "coverage", coverage, 0.0, 1.0)
        self.threshold_: Any = None
        self._kind: Any = None

    def fit(self, predictive: Any, y: Any) -> SplitConformalRegressor:
        """Finds the threshold.

        Args:
            predictive: `Predictive` of numbers for n rows that trained nothing; "absolute" takes
                one without a likelihood.
            y: what came true, in the form in which a model is trained on it.

        Returns:
            Itself. Warns where n is too small for this coverage: then intervals are infinite.

        Raises:
            TypeError: `predictive` is no `Predictive`.
            ValueError: no likelihood where the score needs one, classes, NaN, targets that do not
                fit, a standard deviation that is 0 or infinite.
        """
        self._check(predictive)
        y = targets_of("SplitConformalRegressor", predictive, y)
        if self.score == "quantile":
            low, high = self._interval(predictive)
            scores = np.maximum(low - y, y - high)
        else:
            scores = np.abs(y - predictive.mean) / self._unit(predictive)
        found = conformal_threshold(scores, self.coverage)
        if np.isinf(found).any():
            warn_of_too_few(self.coverage, f"{len(y)} rows", "every interval is infinite")
        self.threshold_ = float(found.item()) if found.size == 1 else found
        self._kind = kind_of(predictive)
        return self

    def predict(self, predictive: Any) -> tuple[Any, Any]:
        """The interval of each number.

        Args:
            predictive: `Predictive` of any rows, from the same model.

        Returns:
            Two arrays in the shape of `y`: the lower and the upper end. With "quantile" the
            threshold may be negative; where the ends would cross, both are the middle.
        """
        check_fitted("SplitConformalRegressor", self._kind)
        self._check(predictive)
        check_fitted("SplitConformalRegressor", self._kind, kind_of(predictive))
        if self.score == "quantile":
            low, high = self._interval(predictive)
            # A point holds no less than nothing, so that the coverage is as promised.
            with np.errstate(invalid="ignore"):
                middle = 0.5 * (low + high)
            low, high = low - self.threshold_, high + self.threshold_
            crossed = low > high
            return np.where(crossed, middle, low), np.where(crossed, middle, high)
        half = self.threshold_ * self._unit(predictive)
        return predictive.mean - half, predictive.mean + half

    def _check(self, predictive: Any) -> None:
        needs = None if self.score == "absolute" else f'SplitConformalRegressor("{self.score}")'
        check_numbers("SplitConformalRegressor", predictive, needs)

    def _unit(self, predictive: Any) -> Any:
        """By what a residual is divided."""
        if self.score == "absolute":
            return np.ones_like(predictive.mean)
        unit = predictive.std
        bad = ~(np.isfinite(unit) & (unit > 0))
        if bad.any():
            raise ValueError(
                '"normalized" needs standard deviations that are finite and above 0. Received: '
                f"{unit[bad][0]} in row {int(np.argwhere(bad)[0][0])}. Take the score "
                '"quantile" or "absolute".'
            )
        return unit

    def _interval(self, predictive: Any) -> tuple[Any, Any]:
        if not has_levels(predictive.likelihood):
            low, high = predictive.interval(self.coverage)
            return low, high
        from scipy.special import ndtri

        shape = target_shape(predictive)
        z = float(ndtri(0.5 * (1.0 + self.coverage)))
        low, high = at_levels(predictive, np.array([[-z], [z]]))
        return low.reshape(shape), high.reshape(shape)
