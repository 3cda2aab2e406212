"""The matrix normal."""

import math
from typing import Any, ClassVar

import torch
from torch.distributions import constraints

from keras_priors.backend.torch.families.located import Located


class MatrixNormal(Located):
    """X = loc + A E B^T with standard normal E: Cov[X_ij, X_kl] = (A A^T)_ik (B B^T)_jl.

    Args:
        loc: tensor of shape (..., rows, columns), the mean.
        scale_row: tensor of shape (..., rows, rows), A, lower triangular.
        scale_column: tensor of shape (..., columns, columns), B, lower triangular.
        validate_args: bool, whether to check the arguments. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.independent(constraints.real, 2),
        "scale_row": constraints.lower_cholesky,
        "scale_column": constraints.lower_cholesky,
    }
    support = constraints.independent(constraints.real, 2)

    def __init__(
        self, loc: Any, scale_row: Any, scale_column: Any, validate_args: bool | None = False
    ) -> None:
        rows, columns = scale_row.shape[-1], scale_column.shape[-1]
        batch = torch.broadcast_shapes(
            loc.shape[:-2], scale_row.shape[:-2], scale_column.shape[:-2]
        )
        self.loc = loc.expand(*batch, rows, columns)
        self.scale_row = scale_row.expand(*batch, rows, rows)
        self.scale_column = scale_column.expand(*batch, columns, columns)
        super().__init__(batch, torch.Size((rows, columns)), validate_args=validate_args)

    @property
    def variance(self) -> Any:
        """(A A^T)_ii (B B^T)_jj."""
        rows = torch.square(self.scale_row).sum(-1)
        columns = torch.square(self.scale_column).sum(-1)
        return rows[..., :, None] * columns[..., None, :]

    def rsample(self, sample_shape: Any = ()) -> Any:
        """loc + A E B^T."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.scale_row @ noise @ self.scale_column.mT

    def log_prob(self, value: Any) -> Any:
        """Log density of each matrix, in nats."""
        solve = torch.linalg.solve_triangular
        left = solve(self.scale_row, value - self.loc, upper=False)
        white = solve(self.scale_column, left.mT, upper=False)
        rows, columns = self.event_shape
        log_det = columns * _log_det(self.scale_row) + rows * _log_det(self.scale_column)
        constant = 0.5 * rows * columns * math.log(2.0 * math.pi)
        return -0.5 * torch.square(white).sum((-2, -1)) - log_det - constant

    def entropy(self) -> Any:
        """columns log|A| + rows log|B| + (rows columns / 2) log(2 pi e)."""
        rows, columns = self.event_shape
        log_det = columns * _log_det(self.scale_row) + rows * _log_det(self.scale_column)
        return log_det + 0.5 * rows * columns * (math.log(2.0 * math.pi) + 1.0)


def _log_det(scale_tril: Any) -> Any:
    return torch.log(torch.diagonal(scale_tril, dim1=-2, dim2=-1)).sum(-1)
