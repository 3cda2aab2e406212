"""A covariance, given as itself, by its Cholesky factor or by its inverse; priors with one."""

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from keras_priors.priors.prior import Prior
from keras_priors.utils.parameters import real


class Covariance(NamedTuple):
    """What a multivariate normal needs of its covariance, in float64."""

    scale_tril: np.ndarray
    """Lower triangular L with covariance L Lᵀ."""
    whitening: np.ndarray
    """A with precision AᵀA: A x is white."""
    precision_diagonal: np.ndarray
    log_det_scale: float
    """log|L|."""

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.scale_tril)


class CorrelatedNormalPrior(Prior):
    """A normal prior whose elements are correlated. Abstract."""

    @property
    def factorized(self) -> bool:
        """False: elements are correlated."""
        return False

    def log_prob(self, w: Any) -> Any:
        """Log density of the whole tensor in nats: a scalar."""
        w = self._as_weight(w)
        self.check_shape(tuple(w.shape))
        return self._quadratic(w, None)

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """E[log p(w)] in nats under independent normals: log p(mean) - tr(C⁻¹ diag(var)) / 2."""
        self.check_shape(tuple(mean.shape))
        return self._quadratic(mean, variance)

    @abstractmethod
    def _quadratic(self, w: Any, variance: Any) -> Any:
        """log p(w), less what a variance of the elements costs where there is one."""


def covariance_from(owner: str, **given: Any) -> tuple[Covariance, dict[str, Any]]:
    """The covariance and the arrays as given, from exactly one of several arguments.

    Args:
        owner: name of the class, for errors.
        **given: value or None by argument name, whose ending says what it is: `covariance`,
            `scale_tril` or `precision`.
    """
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise ValueError(
            f"{owner} needs exactly one of {', '.join(f'`{name}`' for name in given)}. "
            f"Received: {', '.join(f'`{name}`' for name in names) or 'none of them'}."
        )
    (name,) = names
    matrix = np.asarray(real(owner, name, given[name]))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"`{name}` of {owner} must be a square matrix. "
            f"Received: {name} of shape {matrix.shape}."
        )
    kept: dict[str, Any] = {**dict.fromkeys(given), name: matrix}
    if name.endswith("scale_tril"):
        return _from_scale_tril(_checked_triangle(owner, name, matrix)), kept
    factor = _cholesky(owner, name, matrix)
    if name.endswith("precision"):
        scale_tril = np.linalg.cholesky(np.linalg.inv(matrix))
        log_det = -float(np.log(np.diagonal(factor)).sum())
        return Covariance(scale_tril, factor.T, np.diagonal(matrix).copy(), log_det), kept
    return _from_scale_tril(factor), kept


def _from_scale_tril(scale_tril: np.ndarray) -> Covariance:
    whitening = np.linalg.solve(scale_tril, np.eye(scale_tril.shape[0]))
    log_det = float(np.log(np.diagonal(scale_tril)).sum())
    return Covariance(scale_tril, whitening, np.square(whitening).sum(axis=0), log_det)


def _checked_triangle(owner: str, name: str, matrix: np.ndarray) -> np.ndarray:
    if np.any(np.triu(matrix, 1) != 0.0) or not np.all(np.diagonal(matrix) > 0.0):
        raise ValueError(
            f"`{name}` of {owner} must be lower triangular with a diagonal above 0. "
            f"Received: {name}={matrix!r}. `numpy.linalg.cholesky(covariance)` gives one."
        )
    return matrix


def _cholesky(owner: str, name: str, matrix: np.ndarray) -> np.ndarray:
    if not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-6 * np.abs(matrix).max()):
        raise ValueError(
            f"`{name}` of {owner} must be symmetric. Received: {name}={matrix!r}, which differs "
            f"from its transpose by up to {np.abs(matrix - matrix.T).max():.3g}."
        )
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"`{name}` of {owner} must be positive definite. Received: {name}={matrix!r} with "
            f"smallest eigenvalue {np.linalg.eigvalsh(matrix)[0]:.3g}. Adding a small multiple "
            "of the identity makes a nearly singular one positive definite."
        ) from error
