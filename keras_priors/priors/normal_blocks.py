"""Normals over several weights together, each with its own way to keep a precision."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from keras import ops

from keras_priors.priors.special import LOG_2PI
from keras_priors.utils.export import share
from keras_priors.utils.parameters import constant, real, to_config


@share
class NormalBlock:
    """N(mean, P^-1) over z of some weights, flattened and one after the other: (D,). Abstract.

    z is the weight itself, or its logarithm where it is positive. A subclass knows a matrix W with
    P = W^T W, by which deviations are white. All arrays are NumPy in float64.

    Args:
        paths: the paths of the weights.
        shapes: their shapes.
        mean: array (D,).
        positive: for each weight whether z is its logarithm. Defaults to None: of none.
        arrays: what the subclass makes P of, by name.

    Raises:
        ValueError: shapes that do not fit each other, or a P that is not positive definite.
    """

    kind: ClassVar[str]
    """What `config` says of the class."""
    _kinds: ClassVar[dict[str, type[NormalBlock]]] = {}

    def __init__(
        self,
        paths: Sequence[str],
        shapes: Sequence[Any],
        mean: Any,
        positive: Sequence[bool] | None = None,
        **arrays: Any,
    ) -> None:
        self.paths = tuple(str(path) for path in paths)
        self.shapes = tuple(tuple(int(n) for n in shape) for shape in shapes)
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)
        self.size = sum(self.sizes)
        self.positive = tuple(bool(p) for p in (positive or [False] * len(self.paths)))
        self.mean = self._array("mean", mean)
        self.arrays = {name: self._array(name, value) for name, value in arrays.items()}
        fits = len(self.paths) == len(self.shapes) == len(self.positive) and self.mean.shape == (
            self.size,
        )
        if not (fits and self._fits()):
            raise ValueError(
                f"A {self.kind} normal over {list(self.paths)} must have arrays for "
                f"{self.size} elements. Received: a mean of shape {self.mean.shape} and "
                f"{ {name: value.shape for name, value in self.arrays.items()} }."
            )
        self.log_det = self._log_det()
        """log det P."""
        if not math.isfinite(self.log_det):
            raise ValueError(
                f"The precision of a {self.kind} normal must be positive definite. Received: one "
                f"over {list(self.paths)} that is not. Weights that do not move have no density: "
                "freeze them."
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        NormalBlock._kinds[cls.kind] = cls

    def log_prob(self, values: Sequence[Any]) -> Any:
        """Log density in nats of the weights, tensors in their shapes: a scalar.

        -inf where a positive one is not.
        """
        parts, log_det, inside = [], 0.0, None
        for value, positive in zip(values, self.positive, strict=True):
            if positive:
                # Neither the logarithm nor its gradient is NaN before it is replaced.
                above = value > 0
                value = ops.log(ops.where(above, value, ops.ones_like(value)))
                log_det = log_det + ops.sum(value)
                inside = (
                    ops.all(above) if inside is None else ops.logical_and(inside, ops.all(above))
                )
            parts.append(value)
        density = self.log_prob_of_z(parts) - log_det
        return density if inside is None else ops.where(inside, density, -np.inf)

    def log_prob_of_z(self, values: Sequence[Any]) -> Any:
        """That of z, in nats."""
        flat = ops.concatenate(
            [ops.reshape(v, (size,)) for v, size in zip(values, self.sizes, strict=True)]
        )
        white = self._whiten(flat - constant(self.mean, flat.dtype))
        return -0.5 * ops.sum(ops.square(white)) + 0.5 * (self.log_det - self.size * LOG_2PI)

    def split(self, vectors: Any) -> dict[str, Any]:
        """The parts of an array (..., D) by path, in the shapes of the weights."""
        ends = np.cumsum(self.sizes)
        return {
            path: vectors[..., end - size : end].reshape(*vectors.shape[:-1], *shape)
            for path, shape, size, end in zip(
                self.paths, self.shapes, self.sizes, ends, strict=True
            )
        }

    def to_weights(self, z: Any) -> dict[str, Any]:
        """The weights by path of an array (..., D) of z."""
        parts = self.split(z)
        return {
            path: np.exp(part) if positive else part
            for (path, part), positive in zip(parts.items(), self.positive, strict=True)
        }

    @abstractmethod
    def precision(self) -> Any:
        """P (D, D)."""

    @abstractmethod
    def precision_diagonal(self) -> Any:
        """Diagonal of P (D,), without P."""

    @abstractmethod
    def variance(self) -> Any:
        """Diagonal of the covariance (D,)."""

    @abstractmethod
    def color(self, noise: Any) -> Any:
        """W^-1 e (D,): from standard normals (D,) to a draw of N(0, P^-1)."""

    @abstractmethod
    def _whiten(self, deviation: Any) -> Any:
        """W d, of a tensor (D,), in any shape."""

    @abstractmethod
    def _fits(self) -> bool:
        """Whether the shapes of the arrays are those of D elements."""

    @abstractmethod
    def _log_det(self) -> float:
        """log det P; not finite where P is not positive definite."""

    def config(self) -> dict[str, Any]:
        """What `from_config` takes, for JSON."""
        return {
            "kind": self.kind,
            "paths": list(self.paths),
            "shapes": [list(shape) for shape in self.shapes],
            "mean": to_config(self.mean),
            "positive": list(self.positive),
            "arrays": {name: to_config(value) for name, value in self.arrays.items()},
        }

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> NormalBlock:
        """The block of a config, which may be that of a file."""
        kind = config.get("kind")
        if kind not in NormalBlock._kinds:
            raise ValueError(
                f"The kind of a joint normal must be one of {sorted(NormalBlock._kinds)}. "
                f"Received: {kind!r}."
            )
        cls = NormalBlock._kinds[kind]
        parts = (config[name] for name in ("paths", "shapes", "mean", "positive"))
        return cls(*parts, **config["arrays"])

    def _array(self, name: str, value: Any) -> Any:
        return np.asarray(real("JointNormalPrior", name, value), "float64")


@share
class FullBlock(NormalBlock):
    """P = W^T W with any square `whitening` W (D, D)."""

    kind = "full"

    @classmethod
    def from_covariance(
        cls, paths: Any, shapes: Any, mean: Any, positive: Any, covariance: Any
    ) -> FullBlock:
        """That of a covariance."""
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise ValueError(
                "The covariance of a full normal must be positive definite. Received: one over "
                f"{list(paths)} that is not, in float64. Weights that move along each other alone "
                'have no density together: take `as_prior("low_rank")` or `as_prior("diagonal")`.'
            ) from error
        whitening = np.linalg.solve(factor, np.eye(len(factor)))
        return cls(paths, shapes, mean, positive, whitening=whitening)

    def precision(self) -> Any:
        whitening = self.arrays["whitening"]
        return whitening.T @ whitening

    def precision_diagonal(self) -> Any:
        return np.sum(self.arrays["whitening"] ** 2, axis=0)

    def variance(self) -> Any:
        return np.sum(np.linalg.inv(self.arrays["whitening"]) ** 2, axis=1)

    def color(self, noise: Any) -> Any:
        return np.linalg.solve(self.arrays["whitening"], noise)

    def _whiten(self, deviation: Any) -> Any:
        whitening = constant(self.arrays["whitening"], deviation.dtype)
        return ops.matmul(whitening, deviation[:, None])

    def _fits(self) -> bool:
        return bool(self.arrays["whitening"].shape == (self.size, self.size))

    def _log_det(self) -> float:
        whitening = self.arrays["whitening"]
        if np.any(np.tril(whitening, -1)) and np.any(np.triu(whitening, 1)):
            return 2.0 * float(np.linalg.slogdet(whitening)[1])
        with np.errstate(divide="ignore"):  # triangular, as a factor of Cholesky is
            return 2.0 * float(np.sum(np.log(np.abs(np.diagonal(whitening)))))


@share
class LowRankBlock(NormalBlock):
    """P = S (I + V diag(values) V^T) S with S = diag(`scale`), orthonormal `vectors` V (D, r).

    `values` (r,) are above -1: below 0 where the covariance, and not P, has the low-rank part.
    """

    kind = "low_rank"

    @staticmethod
    def of_covariance(stddev: Any, factor: Any) -> dict[str, Any]:
        """The arrays of diag(stddev^2) + F^T F, with F (r, D), by Woodbury's identity."""
        half = np.asarray(factor, "float64") / stddev
        squares, rotation = np.linalg.eigh(half @ half.T)
        kept = squares > 1e-12 * max(float(squares.max(initial=0.0)), 1e-300)
        squares = squares[kept]
        vectors = half.T @ (rotation[:, kept] / np.sqrt(squares))
        return {
            "scale": 1.0 / np.asarray(stddev, "float64"),
            "vectors": vectors,
            "values": -squares / (1.0 + squares),
        }

    def precision(self) -> Any:
        scaled = self.arrays["scale"][:, None] * self.arrays["vectors"]
        return np.diag(self.arrays["scale"] ** 2) + (scaled * self.arrays["values"]) @ scaled.T

    def precision_diagonal(self) -> Any:
        along = self.arrays["vectors"] ** 2 @ self.arrays["values"]
        return self.arrays["scale"] ** 2 * (1.0 + along)

    def variance(self) -> Any:
        values = self.arrays["values"]
        known = self.arrays["vectors"] ** 2 @ (values / (1.0 + values))
        return (1.0 - known) / self.arrays["scale"] ** 2

    def color(self, noise: Any) -> Any:
        vectors, values = self.arrays["vectors"], self.arrays["values"]
        shrink = 1.0 / np.sqrt(1.0 + values) - 1.0
        return (noise + vectors @ (shrink * (vectors.T @ noise))) / self.arrays["scale"]

    def _whiten(self, deviation: Any) -> Any:
        vectors = constant(self.arrays["vectors"], deviation.dtype)
        stretch = np.sqrt(1.0 + self.arrays["values"]) - 1.0
        scaled = constant(self.arrays["scale"], deviation.dtype) * deviation
        along = ops.matmul(ops.transpose(vectors), scaled[:, None])
        return (
            scaled + ops.matmul(vectors, constant(stretch, deviation.dtype)[:, None] * along)[:, 0]
        )

    def _fits(self) -> bool:
        scale, vectors, values = (self.arrays[name] for name in ("scale", "vectors", "values"))
        shapes = scale.shape, vectors.shape
        return bool(shapes == ((self.size,), (self.size, *values.shape)))

    def _log_det(self) -> float:
        scale, values = self.arrays["scale"], self.arrays["values"]
        if not (np.all(scale > 0) and np.all(values > -1.0)):
            return math.nan
        return float(2.0 * np.sum(np.log(scale)) + np.sum(np.log1p(values)))


