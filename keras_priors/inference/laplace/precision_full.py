"""A normal distribution with a dense precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from keras_priors.inference.laplace.precision import Precision, not_positive


def _linalg() -> Any:
    from scipy import linalg  # Not at `import keras_priors`: it takes long.

    return linalg


class FullPrecision(Precision):
    """P = factor * H + prior with a dense H (D, D), by Cholesky."""

    def __init__(self, matrix: Any, prior: Any, factor: float = 1.0) -> None:
        super().__init__(prior, factor)
        self._matrix = matrix
        self._factor = self._cholesky()

    def rescaled(self, prior: Any, factor: float) -> FullPrecision:
        return FullPrecision(self._matrix, prior, factor)

    def log_det(self) -> float:
        return 2.0 * float(np.sum(np.log(np.diagonal(self._factor))))

    def color(self, noise: Any) -> Any:
        return _linalg().solve_triangular(self._factor, noise, trans="T", lower=True)

    def variance(self) -> Any:
        return self._variance

    def covariance_of(self, jacobian: Any) -> Any:
        rows, outputs, size = jacobian.shape
        flat = jacobian.reshape(rows * outputs, size).T
        half = _linalg().solve_triangular(self._factor, flat, lower=True)
        half = half.T.reshape(rows, outputs, size)
        return half @ half.transpose(0, 2, 1)

    def quadratic(self, deviation: Any) -> float:
        return float(np.sum((self._factor.T @ deviation) ** 2))

    def arrays(self) -> dict[str, Any]:
        return {"matrix": self._matrix}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], prior: Any, factor: float) -> FullPrecision:
        return cls(arrays["matrix"], prior, factor)

    @cached_property
    def _variance(self) -> Any:
        inverse, _ = _linalg().lapack.dpotri(self._factor, lower=True)
        return np.diagonal(inverse).copy()

    def _cholesky(self) -> Any:
        precision = self._matrix.astype("float64")
        precision *= self.factor
        if self.prior.ndim == 1:
            precision[np.diag_indices_from(precision)] += self.prior
        else:
            precision += self.prior
        if not np.all(np.isfinite(precision)):
            raise ValueError(not_positive("a precision that is not finite", math.nan))
        linalg = _linalg()
        try:
            return linalg.cholesky(precision, lower=True, check_finite=False)
        except linalg.LinAlgError as error:
            least = linalg.eigvalsh(precision, subset_by_index=[0, 0])[0]
            raise ValueError(not_positive("a matrix that is not", float(least))) from error
