"""SGHMC as a Keras optimizer."""

from __future__ import annotations

from typing import Any, Unpack

from keras_priors.inference.sgmcmc.noisy_optimizer import NoisyOptimizer, checked_momentum
from keras_priors.utils.export import export
from keras_priors.utils.optimizer_options import OptimizerOptions


@export("keras_priors.inference")
class SGHMCOptimizer(NoisyOptimizer):
    """SGHMC in plain `fit`: SGD with momentum whose weights, after burn-in, are posterior draws.

        v = momentum * v - rate * G g + sqrt(2 (1 - momentum) T rate * G / N) * N(0, 1)
        w = w + v

    All else is as in `SGLDOptimizer`.

    Args:
        learning_rate: float or schedule, that of SGD on the mean loss. Defaults to 1e-4.
        num_data: integer, the number N of observations whose mean is the loss. Required.
        momentum: float in (0, 1). Defaults to 0.9.
        preconditioner: None (the default) or "rmsprop".
        num_burnin: integer, steps in which the preconditioner is learned. Defaults to 0.
        temperature: float T of at least 0. Defaults to 1, the posterior; 0 is SGD.
        seed: integer from 0 to 2^31 - 1, or None for a fresh one.
        **kwargs: `name`, `clipnorm` and other arguments of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: no `num_data`, or an argument out of range.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> model.compile(
        ...     optimizer=kp.inference.SGHMCOptimizer(1e-4, num_data=1000),
        ...     loss=kp.likelihoods.Normal(1.0))

    References:
        - Chen, Fox and Guestrin, 2014, Stochastic gradient Hamiltonian Monte Carlo,
          arXiv:1402.4102, equation 15.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-4,
        num_data: int | None = None,
        *,
        momentum: float = 0.9,
        preconditioner: str | None = None,
        num_burnin: int = 0,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        momentum = checked_momentum("SGHMCOptimizer", momentum)
        super().__init__(
            learning_rate,
            num_data,
            momentum,
            preconditioner,
            num_burnin,
            temperature,
            seed,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum}
