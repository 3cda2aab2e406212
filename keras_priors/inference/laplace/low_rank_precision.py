"""A normal distribution around zero by a precision of low rank beside a diagonal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors.inference.laplace.precision import Precision, not_positive


class LowRankPrecision(Precision):
    """P = diag(prior) + factor * U diag(values) U^T with U (D, r), by Woodbury's identity.

    P = S (I + V diag(mu) V^T) S,    S = diag(prior)^1/2,    V (D, r) orthonormal
    """

    def __init__(self, vectors: Any, values: Any, prior: Any, factor: float = 1.0) -> None:
        super().__init__(prior, factor)
        self._vectors, self._values = vectors, values
        if not np.all(prior > 0):
            raise ValueError(not_positive("a prior that leaves weights free", float(prior.min())))
        self._root = np.sqrt(prior)
        half = vectors.astype("float64") * np.sqrt(factor * np.maximum(values, 0.0))
        half /= self._root[:, None]
        mu, rotation = np.linalg.eigh(half.T @ half)
        kept = mu > 1e-12 * max(float(mu.max(initial=0.0)), 1e-300)
        self._mu = mu[kept]
        self._basis = half @ (rotation[:, kept] / np.sqrt(self._mu))

    def rescaled(self, prior: Any, factor: float) -> LowRankPrecision:
        return LowRankPrecision(self._vectors, self._values, prior, factor)

    def log_det(self) -> float:
        return float(2.0 * np.sum(np.log(self._root)) + np.sum(np.log1p(self._mu)))

    def color(self, noise: Any) -> Any:
        shrink = 1.0 / np.sqrt(1.0 + self._mu) - 1.0
        return (noise + self._basis @ (shrink * (self._basis.T @ noise))) / self._root

    def variance(self) -> Any:
        known = self._mu / (1.0 + self._mu)
        return (1.0 - (self._basis**2) @ known) / self._root**2

    def columns(self, indices: Any) -> Any:
        known = self._mu / (1.0 + self._mu)
        found = -(self._basis * known) @ self._basis[indices].T
        found[indices, np.arange(len(indices))] += 1.0
        return found / self._root[:, None] / self._root[indices]

    def covariance_of(self, jacobian: Any) -> Any:
        scaled = jacobian / self._root
        inside = (scaled @ self._basis) * np.sqrt(self._mu / (1.0 + self._mu))
        return scaled @ scaled.transpose(0, 2, 1) - inside @ inside.transpose(0, 2, 1)

    def solve(self, vector: Any) -> Any:
        scaled = vector / self._root
        known = self._mu / (1.0 + self._mu)
        return (scaled - self._basis @ (known * (self._basis.T @ scaled))) / self._root

    def with_coordinate(self, place: int, precision: float) -> LowRankPrecision:
        vectors = np.insert(self._vectors, place, 0.0, axis=0)
        prior = np.insert(self.prior, place, precision)
        return LowRankPrecision(vectors, self._values, prior, self.factor)

    def quadratic(self, deviation: Any) -> float:
        scaled = self._root * deviation
        return float(scaled @ scaled + np.sum(self._mu * (self._basis.T @ scaled) ** 2))

    def parts(self) -> list[tuple[int, int, str, dict[str, Any]]]:
        size = len(self._root)
        if not self._mu.size:
            return [(0, size, "diagonal", {"variance": 1.0 / self._root**2})]
        arrays = {"scale": self._root, "vectors": self._basis, "values": self._mu}
        return [(0, size, "low_rank", arrays)]

    def arrays(self) -> dict[str, Any]:
        return {"vectors": self._vectors, "values": self._values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], prior: Any, factor: float) -> LowRankPrecision:
        return cls(arrays["vectors"], arrays["values"], prior, factor)
