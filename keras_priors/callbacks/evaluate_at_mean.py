"""Validation and saving at the mean, of a model that trains with noise in its weights."""

from __future__ import annotations

from typing import Any

import keras

from keras_priors import backend
from keras_priors.callbacks.callback_order import callbacks_before, name_of
from keras_priors.inference.variational.ivon_optimizer import IVONOptimizer
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import build_optimizer
from keras_priors.utils.warn import warn


@export()
class EvaluateAtMean(keras.callbacks.Callback):
    """Validates and saves at the posterior mean, where an optimizer keeps noise in the weights.

    Between the batches of `keras_priors.inference.IVONOptimizer` the weights are draws of its
    posterior. `fit` ends at the mean; what Keras does within `fit`, at the ends of epochs, is at a
    draw without this callback: validation, `ModelCheckpoint`, `EarlyStopping`. With it, validation
    and all callbacks after it see the mean, and the next epoch goes on from the noise that it would
    have had: training is the same with the callback and without.

    Put it first in the list of callbacks. It has no state and can be used again.

    Raises:
        ValueError: at `fit`, an optimizer that is none with noise in the weights.

    Warns:
        UserWarning: a callback that saves or compares weights stands before it.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, kernel_regularizer=kp.NormalPrior(0, 1, num_data=8),
        ...     bias_regularizer=kp.NormalPrior(0, 1, num_data=8))])
        >>> model.compile(
        ...     kp.inference.IVONOptimizer(0.1, num_data=8, seed=0),
        ...     loss=kp.likelihoods.Normal(1.0))
        >>> x, y = np.ones((8, 1), "float32"), np.ones((8, 1), "float32")
        >>> history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0,
        ...                     callbacks=[kp.callbacks.EvaluateAtMean()])
        >>> loss = model.evaluate(x, y, verbose=0)
        >>> abs(history.history["val_loss"][-1] - loss) < 1e-5
        True
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """See that there is noise to take out, and who looks before this."""
        self._optimizer()
        if not self.model.optimizer.built:
            build_optimizer(self.model)
        early = [
            name_of(one)
            for one in callbacks_before(self)
            if isinstance(one, keras.callbacks.ModelCheckpoint | keras.callbacks.EarlyStopping)
        ]
        if early:
            warn(
                "EvaluateAtMean stands first in the list of callbacks: at the end of an epoch "
                f"those before it see weights with noise. Received: {', '.join(early)} before it.",
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Put the noise back."""
        self._optimizer().to_noise()

    def on_test_begin(self, logs: Any = None) -> None:
        """Take the noise out, for validation."""
        self._to_mean()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take it out where there was no validation."""
        self._to_mean()

    def _to_mean(self) -> None:
        backend.sync_variables(self.model)
        self._optimizer().to_mean()

    def _optimizer(self) -> IVONOptimizer:
        optimizer = self.model.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
        if not isinstance(optimizer, IVONOptimizer):
            raise ValueError(
                "EvaluateAtMean takes out the noise that an optimizer keeps in the weights. "
                f"Received: {type(optimizer).__name__}, which keeps none there. Leave the callback "
                "out, or compile the model with keras_priors.inference.IVONOptimizer."
            )
        return optimizer
