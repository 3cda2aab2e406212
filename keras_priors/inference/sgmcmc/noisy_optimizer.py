"""What the Keras optimizers of SGLD and SGHMC share."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.optimizer_seed import optimizer_seed
from keras_priors.inference.sgmcmc.noisy_step import DECAY, metric_of, moved_square, noisy_move
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import index_of
from keras_priors.utils.parameters import number_between, real, seed_or_none, whole_number


@share
class NoisyOptimizer(keras.optimizers.Optimizer):
    """SGD with momentum, which may be 0, and the noise that makes it a sampler. Abstract.

    The noise of a step is a function of the seed, the number of the variable and `iterations`.
    """

    def __init__(
        self,
        learning_rate: Any,
        num_data: int | None,
        momentum: float,
        preconditioner: str | None,
        num_burnin: int,
        temperature: float,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        owner = type(self).__name__
        if num_data is None:
            raise ValueError(
                f"{owner} needs the number of observations whose mean is the loss: the noise is "
                "scaled by it. Received: num_data=None. Give `num_data=len(x_train)`."
            )
        self.num_data = whole_number(owner, "num_data", num_data)
        self.momentum = momentum
        if preconditioner not in (None, "rmsprop"):
            raise ValueError(
                f"`preconditioner` of {owner} must be None or 'rmsprop'. "
                f"Received: {preconditioner!r}."
            )
        self.preconditioner = preconditioner
        self.num_burnin = num_burnin and whole_number(owner, "num_burnin", num_burnin)
        if preconditioner is not None and not self.num_burnin:
            raise ValueError(
                f"The preconditioner of {owner} is learned in the first `num_burnin` steps and "
                "kept fixed after them. Received: num_burnin=0."
            )
        self.temperature = real(owner, "temperature", temperature)
        if not isinstance(self.temperature, float) or self.temperature < 0:
            raise ValueError(
                f"`temperature` of {owner} must be at least 0. Received: {temperature!r}."
            )
        seed = seed_or_none(owner, seed)
        # Halved, so that the config is one that this constructor takes.
        fresh = int(np.random.SeedSequence().generate_state(1)[0]) // 2
        self.seed = fresh if seed is None else seed
        self._words = ops.convert_to_numpy(backend.as_seed(self.seed))

    def build(self, variables: Any) -> None:
        """Make a velocity and a running square for each variable, where they are needed."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self._squares = None
        if self.momentum:
            self._velocities = self.add_optimizer_variables(variables, "velocity")
        if self.preconditioner is not None:
            self._squares = self.add_optimizer_variables(variables, "square")

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step of all variables."""
        super().apply(grads, trainable_variables)
        backend.step_taken(self.iterations)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        index = index_of(self, variable)
        metric = ops.ones_like(gradient)
        if self._squares is not None:
            square = self._squares[index]
            # The running mean begins at the first square, and ends with burn-in.
            step = ops.cast(self.iterations, variable.dtype)
            weight = ops.where(step == 0, 1.0, ops.where(step < self.num_burnin, 1 - DECAY, 0.0))
            weight = ops.cast(weight, variable.dtype)
            moved = moved_square(ops.convert_to_tensor(square), gradient, weight)
            self.assign(square, moved)
            metric = metric_of(moved)
        seed = optimizer_seed(self._words, index, backend.host_step(self.iterations))
        noise = backend.standard_normal(tuple(variable.shape), seed)
        velocity = None if self._velocities is None else self._velocities[index]
        move = noisy_move(
            gradient,
            ops.cast(noise, variable.dtype),
            metric,
            rate,
            num_data=self.num_data,
            momentum=self.momentum,
            velocity=None if velocity is None else ops.convert_to_tensor(velocity),
            temperature=self.temperature,
        )
        if velocity is not None:
            self.assign(velocity, move)
        self.assign_add(variable, move)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        config.update(
            num_data=self.num_data,
            preconditioner=self.preconditioner,
            num_burnin=self.num_burnin,
            temperature=self.temperature,
            seed=self.seed,
        )
        return config


def checked_momentum(owner: str, momentum: Any) -> float:
    """A momentum in (0, 1)."""
    return number_between(owner, "momentum", momentum, 0.0, 1.0)
