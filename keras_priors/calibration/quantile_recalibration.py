"""Recalibration of predictive quantiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_priors.calibration.mixture_levels import has_levels, levels
from keras_priors.calibration.recalibrated_predictive import RecalibratedPredictive
from keras_priors.calibration.rising_line import RisingLine
from keras_priors.calibration.rows_held_back import (
    check_fitted,
    check_numbers,
    kind_of,
    targets_of,
)
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
class QuantileRecalibration:
    """Predictive quantiles of numbers, moved to where rows held back have them.

        R(p) = share of the rows with F_i(y_i) <= p,   recalibrated F'(y) = R(F(y))

    with F_i the distribution function of y* for row i, the exact one of the mixture over draws: a
    90% interval then holds nine in ten of such rows, whatever the likelihood is. R is the rising
    function of Kuleshov et al. through the points (F_i(y_i), rank of i / (n + 1)). To have a
    density it goes through `num_pieces` + 1 of them, evenly many rows apart, the first and the
    last too; and it is straight between them, and beyond them, on the scale of standard normal
    quantiles. On that scale a noise that is k times too small is a line of slope 1 / k, and tails
    have all their digits.

    Several numbers in a row have each its R. Steps of sequences are observations like rows.

    Args:
        num_pieces: integer or None, straight pieces of R. Defaults to None: sqrt(n), rounded up,
            which costs some 1 / (2 sqrt(n)) nats of the density.

    Attributes:
        levels_: list with an array (K, 2) for each number of a row: the points of R, Phi^-1 of
            F(y) and of R.

    Raises:
        TypeError: `num_pieces` is not an integer.
        ValueError: `num_pieces` is below 1.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> predictive = kp.Predictive(np.zeros((1, 3)), kp.likelihoods.Normal(1.0))
        >>> recalibration = kp.calibration.QuantileRecalibration()
        >>> recalibration = recalibration.fit(predictive, [-5.0, 0.0, 5.0])
        >>> recalibration.transform(predictive).quantile([0.25, 0.75])[:, 0].round(2).tolist()
        [-5.0, 5.0]

    References:
        - Kuleshov, Fenner and Ermon, 2018, Accurate uncertainties for deep learning using
          calibrated regression, algorithm 1, arXiv:1807.00263.
    """

    def __init__(self, num_pieces: int | None = None) -> None:
        self.num_pieces = (
            None
            if num_pieces is None
            else whole_number("QuantileRecalibration", "num_pieces", num_pieces)
        )
        self.levels_: list[Any] | None = None
        self._kind: Any = None

    def fit(self, predictive: Any, y: Any) -> QuantileRecalibration:
        """Finds R.

        Args:
            predictive: `Predictive` of numbers with a density, for n rows that trained nothing.
            y: what came true, in the form in which a model is trained on it.

        Returns:
            Itself.

        Raises:
            TypeError: `predictive` is no `Predictive`.
            ValueError: no likelihood, classes, counts, a likelihood of your own, NaN, targets
                that do not fit or are outside of the support.
        """
        self._check(predictive)
        y = targets_of("QuantileRecalibration", predictive, y)
        z = levels(predictive, y[..., None] if y.ndim == 1 else y)
        bad = ~np.isfinite(z)
        if bad.any():
            raise ValueError(
                "`y` must be possible under the predictive distribution. Received: "
                f"{int(bad.sum())} of {bad.size} outside of its support, or beyond what float64 "
                f"knows of its tails, first in row {int(np.argwhere(bad)[0][0])}. Take another "
                "likelihood, or leave these rows out."
            )
        self.levels_ = [self._points(z[..., k].ravel()) for k in range(z.shape[-1])]
        self._kind = kind_of(predictive)
        return self

    def transform(self, predictive: Any) -> RecalibratedPredictive:
        """The recalibrated distribution.

        Args:
            predictive: `Predictive` of any rows, from the same model.
        """
        check_fitted("QuantileRecalibration", self._kind)
        self._check(predictive)
        check_fitted("QuantileRecalibration", self._kind, kind_of(predictive))
        assert self.levels_ is not None
        return RecalibratedPredictive(predictive, [RisingLine(*p.T) for p in self.levels_])

    def _check(self, predictive: Any) -> None:
        check_numbers("QuantileRecalibration", predictive, "QuantileRecalibration")
        likelihood = predictive.likelihood
        if likelihood.is_discrete or not has_levels(likelihood):
            raise ValueError(
                "QuantileRecalibration needs a likelihood of this package whose outcomes have a "
                f"density. Received: {likelihood!r}. Take SplitConformalRegressor."
            )

    def _points(self, z: Any) -> Any:
        from scipy.special import ndtri

        # Equal levels share the mean of their ranks.
        distinct, where, counts = np.unique(z, return_inverse=True, return_counts=True)
        ranks = np.cumsum(counts) - 0.5 * (counts - 1.0)
        pieces = self.num_pieces or math.ceil(math.sqrt(len(z)))
        chosen = np.unique(where[np.argsort(z)][_evenly(len(z), pieces)])
        return np.stack([distinct[chosen], ndtri(ranks[chosen] / (len(z) + 1.0))], axis=-1)


def _evenly(count: int, pieces: int) -> Any:
    """Indices from 0 to `count` - 1, the ends too."""
    return np.round(np.linspace(0, count - 1, pieces + 1)).astype("int64")
