"""The beta likelihood."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import positive, scalar
from keras_priors.utils.export import export


@export()
class Beta(ElementwiseLikelihood):
    """Proportions strictly between 0 and 1, whose mean and concentration are outputs.

        concentration1 = min_concentration + softplus(k) sigmoid(f)
        concentration0 = min_concentration + softplus(k) sigmoid(-f)
        -log p(y | f, k) = sum_d [ (1 - concentration1) log y + (1 - concentration0) log(1 - y)
                                   + log B(concentration1, concentration0) ]        (nats)

    So the mean is sigmoid(f), up to `min_concentration`, and softplus(k) is the concentration
    (the precision of beta regression): the variance is mean (1 - mean) / (concentration + 1).
    The last axis of the outputs holds first all f, then all k: for d targets the model ends with
    `Dense(2 * d)`.

    Args:
        min_concentration: float, greater than 0, the least value of both parameters of the beta
            distribution, so that loss and gradient are finite for any output. Defaults to 1e-6.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., 2 d); targets (n, ..., d), or (n, ...) where d is 1. Targets outside the
        open interval (0, 1), its ends too, give a loss of +inf.

    Raises:
        TypeError: `min_concentration` is not a number.
        ValueError: `min_concentration` is not positive, the last axis of the outputs is odd, the
            target does not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Beta()
        >>> outputs = np.array([[0.0, 1.854587]])        # mean 1/2, concentration 2: uniform
        >>> round(abs(float(likelihood(np.array([0.3]), outputs))), 4)
        0.0

    References:
        - Ferrari and Cribari-Neto, 2004, Beta regression for modelling rates and proportions,
          equation 4.
    """

    _parameters = ("min_concentration",)
    _outputs_per_target = 2

    def __init__(
        self,
        min_concentration: float = 1e-6,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.min_concentration = scalar(
            "Beta", "min_concentration", positive("Beta", "min_concentration", min_concentration)
        )

    def mean(self, outputs: Any) -> Any:
        """concentration1 / (concentration1 + concentration0)."""
        one, zero = self._concentrations(self._checked(outputs))
        return one / (one + zero)

    def variance(self, outputs: Any) -> Any:
        """m (1 - m) / (concentration1 + concentration0 + 1), with m the mean."""
        one, zero = self._concentrations(self._checked(outputs))
        total = one + zero
        return (one / total) * (zero / total) / (total + 1.0)

    def _concentrations(self, outputs: Any) -> tuple[Any, Any]:
        width = outputs.shape[-1] // 2
        f, total = outputs[..., :width], ops.softplus(outputs[..., width:])
        return (
            self.min_concentration + total * ops.sigmoid(f),
            self.min_concentration + total * ops.sigmoid(-f),
        )

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_and(y > 0.0, y < 1.0)

    def _interior_point(self) -> float:
        return 0.5

    def _log_density(self, y: Any, outputs: Any) -> Any:
        return self._distribution(outputs).log_prob(y)

    def _distribution(self, outputs: Any) -> Any:
        one, zero = self._concentrations(outputs)
        return backend.distribution("Beta", concentration1=one, concentration0=zero)
