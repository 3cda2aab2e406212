"""Normal distributions around zero by their precision: full, diagonal, Kronecker."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np


class Precision:
    """P = factor * H + prior, in float64, of which H is kept apart. Abstract.

    Another prior or noise then costs algebra alone, no pass over the data.
    """

    def __init__(self, prior: Any, factor: float = 1.0) -> None:
        self.prior = prior
        """-d2 log p(w) / dw2: its diagonal (D,), or a matrix (D, D)."""
        self.factor = factor
        """By how much the curvature of the likelihood counts."""

    @abstractmethod
    def rescaled(self, prior: Any, factor: float) -> Precision:
        """The same curvature with another prior and another factor."""

    @abstractmethod
    def log_det(self) -> float:
        """log det P."""

    @abstractmethod
    def color(self, noise: Any) -> Any:
        """Deviations (D,) with covariance P^-1 from standard normals (D,)."""

    @abstractmethod
    def variance(self) -> Any:
        """diag P^-1, (D,)."""

    @abstractmethod
    def columns(self, indices: Any) -> Any:
        """Columns (D, m) of P^-1."""

    @abstractmethod
    def covariance_of(self, jacobian: Any) -> Any:
        """J P^-1 J^T, (R, K, K), for J (R, K, D)."""

    @abstractmethod
    def solve(self, vector: Any) -> Any:
        """P^-1 v, (D,)."""

    @abstractmethod
    def quadratic(self, deviation: Any) -> float:
        """d^T P d."""

    def prior_squares(self, deviation: Any) -> Any:
        """q (D,) by which another diagonal prior moves it: d^T (P' - P) d = q (prior' - prior)."""
        return deviation**2

    @abstractmethod
    def with_coordinate(self, place: int, precision: float) -> Precision:
        """P of one more coordinate, independent of these, which stands at `place` among them."""

    @abstractmethod
    def parts(self) -> list[tuple[int, int, str, dict[str, Any]]]:
        """What is independent: (start, stop, kind of a `NormalBlock` or "diagonal", its arrays)."""

    @abstractmethod
    def arrays(self) -> dict[str, Any]:
        """H as arrays by name, for `from_arrays`."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, Any], prior: Any, factor: float) -> Precision:
        """What `arrays` described."""


