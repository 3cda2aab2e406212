"""Normal noise that is correlated between the targets of an observation."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.parameters import positive, scalar
from keras_priors.utils.export import export
from keras_priors.utils.parameters import tensor, whole_number


@export()
class MultivariateNormal(Likelihood):
    """Targets that are jointly normal: means and covariance are outputs.

        -log p(y | f) = (y - m)^T C^-1 (y - m) / 2 + log det C / 2 + d log(2 pi) / 2      (nats)
        full:            C = L L^T,  L lower triangular,  L_ii = min_scale + softplus(raw)
        of a low rank:   C = diag(s^2) + U U^T,           s = min_scale + softplus(rho)

    Args:
        rank: integer, the rank of U, for many targets; or None, a full covariance. Defaults to
            None.
        min_scale: float, greater than 0, the least L_ii or s, in the units of the targets.
            Defaults to 1e-3.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d + d (d + 1) / 2), first the means, then the rows of the lower triangle
        of L, one after another; with a rank r (n, ..., 2 d + r d), the means, all rho, and the
        rows of U. Targets (n, ..., d). NaN and infinities have no density: the loss is +inf.

    Raises:
        TypeError: a parameter is no number.
        ValueError: `rank` or `min_scale` is not positive, outputs that no d fits, a target that
            does not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.MultivariateNormal(min_scale=1.0)
        >>> outputs = np.array([[0.0, 0.0, -50.0, 1.0, -50.0]])       # L = [[1, 0], [1, 1]]
        >>> keras.ops.convert_to_numpy(likelihood.covariance(outputs))[0].tolist()
        [[1.0, 1.0], [1.0, 2.0]]

    References:
        - Bishop, 2006, Pattern recognition and machine learning, equation 2.43.
        - Woodbury, 1950, Inverting modified matrices, for the low rank.
    """

    _parameters = ("rank", "min_scale")
    _outputs_per_target = 2

    def __init__(
        self,
        rank: int | None = None,
        min_scale: float = 1e-3,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.rank = None if rank is None else whole_number("MultivariateNormal", "rank", rank)
        self.min_scale = scalar(
            "MultivariateNormal",
            "min_scale",
            positive("MultivariateNormal", "min_scale", min_scale),
        )

    def mean(self, outputs: Any) -> Any:
        """The means."""
        outputs = self._checked(outputs)
        return outputs[..., : self._dimension(outputs.shape[-1])]

    def variance(self, outputs: Any) -> Any:
        """The diagonal of C."""
        scale, factor = self._factors(self._checked(outputs))
        of_factor = ops.sum(ops.square(factor), axis=-1)
        return of_factor if scale is None else ops.square(scale) + of_factor

    def covariance(self, outputs: Any) -> Any:
        """C, (n, ..., d, d)."""
        scale, factor = self._factors(self._checked(outputs))
        # Not a product of matrices, which some devices round.
        both = ops.sum(factor[..., :, None, :] * factor[..., None, :, :], axis=-1)
        if scale is None:
            return both
        return both + ops.square(scale)[..., None] * ops.eye(scale.shape[-1], dtype=scale.dtype)

    def distribution(self, outputs: Any) -> Any:
        """The native multivariate normal."""
        outputs = self._checked(outputs)
        mean, (scale, factor) = self.mean(outputs), self._factors(outputs)
        if scale is None:
            return backend.distribution("MultivariateNormalTriL", loc=mean, scale_tril=factor)
        return backend.distribution(
            "MultivariateNormalDiagPlusLowRank",
            loc=mean,
            cov_diag_factor=ops.square(scale),
            cov_perturb_factor=factor,
        )

    def _dimension(self, width: int) -> int:
        if self.rank is not None:
            return width // (2 + self.rank)
        return (math.isqrt(9 + 8 * width) - 3) // 2

    def _width(self, dimension: int) -> int:
        per_target = 2 + self.rank if self.rank is not None else 1.5 + dimension / 2
        return int(dimension * per_target)

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        width = shape[-1] if len(shape) > 1 else None
        if not width or width != self._width(max(1, self._dimension(width))):
            each = "2 d + r d" if self.rank is not None else "d + d (d + 1) / 2"
            raise ValueError(
                f"{self!r} takes {each} outputs for d targets. Received: outputs of shape {shape}. "
                f"End the model with keras.layers.Dense({self._width(3)}) for three targets, for "
                "example."
            )

    def _factors(self, outputs: Any) -> tuple[Any, Any]:
        """(None, L), or (s, U)."""
        d = self._dimension(outputs.shape[-1])
        if self.rank is not None:
            scale = self.min_scale + ops.softplus(outputs[..., d : 2 * d])
            return scale, ops.reshape(
                outputs[..., 2 * d :], (*ops.shape(outputs)[:-1], d, self.rank)
            )
        entries = outputs[..., d:]
        entries = ops.concatenate([entries, ops.zeros_like(entries[..., :1])], axis=-1)
        place = np.full((d, d), d * (d + 1) // 2)  # that of the zero
        place[np.tril_indices(d)] = np.arange(d * (d + 1) // 2)
        raw = ops.take(entries, place.astype("int32"), axis=-1)
        on_diagonal = ops.convert_to_tensor(np.eye(d, dtype=bool))
        return None, ops.where(on_diagonal, self.min_scale + ops.softplus(raw), raw)

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """The target with the axes of the outputs."""
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        return align(repr(self), y, outputs, [(self._dimension(outputs.shape[-1]),)], draws)

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        inside = ops.all(ops.isfinite(y), axis=-1)
        away = ops.where(inside[..., None], y, 0.0) - self.mean(outputs)
        scale, factor = self._factors(outputs)
        square, log_det = (
            _by_triangle(away, factor) if scale is None else _by_rank(away, scale, factor)
        )
        density = -0.5 * (square + log_det + away.shape[-1] * math.log(2.0 * math.pi))
        return ops.where(inside, density, ops.cast(-np.inf, outputs.dtype))

    def _information(self, y: Any, outputs: Any) -> Any:
        """The mean curvature: of what is quadratic in y, the mean over 2 d points around m."""
        del y
        flat = ops.reshape(outputs, (-1, outputs.shape[-1]))
        root = self._factors(flat)[1] if self.rank is None else ops.cholesky(self.covariance(flat))
        moves = math.sqrt(root.shape[-1]) * ops.transpose(root, (0, 2, 1))  # (n, d, d): columns
        mean = self.mean(flat)[:, None, :]
        points = ops.stop_gradient(ops.concatenate([mean + moves, mean - moves], axis=1))

        def loss(f: Any, points: Any) -> Any:
            rows = ops.broadcast_to(f, (points.shape[0], f.shape[0]))
            return -ops.mean(self.joint_log_density(points, rows))

        second = backend.hessian(loss)
        found = backend.vectorize(lambda row: second(*row))((flat, points))
        return ops.reshape(found, (*outputs.shape, outputs.shape[-1]))


def _by_triangle(away: Any, factor: Any) -> tuple[Any, Any]:
    """away^T C^-1 away and log det C of C = L L^T."""
    z = ops.solve_triangular(factor, away[..., None], lower=True)[..., 0]
    diagonal = ops.sum(factor * tensor(np.eye(factor.shape[-1]), factor.dtype), axis=-1)
    return ops.sum(ops.square(z), axis=-1), 2.0 * ops.sum(ops.log(diagonal), axis=-1)


def _by_rank(away: Any, scale: Any, factor: Any) -> tuple[Any, Any]:
    """The same of C = diag(s^2) + U U^T.

    away^T C^-1 away is the least |(away - U t) / s|^2 + |t|^2, a sum of squares, where Woodbury's
    difference loses its digits. The t solves (I + V^T V) t = V^T away / s with V = U / s, whose
    pivots are at least 1: a smaller one is rounding.
    """
    v, z = factor / scale[..., None], away / scale
    rank = v.shape[-1]
    eye = tensor(np.eye(rank), v.dtype)
    both = ops.concatenate([v, z[..., None]], axis=-1)
    left = ops.sum(v[..., :, :, None] * both[..., :, None, :], axis=-3)  # (..., r, r + 1)
    left = left + ops.concatenate([eye, ops.zeros_like(eye[:, :1])], axis=-1)
    rows, log_det = [], 2.0 * ops.sum(ops.log(scale), axis=-1)
    for k in range(rank):
        row = left[..., 0, :]
        pivot = ops.where(row[..., k] > 1.0, row[..., k], 1.0)
        log_det = log_det + ops.log(pivot)
        rows.append(row / pivot[..., None])
        left = left[..., 1:, :] - left[..., 1:, k : k + 1] * rows[-1][..., None, :]
    t: list[Any] = []
    for k in reversed(range(rank)):
        known = sum(rows[k][..., j] * t[rank - 1 - j] for j in range(k + 1, rank))
        t.append(rows[k][..., rank] - known)
    best = ops.stack(t[::-1], axis=-1)
    rest = z - ops.sum(v * best[..., None, :], axis=-1)
    square = ops.sum(ops.square(rest), axis=-1) + ops.sum(ops.square(best), axis=-1)
    return square, log_det
