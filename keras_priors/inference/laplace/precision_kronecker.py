"""A normal distribution whose precision is block diagonal, of Kronecker products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors.inference.laplace.precision import Precision, not_positive


class KroneckerPrecision(Precision):
    """P with a block factor * A (x) G + prior for each layer, and a diagonal for other weights.

        A (x) G = (U_A (x) U_G) diag(a (x) g) (U_A (x) U_G)^T

    The prior goes into the eigenvalues: exactly where it is the same for a whole layer, otherwise
    by the diagonal that it has in this basis.

    Args:
        blocks: list of (start, A, G) or (start, h, None): where a block starts in the vector, and
            its factors, or its diagonal. A has the order of the rows of the weight matrix.
        prior: (D,).
        factor: float.
    """

    def __init__(self, blocks: Any, prior: Any, factor: float = 1.0, _bases: Any = None) -> None:
        super().__init__(prior, factor)
        self._blocks = blocks
        self._bases = [_basis(*block) for block in blocks] if _bases is None else _bases
        self._values = [
            self._eigenvalues(start, basis)
            for (start, _, _), basis in zip(blocks, self._bases, strict=True)
        ]
        least = min(float(values.min()) for values in self._values)
        if not least > 0:
            raise ValueError(not_positive("blocks that are not", least))

    def rescaled(self, prior: Any, factor: float) -> KroneckerPrecision:
        return KroneckerPrecision(self._blocks, prior, factor, self._bases)

    def log_det(self) -> float:
        return float(sum(np.sum(np.log(values)) for values in self._values))

    def color(self, noise: Any) -> Any:
        parts = []
        for (start, _, _), values, (left, right, *_) in zip(
            self._blocks, self._values, self._bases, strict=True
        ):
            part = noise[start : start + values.size].reshape(values.shape) / np.sqrt(values)
            parts.append((part if left is None else left @ part @ right.T).reshape(-1))
        return np.concatenate(parts)

    def variance(self) -> Any:
        parts = []
        for values, (left, right, *_) in zip(self._values, self._bases, strict=True):
            if left is None:
                parts.append(1.0 / values[:, 0])
            else:
                parts.append(((left**2) @ (1.0 / values) @ (right**2).T).reshape(-1))
        return np.concatenate(parts)

    def covariance_of(self, jacobian: Any) -> Any:
        rows, outputs, _ = jacobian.shape
        total = np.zeros((rows, outputs, outputs))
        for (start, _, _), values, (left, right, *_) in zip(
            self._blocks, self._values, self._bases, strict=True
        ):
            part = jacobian[..., start : start + values.size]
            part = part.reshape(rows, outputs, *values.shape)
            if left is not None:
                part = left.T @ part @ right
            half = (part / np.sqrt(values)).reshape(rows, outputs, -1)
            total += half @ half.transpose(0, 2, 1)
        return total

    def quadratic(self, deviation: Any) -> float:
        total = 0.0
        for (start, _, _), values, (left, right, *_) in zip(
            self._blocks, self._values, self._bases, strict=True
        ):
            part = deviation[start : start + values.size].reshape(values.shape)
            if left is not None:
                part = left.T @ part @ right
            total += float(np.sum(values * part**2))
        return total

    def arrays(self) -> dict[str, Any]:
        found = {}
        for start, left, right in self._blocks:
            found[f"left_{start}"] = left
            if right is not None:
                found[f"right_{start}"] = right
        return found

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Any], prior: Any, factor: float
    ) -> KroneckerPrecision:
        starts = sorted(int(name[5:]) for name in arrays if name.startswith("left_"))
        blocks = [(s, arrays[f"left_{s}"], arrays.get(f"right_{s}")) for s in starts]
        return cls(blocks, prior, factor)

    def _eigenvalues(self, start: int, basis: Any) -> Any:
        left, right, a, g = basis
        values = self.factor * a[:, None] * g[None, :]
        prior = self.prior[start : start + values.size].reshape(values.shape)
        if left is None or np.ptp(prior) == 0.0:
            return values + prior
        return values + (left**2).T @ prior @ (right**2)


def _basis(start: int, left: Any, right: Any) -> Any:
    del start
    if right is None:
        return None, None, left.astype("float64"), np.ones(1)
    a, left = np.linalg.eigh(left.astype("float64"))
    g, right = np.linalg.eigh(right.astype("float64"))
    # Both are sums of squares: what is negative is rounding.
    return left, right, np.maximum(a, 0.0), np.maximum(g, 0.0)
