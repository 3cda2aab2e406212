"""Models whose outputs the monitor has to ask for, or cannot pair with losses."""

import keras
import numpy as np
import pytest

import keras_priors as kp

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
BITS = (X[:, :1] > 0).astype("float32")


class Batches(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return {"a": X[rows], "b": X[rows]}, X[rows, :1]


class SumOfInputs(keras.Model):
    def __init__(self):
        super().__init__()
        prior = kp.NormalPrior(0, 1, num_data=16)
        self.dense = keras.layers.Dense(1, kernel_regularizer=prior)

    def call(self, inputs):
        return self.dense(inputs["a"]) + self.dense(inputs["b"])


class TwoOutputs(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        prior = kp.NormalPrior(0, 1, num_data=16)
        self.one = keras.layers.Dense(1, "sigmoid", kernel_regularizer=prior)
        self.three = keras.layers.Dense(3, "softmax")

    def call(self, x):
        return self.one(x), self.three(x)


def fitted(model, *data):
    logs = model.fit(*data, callbacks=[kp.callbacks.BayesianMonitor()], verbose=0).history
    return logs["nll"][0] + logs["neg_log_prior"][0], logs["loss"][0]


def test_a_subclassed_model_with_several_inputs_in_a_generator():
    model = SumOfInputs()
    model.compile("sgd", loss=kp.likelihoods.Normal(1.0))
    np.testing.assert_allclose(*fitted(model, Batches()), rtol=1e-5)


def test_two_outputs_of_one_layer():
    x = keras.Input((3,))
    model = keras.Model(x, list(TwoOutputs()(x)))
    model.compile("sgd", loss=["binary_crossentropy", "categorical_crossentropy"])
    classes = np.eye(3, dtype="float32")[np.arange(16) % 3]
    np.testing.assert_allclose(*fitted(model, X, [BITS, classes]), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_loss_for_one_of_two_outputs():
    x = keras.Input((3,))
    prior = kp.NormalPrior(0, 1, num_data=16)
    one = keras.layers.Dense(1, "sigmoid", kernel_regularizer=prior, name="a")(x)
    model = keras.Model(x, {"a": one, "b": keras.layers.Dense(3, name="b")(x)})
    model.compile("sgd", loss={"a": "binary_crossentropy"})
    np.testing.assert_allclose(*fitted(model, X, {"a": BITS}), rtol=1e-5)
