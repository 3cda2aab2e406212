"""A predictive distribution whose quantiles were recalibrated."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from keras_priors.calibration.mixture_levels import at_levels, levels
from keras_priors.calibration.rising_line import RisingLine
from keras_priors.calibration.rows_held_back import target_shape, targets_of
from keras_priors.predictive.quantile_predictive import QuantilePredictive
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between

_NODES = 20


@export()
class RecalibratedPredictive(QuantilePredictive):
    """p(y* | x*) with the distribution function R(F(y)), F being that of a `Predictive`.

    `QuantileRecalibration.transform` makes one. It has what is defined of such a distribution by
    the names of `Predictive`; not the parts of the variance, which R does not keep apart. Metrics
    and pictures of numbers take it, and `keras_priors.compare`: on rows that are new to both fits
    they tell what recalibration gained.

    Args:
        predictive: `Predictive` with a likelihood of numbers.
        lines: for each number of a row Phi^-1 R Phi, of `QuantileRecalibration`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> predictive = kp.Predictive(np.zeros((1, 999)), kp.likelihoods.Normal(1.0))
        >>> y = 2.0 * np.random.default_rng(0).standard_normal(999)  # half as sure it should be
        >>> recalibration = kp.calibration.QuantileRecalibration().fit(predictive, y)
        >>> low, high = recalibration.transform(predictive).interval(0.9)
        >>> bool(abs(high[0] - 2 * 1.645) < 0.3)
        True
    """

    def __init__(self, predictive: Any, lines: list[RisingLine]) -> None:
        self._predictive = predictive
        self._lines = lines

    @property
    def predictive(self) -> Any:
        """What was recalibrated."""
        return self._predictive

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of y*, (N, ...)."""
        return target_shape(self._predictive)

    @property
    def has_density(self) -> bool:
        """Whether there is one number in a row, so that `log_prob` is known."""
        return len(self._lines) == 1

    @property
    def mean(self) -> Any:
        """E[y*], (N, ...), by Gauss and Hermite's rule on the quantiles."""
        return self._moments[0]

    @property
    def std(self) -> Any:
        """Standard deviation of y*, (N, ...), by the same rule."""
        return self._moments[1]

    def quantile(self, q: Any) -> Any:
        """Quantiles of y*: F^-1(R^-1(q)), of each row and output by itself.

        Args:
            q: float or sequence of floats in (0, 1).

        Returns:
            Array (N, ...), or (len(q), N, ...) for a sequence.

        Raises:
            ValueError: q outside (0, 1).
        """
        from scipy.special import ndtri

        q = np.asarray(q, "float64")
        if q.ndim > 1 or not np.all((q > 0) & (q < 1)):
            raise ValueError(
                f"`q` must be a number, or a sequence of numbers, between 0 and 1. Received: q={q}."
            )
        found = self._at(ndtri(np.atleast_1d(q)))
        return found if q.ndim else found[0]

    def interval(self, coverage: float = 0.9) -> tuple[Any, Any]:
        """The central interval that holds y* with this probability.

        Args:
            coverage: float between 0 and 1. Defaults to 0.9.

        Returns:
            Two arrays (N, ...), the lower and the upper end.
        """
        coverage = number_between("interval", "coverage", coverage, 0.0, 1.0)
        low, high = self.quantile([(1 - coverage) / 2, (1 + coverage) / 2])
        return low, high

    def cdf(self, y: Any) -> Any:
        """P(y* <= y) = R(F(y)), (N, ...), of each output by itself.

        Args:
            y: array in the shape of the targets.
        """
        from scipy.special import ndtr

        z = self._levels(y)
        found = [line(z[..., k]) for k, line in enumerate(self._lines)]
        return ndtr(np.stack(found, axis=-1)).reshape(target_shape(self._predictive))

    def log_prob(self, y: Any) -> Any:
        """log R'(F(y)) + log p(y) of each observation in nats, constants included.

        Args:
            y: observations, N rows, in the form in which the model was trained on them.

        Returns:
            float64 array (N, ...), one value for each observation.

        Raises:
            ValueError: a row has several numbers. Each was recalibrated by itself, which says
                nothing of their joint density.
        """
        if not self.has_density:
            raise ValueError(
                "`log_prob` needs one number in a row: quantiles are recalibrated for each number "
                f"by itself, which leaves their joint density unsaid. Received: {len(self._lines)} "
                "numbers. Take `quantile`, `interval` or `cdf`."
            )
        z = self._levels(y)[..., 0]
        (line,) = self._lines
        # Phi(w) by Phi(z), w = line(z): the slope times the ratio of the normal densities.
        log_slope = np.log(line.slope(z)) - 0.5 * (line(z) ** 2 - z**2)
        return self._predictive.log_prob(y) + log_slope

    def __repr__(self) -> str:
        return f"<RecalibratedPredictive of {self._predictive!r}>"

    def _levels(self, y: Any) -> Any:
        y = targets_of("RecalibratedPredictive", self._predictive, y)
        return levels(self._predictive, y[..., None] if y.ndim == 1 else y)

    def _at(self, w: Any) -> Any:
        """The y at recalibrated levels (Q,), in the shape (Q, N, ...)."""
        z = np.stack([line.inverse(w) for line in self._lines], axis=-1)
        found = at_levels(self._predictive, z)
        return found.reshape(len(w), *target_shape(self._predictive))

    @cached_property
    def _moments(self) -> tuple[Any, Any]:
        # Refused there where the likelihood has none.
        if not np.all(np.isfinite(self._predictive.total)):
            raise ValueError(
                "`mean` and `std` need a likelihood with a variance. Received: "
                f"{self._predictive.likelihood!r}. Take `quantile`."
            )
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        y = self._at(nodes)
        if not np.all(np.isfinite(y)):
            raise ValueError(
                "`mean` and `std` need quantiles that are finite. Received: an infinite one, "
                "beyond what float64 knows of the tails of "
                f"{self._predictive.likelihood!r}. Take `quantile`."
            )
        weights = weights / weights.sum()
        mean = np.tensordot(weights, y, axes=1)
        return mean, np.sqrt(np.tensordot(weights, np.square(y - mean), axes=1))