@share
class KroneckerBlock(NormalBlock):
    """P = (L (x) R) diag(values) (L (x) R)^T with orthogonal `left` L (n, n), `right` R (m, m).

    `values` is (n, m). The weights are those of one layer: a matrix (n, m), whose last row is the
    bias where there is one.
    """

    kind = "kronecker"

    def precision(self) -> Any:
        basis = np.kron(self.arrays["left"], self.arrays["right"])
        return (basis * self.arrays["values"].reshape(-1)) @ basis.T

    def precision_diagonal(self) -> Any:
        left, right = self.arrays["left"] ** 2, self.arrays["right"] ** 2
        return (left @ self.arrays["values"] @ right.T).reshape(-1)

    def variance(self) -> Any:
        left, right = self.arrays["left"] ** 2, self.arrays["right"] ** 2
        return (left @ (1.0 / self.arrays["values"]) @ right.T).reshape(-1)

    def color(self, noise: Any) -> Any:
        values = self.arrays["values"]
        white = noise.reshape(values.shape) / np.sqrt(values)
        return (self.arrays["left"] @ white @ self.arrays["right"].T).reshape(-1)

    def _whiten(self, deviation: Any) -> Any:
        values, dtype = self.arrays["values"], deviation.dtype
        left, right = constant(self.arrays["left"].T, dtype), constant(self.arrays["right"], dtype)
        inside = ops.matmul(ops.matmul(left, ops.reshape(deviation, values.shape)), right)
        return constant(np.sqrt(values), dtype) * inside

    def _fits(self) -> bool:
        left, right, values = (self.arrays[name] for name in ("left", "right", "values"))
        n, m = values.shape if values.ndim == 2 else (0, 0)
        return bool((left.shape, right.shape, n * m) == ((n, n), (m, m), self.size))

    def _log_det(self) -> float:
        values = self.arrays["values"]
        return float(np.sum(np.log(values))) if np.all(values > 0) else math.nan
