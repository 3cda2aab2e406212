"""Legends leave titles alone, those of before and those of after."""

import functools
import pickle

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text

import keras_priors as kp
from tests.plots import _inputs as inputs


def _of_regression(ax):
    x, y, predictive = inputs.regression()
    return kp.plots.predictive_band(predictive, x, y, ax=ax)


def _of_prior(ax):
    net = inputs.variational_net(1, 2)
    return kp.plots.prior_predictive(net, np.linspace(-1, 1, 9), num_samples=20, ax=ax)


LEGENDS = {
    "predictive_band": _of_regression,
    "prior_predictive": _of_prior,
    "scales": lambda ax: kp.plots.scales(inputs.variational_net(), ax=ax),
    "risk_coverage": lambda ax: kp.plots.risk_coverage(*inputs.classes(), label="draws", ax=ax),
    "reliability_diagram": lambda ax: kp.plots.reliability_diagram(
        *inputs.classes(), label="draws", ax=ax
    ),
    "training_curves": lambda ax: kp.plots.training_curves(inputs.HISTORY, ax=ax),
    "signal_to_noise": lambda ax: kp.plots.signal_to_noise(inputs.variational_net(), ax=ax),
}
MOONS = functools.cache(inputs.two_moons)


def _of_moons(ax):
    x, y, model = MOONS()
    return kp.plots.decision_boundary(model, x, y, resolution=3, num_samples=2, ax=ax)


def _titles(ax):
    texts = (one for one in ax.get_children() if isinstance(one, Text) and one not in ax.texts)
    return [one for one in texts if one.get_text()]


def check(ax):
    figure = ax.figure
    figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    titles = [one.get_window_extent() for one in _titles(ax)]
    assert titles
    assert not any(legend.overlaps(title) for title in titles)
    assert not any(legend.overlaps(label.get_window_extent()) for label in ax.get_xticklabels())
    for box in (legend, *titles):
        assert box.y1 < figure.bbox.y1 + 1
        assert box.y0 > figure.bbox.y0


@pytest.mark.parametrize("layout", ["constrained", None])
@pytest.mark.parametrize("name", LEGENDS)
def test_a_legend_and_a_title_are_apart_on_axes_of_ones_own(name, layout):
    for before in (True, False):
        _, ax = plt.subplots(layout=layout)
        if before:
            ax.set_title("a title of one's own")
        LEGENDS[name](ax)
        if not before:
            ax.set_title("a title of one's own", loc="left", fontsize=20)
        check(ax)
        plt.close("all")


@pytest.mark.parametrize("name", [*LEGENDS, "decision_boundary"])
def test_and_on_those_of_a_new_figure(name):
    ax = {**LEGENDS, "decision_boundary": _of_moons}[name](None)
    ax.set_title("a title\nof two lines")
    check(ax)
    assert len(pickle.dumps(ax.figure)) > 0
    ax.get_legend().remove()
    ax.figure.canvas.draw()
    plt.close("all")
