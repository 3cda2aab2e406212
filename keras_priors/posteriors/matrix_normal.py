"""The matrix normal posterior."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.posteriors.posterior import AddWeight, Posterior
from keras_priors.posteriors.scale import (
    checked_initial_scale,
    initial_scale_for,
    normal_entropy,
)
from keras_priors.posteriors.triangular import (
    TriangularInitializer,
    log_det_triangular,
    triangular,
)
from keras_priors.utils.export import export


@export()
class MatrixNormal(Posterior):
    """A matrix normal: rows and columns of a kernel each with a covariance of their own.

        W = loc + A E Bᵀ,   E_ij ~ N(0, 1);   Cov[W_ij, W_kl] = (A Aᵀ)_ik (B Bᵀ)_jl

    A (inputs x inputs) and B (outputs x outputs) are lower triangular with softplus diagonals.
    For weights with two axes.

    Args:
        initial_scale: float, the standard deviation of each element to start with. Defaults to
            None: as `MeanFieldNormal`.

    Raises:
        ValueError: `initial_scale` is not positive, or (when the layer is built) the weight has
            not two axes.

    Example:
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDense(3, kernel_posterior="matrix_normal")
        >>> layer.build((None, 2))
        >>> tuple(layer.kernel_posterior.scale_row.shape)
        (2, 2)

    References:
        - Louizos and Welling, 2016, Structured and efficient variational deep learning with
          matrix Gaussian posteriors, section 3, arXiv:1603.04733 (here with full factors).
    """

    _parameters = ("initial_scale",)

    def __init__(self, initial_scale: float | None = None) -> None:
        self.initial_scale = checked_initial_scale("MatrixNormal", initial_scale)

    def _check_weight(self) -> None:
        if len(self.shape) != 2:
            raise ValueError(
                "MatrixNormal is a distribution over weights with two axes. "
                f"Received: a weight of shape {self.shape}. Use MeanFieldNormal, LowRankNormal "
                "or FullNormal for it."
            )

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create `scale_row` and `scale_column`."""
        scale = initial_scale_for(self.shape, self.initial_scale, fan_in)
        rows, columns = self.shape
        self.scale_row = add_weight("scale_row", (rows, rows), TriangularInitializer(scale))
        self.scale_column = add_weight(
            "scale_column", (columns, columns), TriangularInitializer(1.0)
        )

    def mean(self) -> Any:
        """Mean of q: `loc`."""
        return self._location()

    def variance(self) -> Any:
        """(A Aᵀ)_ii (B Bᵀ)_jj."""
        rows = ops.sum(ops.square(triangular(self.scale_row)), axis=1)
        columns = ops.sum(ops.square(triangular(self.scale_column)), axis=1)
        return ops.outer(rows, columns)

    def transform(self, noise: Any) -> Any:
        """loc + A E Bᵀ."""
        left = ops.matmul(triangular(self.scale_row), noise)
        return self._location() + ops.matmul(left, ops.transpose(triangular(self.scale_column)))

    def output_draw(self, op: Any, y: Any, x: Any, seed: Any) -> Any:
        """For a row x: N(y, |xᵀA|^2 B Bᵀ)."""
        row, column = triangular(self.scale_row), triangular(self.scale_column)
        return y + op.matrix_noise(x, row, column, seed)

    def distribution(self) -> Any:
        """A native matrix normal."""
        return backend.distribution(
            "MatrixNormal",
            loc=self.mean(),
            scale_row=triangular(self.scale_row),
            scale_column=triangular(self.scale_column),
        )

    def entropy(self) -> Any:
        """columns log|A| + rows log|B| + (rows columns / 2) log(2 pi e) nats."""
        rows, columns = self.shape
        log_det = columns * log_det_triangular(self.scale_row)
        log_det = log_det + rows * log_det_triangular(self.scale_column)
        return normal_entropy(log_det, self.size)
