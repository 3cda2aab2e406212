"""The multivariate normal prior."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.covariance import CorrelatedNormalPrior, covariance_from
from keras_priors.priors.special import LOG_2PI
from keras_priors.utils.export import export
from keras_priors.utils.parameters import real, tensor


@export("keras_priors")
class MultivariateNormalPrior(CorrelatedNormalPrior):
    """Multivariate normal prior along one axis of a weight, independent over the others.

        log p(w) = sum_j [ -(w_j - loc)ᵀ C⁻¹ (w_j - loc) / 2 - log|C| / 2 - D log(2 pi) / 2 ]

    in nats, w_j the vectors of length D along `axis`. For a dense kernel of shape (inputs,
    outputs) `axis=0` correlates the inputs of each unit, such as neighbouring pixels, and
    `axis=-1` the outputs.

    Args:
        loc: float, array of shape (D,) along `axis`, or array that broadcasts against the
            weight: the mean. Defaults to 0.
        covariance: symmetric positive definite matrix C of shape (D, D).
        scale_tril: lower triangular matrix L of shape (D, D) with C = L Lᵀ.
        precision: symmetric positive definite matrix C⁻¹ of shape (D, D). Exactly one of the
            three must be given.
        axis: integer, the axis of the weight that is correlated. Defaults to -1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    `distribution(shape)` has that axis moved to the end, as its event.

    Raises:
        TypeError: a parameter is not an array of numbers, or `axis` is not an integer.
        ValueError: not exactly one matrix is given; it is not square, not symmetric, not positive
            definite or not triangular; or (at the first weight) a shape does not fit.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.MultivariateNormalPrior(covariance=[[1.0, 0.9], [0.9, 1.0]], axis=0)
        >>> kernel = np.array([[1.0, 0.0], [1.0, 0.0]], "float32")  # 2 inputs, 2 units
        >>> round(float(prior.log_prob(kernel)), 4)
        -2.5413

    References:
        - Rasmussen and Williams, 2006, Gaussian processes for machine learning, section 2.1.1.
    """

    _parameters = ("loc", "covariance", "scale_tril", "precision", "axis")

    def __init__(
        self,
        loc: Any = 0.0,
        covariance: Any = None,
        scale_tril: Any = None,
        precision: Any = None,
        axis: int = -1,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        owner = "MultivariateNormalPrior"
        self.loc = real(owner, "loc", loc)
        self._covariance, given = covariance_from(
            owner, covariance=covariance, scale_tril=scale_tril, precision=precision
        )
        self.covariance, self.scale_tril = given["covariance"], given["scale_tril"]
        self.precision = given["precision"]
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise TypeError(
                f"`axis` of {owner} must be an integer. "
                f"Received: axis={axis!r} of type {type(axis).__name__}."
            )
        self.axis = int(axis)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where the weight has not `axis`, or not its length."""
        size = self._covariance.size
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] != size:
            raise ValueError(
                f"The weight of this MultivariateNormalPrior must have length {size} along axis "
                f"{self.axis}. Received: a weight of shape {shape}. Give a matrix of that "
                "length, or another `axis`."
            )
        if not self._broadcasts(np.shape(self._loc_for(shape)), shape):
            raise ValueError(
                "`loc` of MultivariateNormalPrior must be a number, an array along `axis`, or "
                f"broadcast against the weight. Received: loc of shape {np.shape(self.loc)}, "
                f"axis={self.axis} and a weight of shape {shape}."
            )

    def _loc_for(self, shape: tuple[int, ...]) -> Any:
        if np.ndim(self.loc) != 1:
            return self.loc
        along = [1] * len(shape)
        along[self.axis] = -1
        return np.reshape(self.loc, along)

    def expected_square(self, factors: Any) -> Any:
        """Half the sum of the squares of the whitened factors."""
        # Behind the axis of the factors.
        axis = self.axis if self.axis < 0 else self.axis + 1
        whitening = self._like(self._covariance.whitening.T, factors)
        return 0.5 * ops.sum(ops.square(ops.matmul(ops.moveaxis(factors, axis, -1), whitening)))

    def _quadratic(self, w: Any, variance: Any) -> Any:
        # A product with a constant matrix: a triangular solve in each step costs several times
        # as much, and both round alike.
        shape = tuple(w.shape)
        loc = self._like(self._loc_for(shape), w)
        vectors = ops.moveaxis(w - loc, self.axis, -1)
        whitening = self._like(self._covariance.whitening.T, w)
        squares = ops.sum(ops.square(ops.matmul(vectors, whitening)))
        if variance is not None:
            diagonal = self._like(self._covariance.precision_diagonal, w)
            squares = squares + ops.sum(ops.moveaxis(variance, self.axis, -1) * diagonal)
        size = math.prod(shape)
        log_det = self._covariance.log_det_scale * (size / self._covariance.size)
        return -0.5 * squares - log_det - 0.5 * size * LOG_2PI

    def sample(self, shape: Any, seed: Any = None) -> Any:
        """Draw one weight tensor of `shape`, in float32."""
        return ops.moveaxis(super().sample(shape, seed), -1, self.axis)

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        loc = np.moveaxis(np.broadcast_to(self._loc_for(shape), shape), self.axis, -1)
        return backend.distribution(
            "MultivariateNormalTriL",
            loc=tensor(loc, dtype),
            scale_tril=tensor(self._covariance.scale_tril, dtype),
        )
