"""The matrix normal prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.covariance import CorrelatedNormalPrior, covariance_from
from keras_priors.priors.special import LOG_2PI
from keras_priors.utils.export import export
from keras_priors.utils.parameters import real, tensor


@export("keras_priors")
class MatrixNormalPrior(CorrelatedNormalPrior):
    """Matrix normal prior on a kernel: rows and columns each with a covariance.

        Cov[W_ij, W_kl] = U_ik V_jl
        log p(W) = -tr[V⁻¹ (W - loc)ᵀ U⁻¹ (W - loc)] / 2 - n log|V| / 2 - m log|U| / 2
                   - n m log(2 pi) / 2   (nats)

    for W with n rows (inputs) and m columns (outputs).

    Args:
        loc: float or array that broadcasts against the weight, the mean. Defaults to 0.
        row_covariance: symmetric positive definite matrix U of shape (n, n).
        column_covariance: symmetric positive definite matrix V of shape (m, m).
        row_scale_tril: lower triangular Cholesky factor of U, in place of `row_covariance`.
        column_scale_tril: lower triangular Cholesky factor of V, in place of
            `column_covariance`.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not an array of numbers.
        ValueError: rows or columns have not exactly one matrix; it is not square, not symmetric,
            not positive definite or not triangular; or (at the first weight) a shape does not
            fit.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.MatrixNormalPrior(
        ...     row_covariance=[[1.0, 0.5], [0.5, 1.0]], column_covariance=[[4.0]])
        >>> round(float(prior.log_prob(np.array([[1.0], [1.0]], "float32"))), 4)
        -3.247

    References:
        - Louizos and Welling, 2016, Structured and efficient variational deep learning with
          matrix Gaussian posteriors, equation 3, arXiv:1603.04733.
    """

    _parameters = (
        "loc",
        "row_covariance",
        "column_covariance",
        "row_scale_tril",
        "column_scale_tril",
    )

    def __init__(
        self,
        loc: Any = 0.0,
        row_covariance: Any = None,
        column_covariance: Any = None,
        row_scale_tril: Any = None,
        column_scale_tril: Any = None,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        owner = "MatrixNormalPrior"
        self.loc = real(owner, "loc", loc)
        self._rows, rows = covariance_from(
            owner, row_covariance=row_covariance, row_scale_tril=row_scale_tril
        )
        self._columns, columns = covariance_from(
            owner, column_covariance=column_covariance, column_scale_tril=column_scale_tril
        )
        self.row_covariance, self.row_scale_tril = rows.values()
        self.column_covariance, self.column_scale_tril = columns.values()

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where the weight is not a matrix of the right shape."""
        expected = (self._rows.size, self._columns.size)
        if shape != expected:
            raise ValueError(
                f"The weight of this MatrixNormalPrior must have shape {expected}. "
                f"Received: a weight of shape {shape}. Give covariances of the lengths of its "
                "rows and columns; for weights that are no matrices, MultivariateNormalPrior."
            )
        if not self._broadcasts(np.shape(self.loc), shape):
            raise ValueError(
                "`loc` of MatrixNormalPrior must broadcast against the weight. "
                f"Received: loc of shape {np.shape(self.loc)} and a weight of shape {shape}."
            )

    def expected_square(self, factors: Any) -> Any:
        """Half the sum of the squares of the whitened factors."""
        left = ops.matmul(self._like(self._rows.whitening, factors), factors)
        white = ops.matmul(left, self._like(self._columns.whitening.T, factors))
        return 0.5 * ops.sum(ops.square(white))

    def _quadratic(self, w: Any, variance: Any) -> Any:
        left = ops.matmul(self._like(self._rows.whitening, w), w - self._like(self.loc, w))
        white = ops.matmul(left, self._like(self._columns.whitening.T, w))
        squares = ops.sum(ops.square(white))
        if variance is not None:
            diagonal = np.outer(self._rows.precision_diagonal, self._columns.precision_diagonal)
            squares = squares + ops.sum(variance * self._like(diagonal, w))
        n, m = self._rows.size, self._columns.size
        log_det = m * self._rows.log_det_scale + n * self._columns.log_det_scale
        return -0.5 * squares - log_det - 0.5 * n * m * LOG_2PI

    def sample(self, shape: Any, seed: Any = None) -> Any:
        """Draw one weight tensor of `shape`, in float32: loc + A E Bᵀ."""
        # Written out: TFP's sampler builds Kronecker operators, ten seconds of it on JAX.
        shape = tuple(shape)
        self.check_shape(shape)
        noise = backend.standard_normal(shape, backend.as_seed(seed))
        left = ops.matmul(self._like(self._rows.scale_tril, noise), noise)
        draw = ops.matmul(left, self._like(self._columns.scale_tril.T, noise))
        return self._like(self.loc, noise) + draw

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        return backend.distribution(
            "MatrixNormal",
            loc=tensor(np.broadcast_to(self.loc, shape), dtype),
            scale_row=tensor(self._rows.scale_tril, dtype),
            scale_column=tensor(self._columns.scale_tril, dtype),
        )
