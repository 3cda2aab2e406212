"""`num_data` where an observation is a step of a sequence."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_priors.callbacks import BayesianMonitor
from keras_priors.likelihoods import Normal
from keras_priors.models import set_num_data
from keras_priors.priors import NormalPrior


class OverTime(keras.Model):
    """A subclassed model says nothing of the shape of its outputs."""

    def __init__(self, masked=False):
        super().__init__()
        self.embed = layers.Embedding(3, 3, mask_zero=masked)
        self.dense = layers.Dense(2, kernel_regularizer=NormalPrior(0.0, 1.0))

    def call(self, x):
        return self.dense(self.embed(x))


def sequential_over_time(masked=False):
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            layers.Embedding(3, 3, mask_zero=masked),
            layers.Dense(2, kernel_regularizer=NormalPrior(0.0, 1.0)),
        ]
    )


def sequences(lengths):
    for length in lengths:
        yield np.ones((1, length), "int32"), np.ones((1, length, 2), "float32")


@pytest.mark.parametrize("make", [sequential_over_time, OverTime])
@pytest.mark.parametrize("masked", [False, True])
def test_with_a_time_axis_an_observation_is_a_step(make, masked):
    """Five samples of four steps, or of fewer by a mask."""
    x, y = np.ones((5, 4), "int32"), np.ones((5, 4, 2), "float32")
    model = make(masked)
    model.compile(keras.optimizers.SGD(0.0), Normal(1.0))
    warned = []
    for num_data in (20, 16, 5, 24, 3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            set_num_data(model, num_data)
            model.fit(x, y, callbacks=[BayesianMonitor()], verbose=0)
        warned.append(any("num_data is" in str(w.message) for w in caught))
    assert warned == [False, not masked, True, True, True]


def test_steps_of_unknown_number_are_not_judged():
    """A generator may give longer sequences than its first."""
    model = OverTime()
    model.compile(keras.optimizers.SGD(0.0), Normal(1.0), run_eagerly=True)
    warned = []
    for num_data in (11, 1):
        set_num_data(model, num_data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = {"steps_per_epoch": 2, "callbacks": [BayesianMonitor()], "verbose": 0}
            model.fit(sequences([2, 9]), **fit)
        warned.append(any("num_data is" in str(w.message) for w in caught))
    assert warned == [False, True]
