"""`BayesianMonitor` logs `nll` and `elbo` of likelihoods, and of nothing else."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_priors import likelihoods
from keras_priors.callbacks import BayesianMonitor
from keras_priors.priors import NormalPrior

N = 6
X, Y = np.ones((N, 3), "float32"), np.zeros((N, 1), "float32")


class Subclassed(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.dense = dense(units)

    def call(self, x):
        return self.dense(x)


def dense(units, **arguments):
    prior = NormalPrior(0.0, 1.0, num_data=N)
    return layers.Dense(units, "sigmoid", kernel_regularizer=prior, **arguments)


def sequential(units=1):
    return keras.Sequential([keras.Input((3,)), dense(units)])


def two_outputs():
    x = keras.Input((3,))
    return keras.Model(x, [dense(1, name="a")(x), dense(3, name="b")(x)])


def my_loss(y, outputs):
    return ops.sum(ops.square(y - outputs), axis=-1)


def refusal(model, y=Y):
    """What `fit` and `evaluate` say, which is the same."""
    said = []
    for verb in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="logs `nll` and `elbo`, so the model must") as error:
            verb(X, y, callbacks=[BayesianMonitor()], verbose=0)
        said.append(str(error.value))
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        keras.losses.mean_squared_error,
        keras.losses.MeanSquaredError(),
        "mae",
        "hinge",
        my_loss,
        keras.losses.BinaryCrossentropy(label_smoothing=0.1),
        keras.losses.BinaryCrossentropy(reduction="sum"),
    ],
    ids=str,
)
def test_what_is_no_likelihood_is_refused_with_the_sentence_of_get(loss):
    with pytest.raises(ValueError, match="likelihood") as sentence:
        likelihoods.get(loss)
    model = sequential()
    model.compile("sgd", loss)
    assert str(sentence.value) in refusal(model)


@pytest.mark.parametrize("loss", [["mse", "bce"], {"a": likelihoods.Normal(), "b": "mse"}], ids=str)
def test_each_of_several_losses_is_looked_at(loss):
    model = two_outputs()
    model.compile("sgd", loss)
    y = [np.zeros((N, 1)), np.zeros((N, 3))]
    if isinstance(loss, dict):
        y = dict(zip("ab", y, strict=True))
    with pytest.raises(ValueError, match=r"logs `nll`[\s\S]*mean_squared_error"):
        model.fit(X, y, callbacks=[BayesianMonitor()], verbose=0)


def test_a_model_without_a_loss_is_refused():
    class AddsLoss(Subclassed):
        def call(self, x):
            self.add_loss(ops.mean(x))
            return self.dense(x)

    model = AddsLoss(1)
    model.compile("sgd")
    assert "compiled without a loss. Write" in refusal(model)


class ComputesItsLoss(Subclassed):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return likelihoods.Normal()(y, y_pred) + sum(self.losses)


def test_a_model_that_computes_its_loss_is_trusted():
    model = ComputesItsLoss(1)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    monitor = BayesianMonitor()
    logs = model.fit(X, Y, batch_size=2, callbacks=[monitor], verbose=0).history
    outputs = model.predict(X, verbose=0)
    nll = np.mean(0.5 * (outputs - Y) ** 2) + 0.5 * np.log(2 * np.pi)
    kernel = ops.convert_to_numpy(model.dense.kernel)
    prior = np.sum(0.5 * kernel**2 + 0.5 * np.log(2 * np.pi)) / N
    np.testing.assert_allclose(logs["nll"], nll, rtol=1e-5)
    np.testing.assert_allclose(logs["neg_log_prior"], prior, rtol=1e-5)
    np.testing.assert_allclose(logs["elbo"], -nll - prior, rtol=1e-5)
    model.evaluate(X, Y, callbacks=[monitor], verbose=0)
    assert monitor.evaluation["nll"] == pytest.approx(nll, rel=1e-5)
    model.compile("sgd", "mse")  # what is known of it is no likelihood
    assert "mean_squared_error" in refusal(model, Y)


def test_a_train_step_of_its_own_is_trusted():
    class Steps(Subclassed):
        def train_step(self, *arguments):
            raise ArithmeticError("the step is reached")

    model = Steps(1)
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ArithmeticError, match="the step is reached"):
        model.fit(X, Y, callbacks=[BayesianMonitor()], verbose=0)


def test_weights_of_losses_are_refused():
    model = two_outputs()
    normals = [likelihoods.Normal(), likelihoods.Normal()]
    y = [np.zeros((N, 1)), np.zeros((N, 3))]
    model.compile("sgd", normals, loss_weights=[1.0, 0.5])
    assert "loss_weights=[1.0, 0.5]" in refusal(model, y)
    model.compile("sgd", normals, loss_weights=[1.0, 1.0], run_eagerly=True)
    monitor = BayesianMonitor()
    loss = model.evaluate(X, y, callbacks=[monitor], verbose=0)[0]
    assert monitor.evaluation["elbo"] == pytest.approx(-loss, rel=1e-5)


@pytest.mark.parametrize("make", [sequential, Subclassed])
def test_a_stock_loss_that_is_a_mean_over_outputs_is_refused(make):
    """Before the first step, and after it for a model that only the step builds."""
    model = make(3)
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    y = np.zeros((N, 3), "float32")
    monitor = BayesianMonitor()
    with pytest.raises(ValueError, match="of 3 it takes the mean where the log density is their"):
        model.fit(X, y, batch_size=2, callbacks=[monitor], verbose=0)
    assert int(ops.convert_to_numpy(model.optimizer.iterations)) <= (make is Subclassed)


def test_the_stock_loss_of_one_output_is_taken():
    model = sequential()
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy", run_eagerly=True)
    logs = model.fit(X, Y, callbacks=[BayesianMonitor()], verbose=0).history
    p = model.predict(X, verbose=0)
    np.testing.assert_allclose(logs["nll"], -np.mean(np.log(1.0 - p)), rtol=1e-4)
