"""The Poisson likelihood."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import flag
from keras_priors.utils.export import export


@export()
class Poisson(ElementwiseLikelihood):
    """Counts with the mean exp(f), the log rate f being the output.

        -log p(y | f) = sum_d [ exp(f_d) - y_d f_d + log(y_d!) ]        (nats)

    The stock loss `"poisson"` takes rates for outputs and leaves out log(y!), which no weight
    depends on; on several outputs it takes their mean.

    Args:
        from_log_rate: bool. Whether the outputs are log rates (the default) or, where False,
            rates, as a softplus or an exponential gives them. Rates are taken as at least
            `keras.config.epsilon()`; where one is negative the loss is +inf.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d); targets (n, ..., d), or (n, ...) where d is 1. A target that is not
        0, 1, 2 ... has no density: the loss is +inf. A log rate above 88 overflows float32:
        the loss is +inf too.

    Raises:
        TypeError: `from_log_rate` is not a bool.
        ValueError: the target does not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Poisson()
        >>> round(float(likelihood(np.array([3]), np.array([[0.0]]))), 4)       # 1 + log 3!
        2.7918

    References:
        - McCullagh and Nelder, 1989, Generalized linear models, section 6.2.
    """

    is_discrete = True
    _parameters = ("from_log_rate",)

    def __init__(
        self,
        from_log_rate: bool = True,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.from_log_rate = flag("Poisson", "from_log_rate", from_log_rate)

    def mean(self, outputs: Any) -> Any:
        """The rates."""
        outputs = self._checked(outputs)
        return ops.exp(outputs) if self.from_log_rate else outputs

    def variance(self, outputs: Any) -> Any:
        """The rates."""
        return self.mean(outputs)

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_and(ops.isfinite(y), ops.logical_and(y >= 0.0, y == ops.floor(y)))

    def _log_density(self, y: Any, outputs: Any) -> Any:
        # The library's density at rate 1 holds the factorial. The rest is written in the log
        # rate, because `torch.distributions` knows the rate only, whose logarithm is lost where
        # it underflows.
        at_rate_one = backend.distribution("Poisson", rate=ops.ones_like(y)).log_prob(y)
        if self.from_log_rate:
            return at_rate_one + y * outputs - (ops.exp(outputs) - 1.0)
        least = ops.cast(keras.config.epsilon(), outputs.dtype)
        log_rate = ops.log(ops.maximum(outputs, least))
        density = at_rate_one + y * log_rate - (outputs - 1.0)
        return ops.where(outputs >= 0.0, density, ops.cast(-np.inf, outputs.dtype))

    def _distribution(self, outputs: Any) -> Any:
        name = "log_rate" if self.from_log_rate else "rate"
        return backend.distribution("Poisson", **{name: outputs})
