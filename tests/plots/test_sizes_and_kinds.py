"""Tiny and huge inputs are drawn; what cannot be drawn is refused in words, without a figure."""

import sys

import keras
import numpy as np
import pytest
from matplotlib import pyplot as plt

import keras_priors as kp
from tests.plots import _inputs as inputs

plots = kp.plots


def number(rows, draws=1):
    return kp.Predictive(np.zeros((draws, rows, 1)), kp.likelihoods.Normal(1.0))


def labels(rows, classes=2):
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(1, rows, classes)).astype("float32")
    return kp.Predictive(draws, kp.likelihoods.Categorical())


SIZES = {
    "band": lambda n: plots.predictive_band(number(n), np.arange(n), np.zeros(n)),
    "reliability": lambda n: plots.reliability_diagram(np.zeros(n), labels(n)),
    "pit": lambda n: plots.pit_histogram(np.zeros((n, 1)), number(n)),
    "risk": lambda n: plots.risk_coverage(np.zeros(n), labels(n)),
    "risk of numbers": lambda n: plots.risk_coverage(np.zeros((n, 1)), number(n)),
    "examples": lambda n: plots.examples(labels(n), np.zeros((n, 3, 3)), np.zeros(n)),
    "rows": lambda n: plots.examples(number(n), np.zeros((n, 2))),
    "confusion": lambda n: plots.confusion_matrix(np.zeros(n), labels(n)),
    "prior": lambda n: plots.prior_predictive(number(n), np.arange(n)),
    "history": lambda n: plots.training_curves({"nll": np.ones(n), "elbo": -np.ones(n)}),
    "table": lambda n: plots.compare(
        {str(k): {"nll": 0.0, "fit_s": 0.0} for k in range(min(n, 50))}
    ),
}


@pytest.mark.parametrize("rows", [1, 2, 20_000])
@pytest.mark.parametrize("draw", SIZES.values(), ids=SIZES)
def test_one_row_and_many(draw, rows):
    axes = draw(rows)
    np.ravel(axes)[0].figure.canvas.draw()


def test_one_weight_and_many():
    def net(inputs, units):
        layer = kp.VariationalDense(units, use_bias=False)
        return keras.Sequential([keras.Input((inputs,)), layer])

    for model in (net(1, 1), net(400, 500)):
        for draw in (plots.weights, plots.scales, plots.signal_to_noise):
            np.ravel(draw(model))[0].figure.canvas.draw()
    # A posterior of one draw has no spread, and no density.
    for one in (plots.weights(inputs.chains(1, 1)), plots.weights(inputs.chains(1, 2))):
        one[0].figure.canvas.draw()


def test_many_classes_and_one():
    rows = np.arange(200) % 60
    plots.confusion_matrix(rows, labels(200, 60))[0].figure.canvas.draw()
    plots.confusion_matrix(np.zeros(5), labels(5), names=["a long name", "b"])
    p = kp.Predictive(np.full((3, 10, 1), 2.0), kp.likelihoods.Bernoulli())
    plots.reliability_diagram(np.ones((10, 1)), p)
    plots.confusion_matrix(np.ones(10), p)


WRONG = {
    "band": lambda p: plots.predictive_band(p, np.zeros(3)),
    "reliability": lambda p: plots.reliability_diagram(np.zeros(3), p),
    "pit": lambda p: plots.pit_histogram(np.zeros(3), p),
    "risk": lambda p: plots.risk_coverage(np.zeros(3), p),
    "examples": lambda p: plots.examples(p, np.zeros((3, 2))),
    "bars": lambda p: plots.class_probabilities(p, 0),
    "confusion": lambda p: plots.confusion_matrix(np.zeros(3), p),
    "prior": lambda p: plots.prior_predictive(p, np.zeros((3, 1))),
}


@pytest.mark.parametrize("draw", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("given", [{"a": None}, "model", None], ids=repr)
def test_what_is_no_predictive_is_refused(draw, given):
    with pytest.raises(TypeError, match=r"Received: (dict, as of a model with several|str|None)"):
        draw(given)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.predictive_band(labels(3), np.zeros(3)),
        lambda: plots.pit_histogram(np.zeros(3), labels(3)),
        lambda: plots.reliability_diagram(np.zeros(3), number(3)),
        lambda: plots.confusion_matrix(np.zeros(3), number(3)),
    ],
)
def test_classes_and_numbers_are_told_apart(draw):
    with pytest.raises(ValueError, match=r"[Cc]lasses"):
        draw()


@pytest.mark.parametrize("draw", [plots.reliability_diagram, plots.risk_coverage])
@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0], np.array([[0.3, 0.4]]), "sum 1"),
        ([], np.zeros((0, 2)), r"shape \(0, 2\)"),
        ([0], np.array([[np.nan, 1.0]]), "sum 1"),
        ([0, 1], np.array([[0.3, 0.7]]), "one label for each of the 1 rows"),
        ([2], np.array([[0.3, 0.7]]), "from 0 to 1"),
        ([0.5], np.array([[0.3, 0.7]]), "from 0 to 1"),
    ],
)
def test_labels_and_probabilities_that_cannot_be(draw, y, p, message):
    with pytest.raises(ValueError, match=message):
        draw(y, p)


def test_axes_that_are_none_or_too_few():
    with pytest.raises(TypeError, match="must be a matplotlib Axes"):
        plots.training_curves(inputs.HISTORY, ax="here")
    _, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="must hold 2 Axes"):
        plots.confusion_matrix(*inputs.classes(), ax=axes)


def test_the_lack_of_matplotlib_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "keras-priors\[plots\]"'):
        plots.training_curves(inputs.HISTORY)