def not_positive(what: str, least: float) -> str:
    """What to say where a precision is not positive definite."""
    return (
        "A Laplace approximation needs a positive definite precision at the mode: the curvature of "
        f"the log likelihood plus that of the log prior. Received: {what}, least value "
        f"{least:.4g}. The weights are at no maximum, or data and prior leave a direction free. "
        "Give all weights priors that are curved at the mode, such as NormalPrior; train longer or "
        "give more `max_iterations`, or, where the climb has fitted a learned noise away, none: "
        'max_iterations=0 stays at the weights of a validated `fit`; or use curvature="ggn", which '
        'is negative of Beta and NegativeBinomial(None) alone, or "fisher", which never is.'
    )


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

    def columns(self, indices: Any) -> Any:
        units = np.zeros((len(self._factor), len(indices)))
        units[indices, np.arange(len(indices))] = 1.0
        return _linalg().cho_solve((self._factor, True), units)

    def covariance_of(self, jacobian: Any) -> Any:
        rows, outputs, size = jacobian.shape
        flat = jacobian.reshape(rows * outputs, size).T
        half = _linalg().solve_triangular(self._factor, flat, lower=True)
        half = half.T.reshape(rows, outputs, size)
        return half @ half.transpose(0, 2, 1)

    def solve(self, vector: Any) -> Any:
        return _linalg().cho_solve((self._factor, True), vector)

    def quadratic(self, deviation: Any) -> float:
        return float(np.sum((self._factor.T @ deviation) ** 2))

    def with_coordinate(self, place: int, precision: float) -> FullPrecision:
        matrix = np.insert(np.insert(self._matrix, place, 0.0, axis=0), place, 0.0, axis=1)
        prior = np.insert(self.prior, place, precision if self.prior.ndim == 1 else 0.0, axis=0)
        if prior.ndim == 2:
            prior = np.insert(prior, place, 0.0, axis=1)
            prior[place, place] = precision
        return FullPrecision(matrix, prior, self.factor)

    def parts(self) -> list[tuple[int, int, str, dict[str, Any]]]:
        return [(0, len(self._factor), "full", {"whitening": self._factor.T})]

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

    def columns(self, indices: Any) -> Any:
        found = np.zeros((len(self._precision), len(indices)))
        found[indices, np.arange(len(indices))] = 1.0 / self._precision[indices]
        return found

    def covariance_of(self, jacobian: Any) -> Any:
        return (jacobian / self._precision) @ jacobian.transpose(0, 2, 1)

    def solve(self, vector: Any) -> Any:
        return vector / self._precision

    def quadratic(self, deviation: Any) -> float:
        return float(np.sum(self._precision * deviation**2))

    def with_coordinate(self, place: int, precision: float) -> DiagonalPrecision:
        diagonal, prior = (
            np.insert(self._diagonal, place, 0.0),
            np.insert(self.prior, place, precision),
        )
        return DiagonalPrecision(diagonal, prior, self.factor)

    def parts(self) -> list[tuple[int, int, str, dict[str, Any]]]:
        return [(0, len(self._precision), "diagonal", {"variance": 1.0 / self._precision})]

    def arrays(self) -> dict[str, Any]:
        return {"diagonal": self._diagonal}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], prior: Any, factor: float) -> DiagonalPrecision:
        return cls(arrays["diagonal"], prior, factor)


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

    def columns(self, indices: Any) -> Any:
        raise NotImplementedError("No weight with a Kronecker factor has an unknown scale.")

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

    def solve(self, vector: Any) -> Any:
        parts = []
        for part, values, (left, right, *_) in self._in_bases(vector):
            part = part / values
            parts.append((part if left is None else left @ part @ right.T).reshape(-1))
        return np.concatenate(parts)

    def prior_squares(self, deviation: Any) -> Any:
        parts = []
        for part, _, (left, right, *_) in self._in_bases(deviation):
            square = part**2
            parts.append((square if left is None else left**2 @ square @ right.T**2).reshape(-1))
        return np.concatenate(parts)

    def with_coordinate(self, place: int, precision: float) -> KroneckerPrecision:
        blocks = [(start + (start >= place), *rest) for start, *rest in self._blocks]
        blocks.append((place, np.zeros(1, "float32"), None))
        blocks.sort(key=lambda block: block[0])
        return KroneckerPrecision(blocks, np.insert(self.prior, place, precision), self.factor)

    def quadratic(self, deviation: Any) -> float:
        return float(sum(np.sum(v * part**2) for part, v, _ in self._in_bases(deviation)))

    def parts(self) -> list[tuple[int, int, str, dict[str, Any]]]:
        found: list[tuple[int, int, str, dict[str, Any]]] = []
        for (start, _, _), values, (left, right, *_) in zip(
            self._blocks, self._values, self._bases, strict=True
        ):
            stop = start + values.size
            if left is None:
                found.append((start, stop, "diagonal", {"variance": 1.0 / values[:, 0]}))
            else:
                arrays = {"left": left, "right": right, "values": values}
                found.append((start, stop, "kronecker", arrays))
        return found

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

    def _in_bases(self, vector: Any) -> Iterator[tuple[Any, Any, Any]]:
        """(the part of a vector (D,) in the eigenvectors, eigenvalues, basis) of each block."""
        for (start, _, _), values, basis in zip(
            self._blocks, self._values, self._bases, strict=True
        ):
            part = vector[start : start + values.size].reshape(values.shape)
            yield part if basis[0] is None else basis[0].T @ part @ basis[1], values, basis

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
