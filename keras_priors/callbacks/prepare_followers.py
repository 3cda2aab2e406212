"""Callbacks that read what `BayesianMonitor` logs."""

import warnings
from typing import Any

import keras

from keras_priors.callbacks.callback_order import callbacks_after, callbacks_before, name_of

LOGGED = ("nll", "kl", "neg_log_prior", "elbo")
_MONITORED = {f"{prefix}{name}" for name in LOGGED for prefix in ("", "val_")}
_MONITORS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)
_LOGGERS = (keras.callbacks.TensorBoard, keras.callbacks.CSVLogger, keras.callbacks.History)


def prepare_followers(callback: keras.callbacks.Callback) -> None:
    """Refuse readers that come too early, and tell the others which way is better.

    Keras hands one `logs` dict to each callback in turn, so only later ones see what was added.
    """
    before = callbacks_before(callback)
    early = [name_of(other) for other in before if _monitors_ours(other)]
    if early:
        raise ValueError(
            "BayesianMonitor must come before callbacks that monitor what it logs. "
            f"Received: {early} before it. Put BayesianMonitor first in `callbacks`."
        )
    late = [name_of(other) for other in before if isinstance(other, _LOGGERS)]
    if late:
        warnings.warn(
            f"{late} come before BayesianMonitor and will not see {', '.join(LOGGED)}. "
            "Put BayesianMonitor first in `callbacks`.",
            UserWarning,
            stacklevel=2,
        )
    for other in callbacks_after(callback):
        # Keras knows the direction of its own metrics only, and raises at the first epoch.
        if _monitors_ours(other) and other.mode == "auto":
            other.mode = "max" if other.monitor.endswith("elbo") else "min"


def _monitors_ours(callback: Any) -> bool:
    return isinstance(callback, _MONITORS) and callback.monitor in _MONITORED
