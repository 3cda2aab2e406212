"""What is wrong with a target is named, and a method that was not made, and what `fit` takes."""

import inspect

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference.test_failures import METHODS, model_for, x_and_y

X = np.linspace(-1.0, 1.0, 8).reshape(4, 2).astype("float32")


def net(outputs):
    prior = kp.NormalPrior(0.0, 1.0)
    dense = keras.layers.Dense(outputs, kernel_regularizer=prior, bias_regularizer=prior)
    return keras.Sequential([keras.Input((2,)), dense])


def said(outputs, y, likelihood):
    with pytest.raises(ValueError, match="`y` must have a density under") as error:
        kp.inference.LogPosterior(net(outputs), X, np.array(y, "float32"), likelihood)
    return str(error.value).split("of 4: ")[1]


@pytest.mark.parametrize(
    ("outputs", "y", "likelihood", "cause"),
    [
        (1, [0.0, np.nan, 1.0, np.inf], kp.likelihoods.Normal(1.0), "NaN or infinity in `y`, in 2"),
        (3, [0, 1, np.nan, 2], kp.likelihoods.Categorical(), "NaN or infinity in `y`, in 1 of its"),
        (
            3,
            [0, 1, 4, 2],
            kp.likelihoods.Categorical(),
            "the label 4, where 3 outputs are labels 0",
        ),
        (3, [3, 1, 1, 2], kp.likelihoods.Categorical(), "They count from 1: give y - 1."),
        (2, [1, -1, 1, 1], kp.likelihoods.Categorical(), "are in {-1, 1}: give (y + 1) / 2."),
        (1, [1, -1, 1, 1], kp.likelihoods.Bernoulli(), "labels in {-1, 1}, where Bernoulli takes"),
        (1, [1, 0, 0.5, 1], kp.likelihoods.Bernoulli(), "the target 0.5, which is outside the"),
        (1, [1, 0, -3, 1], kp.likelihoods.Poisson(), "the target -3.0, which is outside the"),
    ],
)
def test_the_cause_is_named(outputs, y, likelihood, cause):
    message = said(outputs, y, likelihood)
    assert cause in message
    causes = ("NaN", "the label", "labels in {", "outside the support")
    assert sum(other in message for other in causes) == 1  # and no other is guessed


def test_of_several_outputs_the_one_is_found():
    prior = kp.NormalPrior(0.0, 1.0)
    inputs = keras.Input((2,))
    heads = {
        k: keras.layers.Dense(n, kernel_regularizer=prior)(inputs)
        for k, n in zip("ab", (1, 3), strict=True)
    }
    likelihoods = {"a": kp.likelihoods.Normal(1.0), "b": kp.likelihoods.Categorical()}
    y = {"a": np.zeros(4, "float32"), "b": np.array([0, 1, 2, 3])}
    with pytest.raises(ValueError, match="first in row 3 of 4: the label 3, where 3 outputs"):
        kp.inference.LogPosterior(keras.Model(inputs, heads), X, y, likelihoods)


@pytest.mark.parametrize("name", METHODS)
def test_fit_shows_what_it_takes_and_wants_a_method_that_is_made(name):
    cls = type(METHODS[name])
    parameters = inspect.signature(cls.fit).parameters
    assert list(parameters)[:5] == ["self", "model", "x", "y", "likelihood"]
    assert {"sample_weight", "seed", "verbose", "resume"} <= set(parameters)
    with pytest.raises(TypeError, match=r"write keras_priors.*\(\)\.fit\(model, x, y\)") as error:
        cls.fit(model_for(name), *x_and_y())
    assert len(str(error.value)) < 300 and "Received: `fit` of a class" in str(error.value)
