"""SGLD as a Keras optimizer."""

from __future__ import annotations

from typing import Any, Unpack

from keras_priors.inference.sgmcmc.noisy_optimizer import NoisyOptimizer
from keras_priors.utils.export import export
from keras_priors.utils.optimizer_options import OptimizerOptions


@export("keras_priors.inference")
class SGLDOptimizer(NoisyOptimizer):
    """SGLD in plain `fit`: SGD whose weights, after burn-in, are draws of the posterior.

        w = w - rate * G g + sqrt(2 T rate * G / N) * N(0, 1)

    g is the gradient of the loss, which must be the negative log posterior per observation
    (likelihood as the loss, priors with `num_data`); N is `num_data`. G is as in `SGLD`. Weights
    move as they are: a constraint that keeps one inside a bounded support puts it on the edge,
    and for such weights `keras_priors.inference.SGLD` is the right one. `weight_decay` is a second
    prior. Draws are kept by `keras_priors.callbacks.CollectDraws`.

    Args:
        learning_rate: float or schedule, that of SGD on the mean loss. Defaults to 1e-3.
        num_data: integer, the number N of observations whose mean is the loss. Required.
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
        ...     optimizer=kp.inference.SGLDOptimizer(1e-3, num_data=1000),
        ...     loss=kp.likelihoods.Normal(1.0))

    References:
        - Welling and Teh, 2011, Bayesian learning via stochastic gradient Langevin dynamics.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        num_data: int | None = None,
        *,
        preconditioner: str | None = None,
        num_burnin: int = 0,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(
            learning_rate, num_data, 0.0, preconditioner, num_burnin, temperature, seed, **kwargs
        )
