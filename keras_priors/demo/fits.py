"""The six fits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

import keras_priors as kp
from keras_priors.demo.data import Data

NETS = ("softmax", "two layers")
METHODS = ("plain", "MAP", "variational")
BATCH_SIZE = 64


@dataclass(frozen=True)
class Fit:
    """A fitted model and what it is."""

    net: str
    method: str
    model: Any


def softmax_regression(method: str) -> Any:
    """One dense layer without a bias, then a softmax: the smallest net there is."""
    x_in = keras.Input(shape=(64,))
    h = dense(method, 10, use_bias=False)(x_in)
    out = keras.layers.Activation("softmax")(h)
    return keras.Model(x_in, out)


def two_layers(method: str) -> Any:
    """Two hidden layers of 100."""
    x_in = keras.Input(shape=(64,))
    h = dense(method, 100, activation="relu")(x_in)
    h = dense(method, 100, activation="relu")(h)
    out = dense(method, 10, activation="softmax")(h)
    return keras.Model(x_in, out)


def dense(method: str, units: int, **arguments: Any) -> Any:
    """The one line that differs between the methods."""
    if method == "plain":
        return keras.layers.Dense(units, **arguments)
    prior = kp.NormalPrior(0.0, 1.0)
    if method == "MAP":
        return keras.layers.Dense(units, kernel_regularizer=prior, **arguments)
    return kp.VariationalDense(units, kernel_regularizer=prior, **arguments)


def fit_all(data: Data, epochs: int, seed: int) -> list[Fit]:
    """Fit every net by every method, under one progress bar."""
    builders: dict[str, Callable[[str], Any]] = dict(
        zip(NETS, (softmax_regression, two_layers), strict=True)
    )
    # The step is large at first, so that the standard deviation of a weight that the data say
    # nothing about gets from its small start back to the prior's 1, and then falls to nothing, so
    # that the noise of the draws is averaged out.
    batches = -(-len(data.x) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(0.02, epochs * batches)
    bar = keras.utils.Progbar(len(NETS) * len(METHODS) * epochs, unit_name="epoch")
    fits = []
    for net, build in builders.items():
        for method in METHODS:
            keras.utils.set_random_seed(seed)
            model = build(method)
            if method != "plain":
                kp.set_num_data(model, data.x)
            model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
            model.fit(
                data.x,
                data.y,
                batch_size=BATCH_SIZE,
                epochs=epochs,
                verbose=0,
                callbacks=[_Advance(bar)],
            )
            fits.append(Fit(net, method, model))
    return fits


class _Advance(keras.callbacks.Callback):
    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._bar = bar

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._bar.add(1)
