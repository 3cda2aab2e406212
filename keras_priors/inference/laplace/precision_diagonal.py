"""A normal distribution with a diagonal precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors.inference.laplace.precision import Precision, not_positive


class DiagonalPrecision(Precision):
    """P = factor * diag(h) + diag(prior), with h (D,)."""

    def __init__(self, diagonal: Any, prior: Any, factor: float = 1.0) -> None:
        super().__init__(prior, factor)
        self._diagonal = diagonal
        self._precision = factor * diagonal.astype("float64") + prior
        if not np.all(self._precision > 0):
            raise ValueError(not_positive("a diagonal that is not", float(self._precision.min())))

    def rescaled(self, prior: Any, factor: float) -> DiagonalPrecision:
        return DiagonalPrecision(self._diagonal, prior, factor)

    def log_det(self) -> float:
        return float(np.sum(np.log(self._precision)))

    def color(self, noise: Any) -> Any:
        return noise / np.sqrt(self._precision)

    def variance(self) -> Any:
        return 1.0 / self._precision

    def covariance_of(self, jacobian: Any) -> Any:
        return (jacobian / self._precision) @ jacobian.transpose(0, 2, 1)

    def quadratic(self, deviation: Any) -> float:
        return float(np.sum(self._precision * deviation**2))

    def arrays(self) -> dict[str, Any]:
        return {"diagonal": self._diagonal}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], prior: Any, factor: float) -> DiagonalPrecision:
        return cls(arrays["diagonal"], prior, factor)
