"""Annealing of the weight of the KL."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_priors.callbacks import schedules as _schedules
from keras_priors.callbacks.annealed_weight import set_annealed_weight
from keras_priors.callbacks.callback_order import callbacks_before, name_of
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import all_layers
from keras_priors.utils.parameters import real, whole_number

_NAMES = ("linear", "cyclical", "blundell")


@export()
class KLAnnealing(keras.callbacks.Callback):
    """Moves the weight of the KL of all variational layers during `fit`.

        loss = mean_i -log p(y_i | x_i, w)  +  (kl_weight / num_data) * KL(q‖p)

    The weight of batch b = 0, 1, ..., M - 1 of epoch e, with t = e + b / M epochs passed:

        "linear"     start + (1 - start) min(t / num_epochs, 1)
        "cyclical"   start + (1 - start) min(tau / ratio, 1), tau the part passed of each of the
                     num_cycles cycles that share num_epochs; 1 afterwards
        "blundell"   M 2^(M-i) / (2^M - 1), with i = b + 1: the KL is charged mostly to the first
                     batches of each epoch; the mean over an epoch is 1

    It weighs the KL alone, `-log p(w)` within it included. A prior on a plain weight (as its
    regularizer) keeps its whole weight throughout: a point estimate has no KL to be annealed.

    The weight is the variable `kl_weight` of each layer, which compiled steps read at each batch,
    on every backend. With `compile(steps_per_execution=K)` it can change every K batches only:
    each execution then gets the mean of its batches, so that the sum over an epoch is exact.

    During validation and after training the weight is 1: `val_loss` is the negative ELBO per
    observation, comparable across epochs, and so is the saved model. At the end of each epoch
    it is 1 as well, for callbacks that come later in the list and save the model. The mean
    weight of each epoch is logged as `kl_weight`. The weight depends on the epoch and the batch
    alone, so `fit(initial_epoch=...)` and `BackupAndRestore` go on where they were. Where an
    exception (Ctrl-C) ends `fit`, Keras calls no callback and the weight stays as it was:
    `callback.on_train_end()` sets it to 1.

    Args:
        schedule: "linear" (the default), "cyclical", "blundell", or a function of the fraction
            of `num_epochs` that is over, from 0 to 1, which returns the weight, at least 0.
        num_epochs: number above 0. For "linear" the epochs until the weight is 1, by default half
            of the epochs of `fit`. For "cyclical" and functions the epochs of the whole
            schedule, by default those of `fit`. "blundell" takes none.
        start: float of at least 0, the first weight of a rise. Defaults to 0.
        num_cycles: integer, for "cyclical". Defaults to 4.
        ratio: float in (0, 1], the part of each cycle in which the weight rises. Defaults to 0.5.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range or belongs to another schedule; at `fit`, the
            model has no variational layer or is not built, or "blundell" meets data whose number
            of batches Keras does not know. For the other schedules such data have one weight for
            the whole first epoch, that of its middle.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(1, num_data=8)])
        >>> model.compile("sgd", loss=kp.likelihoods.Normal(scale=1.0))
        >>> x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
        >>> annealing = kp.callbacks.KLAnnealing("linear", num_epochs=2)
        >>> history = model.fit(
        ...     x, y, batch_size=4, epochs=3, callbacks=[annealing], verbose=0)
        >>> history.history["kl_weight"]
        [0.125, 0.625, 1.0]

    References:
        - Bowman et al., 2016, Generating sentences from a continuous space, arXiv:1511.06349.
        - Fu et al., 2019, Cyclical annealing schedule, arXiv:1903.10145, section 3.2.
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424, eq. 9.
    """

    def __init__(
        self,
        schedule: str | Callable[[float], Any] = "linear",
        *,
        num_epochs: float | None = None,
        start: float = 0.0,
        num_cycles: int = 4,
        ratio: float = 0.5,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if not (callable(schedule) or schedule in _NAMES):
            raise ValueError(
                f"`schedule` of {owner} must be one of {_NAMES} or a function of the fraction of "
                f"training that is over. Received: schedule={schedule!r}."
            )
        if schedule == "blundell" and num_epochs is not None:
            raise ValueError(
                f'`num_epochs` of {owner} has no meaning with schedule="blundell", which is the '
                f"same in every epoch. Received: num_epochs={num_epochs!r}. Leave it out."
            )
        self.schedule = schedule
        self.num_epochs = None if num_epochs is None else _scalar(owner, "num_epochs", num_epochs)
        self.start = _scalar(owner, "start", start)
        self.num_cycles = whole_number(owner, "num_cycles", num_cycles)
        self.ratio = _scalar(owner, "ratio", ratio)
        if self.num_epochs is not None and self.num_epochs <= 0.0:
            raise ValueError(
                f"`num_epochs` of {owner} must be greater than 0. Received: {num_epochs!r}."
            )
        if self.start < 0.0:
            raise ValueError(f"`start` of {owner} must be at least 0. Received: start={start!r}.")
        if not 0.0 < self.ratio <= 1.0:
            raise ValueError(f"`ratio` of {owner} must lie in (0, 1]. Received: ratio={ratio!r}.")
        self._variational: list[VariationalLayer] = []
        self._weights: _schedules.Schedule | None = None
        self._value: float | None = None
        self._steps: int | None = None
        self._steps_per_execution = 1
        self._epoch = 0
        self._seen = 0
        self._given: list[float] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Find the layers, and refuse a model without any."""
        model = self.model
        self._variational = [x for x in all_layers(model) if isinstance(x, VariationalLayer)]
        if not self._variational:
            raise ValueError(
                "KLAnnealing needs a model with variational layers. "
                f"Received: {model.name}, in which none was found. Write "
                "`keras_priors.VariationalDense` for `keras.layers.Dense`, or leave the callback "
                "out: priors on plain weights have no KL."
            )
        unbuilt = [layer.name for layer in self._variational if not layer.built]
        if unbuilt:
            raise ValueError(
                "KLAnnealing needs a model whose layers are built when `fit` begins. "
                f"Received: {unbuilt} not built. Begin a Sequential with `keras.Input(shape)`, or "
                "call the model on a batch before `fit`."
            )
        before = [
            name_of(other)
            for other in callbacks_before(self)
            if isinstance(other, keras.callbacks.ModelCheckpoint)
            or (isinstance(other, keras.callbacks.EarlyStopping) and other.restore_best_weights)
        ]
        if before:
            raise ValueError(
                "KLAnnealing must come before callbacks that keep weights at the end of an epoch, "
                f"so that they keep a KL weight of 1. Received: {before} before it. "
                "Put KLAnnealing first in `callbacks`."
            )
        self._annealed = model
        self._steps_per_execution = int(model.steps_per_execution)
        self._steps = (self.params or {}).get("steps")
        self._weights = self._make_schedule((self.params or {}).get("epochs") or 1)
        self._value = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch = epoch
        self._seen = 0
        self._given = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the weight of this batch, or of the batches of this execution."""
        if self._weights is None:
            return
        stop = batch + self._steps_per_execution
        if self._steps is not None:
            stop = max(min(stop, self._steps), batch + 1)
        weights = self._weights(self._epoch, np.arange(batch, stop), self._steps)
        weight = float(weights.mean())
        self._set(weight)
        set_annealed_weight(self._annealed, weight)
        self._given.extend([weight] * len(weights))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note how many batches there are."""
        self._seen = batch + 1

    def on_test_begin(self, logs: Any = None) -> None:
        """Validate with the whole KL."""
        if self._variational:
            self._set(1.0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the mean weight, and leave 1 for callbacks that save the model."""
        self._set(1.0)
        self._given = self._given[: self._seen]
        if logs is not None and self._given:
            logs["kl_weight"] = float(np.mean(self._given))
        if self._steps is None:
            self._steps = self._seen

    def on_train_end(self, logs: Any = None) -> None:
        """Set the weight back to 1."""
        self._value = None
        self._set(1.0)
        set_annealed_weight(self.model, None)
        self._weights, self._variational = None, []

    def _make_schedule(self, epochs: int) -> _schedules.Schedule:
        if callable(self.schedule):
            return _schedules.custom(self.schedule, self.num_epochs or epochs)
        if self.schedule == "blundell":
            return _schedules.blundell
        if self.schedule == "linear":
            return _schedules.linear(self.start, self.num_epochs or epochs / 2)
        return _schedules.cyclical(
            self.start, self.num_epochs or epochs, self.num_cycles, self.ratio
        )

    def _set(self, value: float) -> None:
        if value == self._value:
            return
        # On JAX the state of a running epoch is apart from the variables; touching the model
        # brings it back, and the next step then reads the variables.
        self.model  # noqa: B018
        for layer in self._variational:
            layer.kl_weight.assign(value)
        self._value = value


def _scalar(owner: str, name: str, value: Any) -> float:
    number = real(owner, name, value)
    if not isinstance(number, float):
        raise TypeError(f"`{name}` of {owner} must be one number. Received: {name}={value!r}.")
    return number
