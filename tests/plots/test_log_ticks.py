"""A logarithmic axis has numbers enough to be read, however short it is."""

import pickle

import numpy as np
import pytest
from matplotlib import pyplot as plt

from keras_priors.plots.canvas import logarithmic


def _labels(ax):
    """Texts by place of the ticks that can be seen."""
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    return {x: t.get_text() for x, t in ticks if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)}


def _axis(low, high):
    _, ax = plt.subplots()
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    logarithmic(ax.xaxis)
    return ax


@pytest.mark.parametrize("start", np.geomspace(1.0, 10.0, 7)[:-1] * 1e-3)
@pytest.mark.parametrize(
    "ratio", [1.0000001, 1.0001, 1.01, 1.3, 2.1, 4.9, 9.9, 30.0, 99.0, 150.0, 1e5, 1e12]
)
def test_at_least_two_numbers_that_differ_and_are_where_they_say(start, ratio):
    found = _labels(_axis(start, start * ratio))
    assert 2 <= len(found) <= 9
    assert len(set(found.values())) == len(found)
    for place, text in found.items():
        assert float(text) == pytest.approx(place, rel=1e-5)
    plt.close("all")


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.19, 1.1, ["0.2", "0.5", "1"]),
        (0.55, 1.05, ["0.6", "0.7", "0.8", "0.9", "1"]),
        (0.9, 450.0, ["1", "10", "100"]),
        (0.2, 0.5, ["0.2", "0.5"]),
    ],
)
def test_they_are_the_ones_that_one_would_write(low, high, texts):
    assert list(_labels(_axis(low, high)).values()) == texts


def test_an_axis_that_is_widened_later_gets_others_and_goes_to_a_file():
    ax = _axis(0.61, 0.79)
    ax.set_xlim(0.61, 790.0)
    assert list(_labels(ax).values()) == ["1", "10", "100"]
    again = pickle.loads(pickle.dumps(ax.figure)).axes[0]
    assert list(_labels(again).values()) == ["1", "10", "100"]
