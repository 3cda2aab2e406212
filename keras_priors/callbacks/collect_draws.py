"""Draws of the posterior from plain `fit`."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_priors.callbacks.penalties import to_numpy
from keras_priors.callbacks.weight_recorder import WeightRecorder
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.sgmcmc.noisy_optimizer import NoisyOptimizer
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
class CollectDraws(WeightRecorder):
    """Keeps the weights that a sampler passes in plain `fit`, as draws of the posterior.

        w_s = weights after step burnin + s * every,   s = 1, 2, ...

    for a model compiled with `keras_priors.inference.SGLDOptimizer` or `SGHMCOptimizer`. A step is
    a batch of `fit`; several calls of `fit` with the same callback are one chain. With
    `compile(steps_per_execution=K)` weights are seen every K steps alone: a draw is then taken at
    the first such moment at or after its step. Moving statistics (batch normalization) are kept
    with each draw. Draws stay in memory: their number times the size of the model.

    After Ctrl-C, `posterior` gives what there is.

    Args:
        burnin: integer of at least 0, steps before the first draw counts.
        every: integer, steps between draws. Defaults to 20.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; at `fit`, an optimizer of Keras', which is no sampler
            (one that is unknown gives a warning), one whose `num_data` is not that of the priors or
            that learns its preconditioner longer than `burnin`, `every` smaller than
            `steps_per_execution`, or weights that are infinite or NaN; in `posterior`, no draw.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0, 1, num_data=8)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=prior, name="line")])
        >>> model.compile(
        ...     optimizer=kp.inference.SGLDOptimizer(0.05, num_data=8, seed=0),
        ...     loss=kp.likelihoods.Normal(1.0))
        >>> draws = kp.callbacks.CollectDraws(burnin=4, every=2)
        >>> x, y = np.ones((8, 1), "float32"), np.ones((8, 1), "float32")
        >>> history = model.fit(x, y, batch_size=4, epochs=10, callbacks=[draws], verbose=0)
        >>> draws.posterior(x, y).draws()["line/kernel"].shape
        (8, 1, 1)

    References:
        - Welling and Teh, 2011, Bayesian learning via stochastic gradient Langevin dynamics.
    """

    def __init__(self, burnin: int, every: int = 20) -> None:
        super().__init__()
        self.burnin = whole_number("CollectDraws", "burnin", burnin) if burnin != 0 else 0
        self.every = whole_number("CollectDraws", "every", every)
        self._draws: list[list[Any]] = []
        self._states: list[list[Any]] = []
        self._rates: list[float] = []
        self._temperature: float | None = None
        self._before = self._step = 0
        self._due = self.burnin + self.every
        self._steps: int | None = None

    @property
    def num_draws(self) -> int:
        """How many draws there are."""
        return len(self._draws)

    def on_train_begin(self, logs: Any = None) -> None:
        """See that the optimizer is a sampler of this posterior."""
        super().on_train_begin(logs)
        self._before = self._step
        self._steps = (self.params or {}).get("steps")
        executed = int(self.model.steps_per_execution)
        if executed > self.every:
            raise ValueError(
                "`every` of CollectDraws must be at least `steps_per_execution` of the compiled "
                f"model: weights are not seen in between. Received: every={self.every}, "
                f"steps_per_execution={executed}."
            )
        self._check_optimizer()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keep the weights, where it is time."""
        # The last execution of an epoch may be short, and Keras counts it as whole.
        done = batch + 1 if self._steps is None else min(batch + 1, self._steps)
        self._step = self._before + done
        if self._step < self._due:
            return
        values, states = self._read(f"after {self._step} steps")
        self._draws.append(values)
        self._states.append(states)
        rate = self.model.optimizer.learning_rate
        self._rates.append(float(to_numpy(rate)))
        passed = (self._step - self.burnin) // self.every
        self._due = self.burnin + (passed + 1) * self.every

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count on from here."""
        self._before = self._step

    def posterior(
        self, x: Any = None, y: Any = None, likelihood: Any = None, *, sample_weight: Any = None
    ) -> SamplePosterior:
        """The draws so far, in one chain, as `keras_priors.inference.SGLD` gives them.

        Args:
            x: the inputs of `fit`, for `to_arviz` and leave-one-out. Defaults to None: without.
            y: the targets, with x.
            likelihood: a likelihood, or a structure of them. Defaults to None: the loss that the
                model was compiled with.
            sample_weight: array (N,), the weights of `fit`, or None.

        Returns:
            A `keras_priors.inference.SamplePosterior`.
        """
        if not self._draws:
            raise ValueError(
                "CollectDraws has a posterior once it has a draw: the first is taken after step "
                f"{self.burnin + self.every} (burnin + every). Received: {self._step} steps. Give "
                "it to `fit(callbacks=[...])`, train longer, or lower `burnin`."
            )
        model, structure, observations = self._context(x, y, likelihood, sample_weight)
        states = [np.stack(v)[None] for v in zip(*self._states, strict=True)]
        posterior = SamplePosterior(
            model,
            structure,
            [np.stack(v)[None] for v in zip(*self._draws, strict=True)],
            sample_stats={"step_size": np.array([self._rates])},
            states=dict(zip(self._statistics, states, strict=True)),
            observations=observations,
        )
        posterior.seconds = self._seconds
        posterior.temperature = self._temperature
        return posterior

    def _check_optimizer(self) -> None:
        optimizer = self.model.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
        advice = (
            "Compile the model with keras_priors.inference.SGLDOptimizer or SGHMCOptimizer, of "
            "temperature 1."
        )
        if not isinstance(optimizer, NoisyOptimizer):
            said = (
                "CollectDraws keeps draws where the optimizer is a sampler, and else the points of "
                f"a search. Received: {type(optimizer).__name__}."
            )
            if type(optimizer).__module__.split(".")[0] == "keras":
                raise ValueError(
                    f"{said} {advice} For a normal around the path of plain SGD there is "
                    "keras_priors.callbacks.SWAG."
                )
            warnings.warn(f"{said} {advice}", UserWarning, stacklevel=2)
            return
        if optimizer.temperature == 0:
            raise ValueError(
                "CollectDraws keeps draws where the optimizer has noise. Received: "
                f"{type(optimizer).__name__} with temperature=0. {advice}"
            )
        self._temperature = float(optimizer.temperature)
        self._check_num_data(optimizer)
        ahead = int(to_numpy(optimizer.iterations)) + self._due - self.every - self._step
        if optimizer.preconditioner is not None and ahead < optimizer.num_burnin:
            raise ValueError(
                "Draws begin after the preconditioner is learned and kept. Received: "
                f"burnin={self.burnin} of CollectDraws, num_burnin={optimizer.num_burnin} of "
                f"{type(optimizer).__name__}. Give CollectDraws at least as much."
            )

    def _check_num_data(self, optimizer: Any) -> None:
        assert self._positions is not None
        for weight in self._positions.weights:
            given = None if weight.prior is None else weight.prior.num_data
            if given not in (None, optimizer.num_data):
                raise ValueError(
                    "Loss and noise must be of the same number of observations. Received: "
                    f"num_data={given} of the prior of {weight.path}, and num_data="
                    f"{optimizer.num_data} of {type(optimizer).__name__}. Write "
                    f"`keras_priors.set_num_data({self._recorded.name}, {optimizer.num_data})`, or "
                    "give the optimizer the other."
                )
