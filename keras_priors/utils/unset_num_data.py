"""The warning for a prior or a layer that trains without `num_data`."""

import sys
import warnings
import weakref
from types import FrameType
from typing import Any

import keras

_TRAINING = ("fit", "train_on_batch")
# `test_step`: replicas run it in threads of their own, whose stacks hold no `evaluate`.
_NO_TRAINING = ("evaluate", "test_on_batch", "test_step")
_warned_in_loop: weakref.WeakSet[Any] = weakref.WeakSet()
_warned_in_fit: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()


def warn_unset(owner: Any) -> None:
    """Warn, once in a `fit`, that the weight of the prior against the data is not known.

    Neither a regularizer nor a layer is told which model trains it, and PyTorch calls them at
    every step. The running `fit` is therefore looked up on the call stack: that gives the model,
    so that one warning names every weight concerned, and a mark that it was given.
    """
    frame = running_fit()
    if frame is not None:
        _warn_in_fit(owner, frame)
        return
    model = _asked_for_losses()
    if model is None:
        return
    # The replicas of a strategy run their steps in threads of their own, while `fit` waits.
    for other in sys._current_frames().values():
        frame = _innermost_fit(other)
        if frame is not None and frame.f_locals["self"] is model:
            _warn_in_fit(owner, frame)
            return
    if model not in _warned_in_loop:
        _warned_in_loop.add(model)
        _warn(owner, model)


def _warn_in_fit(owner: Any, frame: FrameType) -> None:
    model = frame.f_locals["self"]
    _trace_again(model, frame.f_locals.get("callbacks"))
    # Each `fit` makes one; the id of the frame would come again in the next. `train_on_batch` has
    # none, so there the model stands for all its calls.
    run = frame.f_locals.get("epoch_iterator", model)
    warned = _warned_in_fit.get(model)
    if warned is not None and warned() is run:
        return
    _warned_in_fit[model] = weakref.ref(run)
    _warn(owner, model)


def _asked_for_losses() -> Any:
    """The model that someone asks for its losses, and not to evaluate it: to train it, or None."""
    model = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        asked = frame.f_locals.get("self")
        if frame.f_code.co_name in _NO_TRAINING and isinstance(asked, keras.Model):
            return None
        if frame.f_code.co_name == "losses" and isinstance(asked, keras.Model):
            model = asked
        frame = frame.f_back
    return model


def _trace_again(model: Any, callbacks: Any) -> None:
    # A model may be built by `fit` before there is a list of callbacks: then at the first step.
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        return
    if not any(isinstance(callback, _Forget) for callback in callbacks.callbacks):
        forget = _Forget()
        forget.set_model(model)
        callbacks.callbacks.append(forget)


class _Forget(keras.callbacks.Callback):
    """Drops the train function at the end of a `fit`.

    Compiled, it would not come by here in the next one, which then trained without a word.
    """

    def on_train_end(self, logs: Any = None) -> None:
        self.model.train_function = None


def unset_names(model: Any) -> list[str]:
    """Paths of the trained weights whose prior or posterior has no `num_data`."""
    names = []
    for variable in model.trainable_weights:
        # Anything that has a `num_data` of None counts: a prior, or the KL of a layer.
        if getattr(variable.regularizer, "num_data", 1) is None:
            names.append(variable.path)
    return names


def _warn(owner: Any, model: Any) -> None:
    names = ", ".join(unset_names(model)) or f"{owner!r}"
    warnings.warn(
        f"num_data was never given for {names}: the prior is weighed as if the data were one "
        "observation, and will dominate. Before `fit`, write "
        f"`keras_priors.set_num_data({model.name}, x_train)`.",
        UserWarning,
        stacklevel=2,
    )


def running_fit() -> FrameType | None:
    """The innermost `fit` or `train_on_batch` on the call stack, or None."""
    return _innermost_fit(sys._getframe(1))


def _innermost_fit(frame: FrameType | None) -> FrameType | None:
    while frame is not None:
        in_training = frame.f_code.co_name in _TRAINING
        if in_training and isinstance(frame.f_locals.get("self"), keras.Model):
            return frame
        frame = frame.f_back
    return None
