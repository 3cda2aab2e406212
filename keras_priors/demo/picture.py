"""The picture: what the weights of each class are known to be, and what stays in doubt."""

from pathlib import Path
from typing import Any

import numpy as np

import keras_priors as kp
from keras_priors.demo.data import Data
from keras_priors.demo.table import Row


def draw(rows: list[Row], data: Data, output: Path) -> None:
    """Write the PNG."""
    import matplotlib

    matplotlib.use("Agg")  # a file is all that is wanted: no window, no display
    from matplotlib import pyplot as plt

    by_name = {(row.fit.net, row.fit.method): row for row in rows}
    with plt.style.context("keras_priors.plots.house"):
        figure = plt.figure(figsize=(13, 9.4), dpi=110, layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=[1.0, 1.9], hspace=0.03)
        _weights(top, by_name["softmax", "variational"].fit.model)
        _least_sure(bottom, by_name["two layers", "variational"], data)
        figure.savefig(output)
    plt.close(figure)


def _weights(figure: Any, model: Any) -> None:
    _heading(
        figure,
        "Softmax regression: the posterior of every weight, one picture a class",
        "Mean: light pixels speak for the class, dark ones against it. Standard deviation: pale "
        "where the data pin the weight down, dark where it is as\n"
        "unknown as under the prior (1), as where no digit has ink.",
        0.905,
    )
    kp.plots.kernel_images(model, shape=(8, 8), ax=figure.subplots(2, 10))


def _least_sure(figure: Any, row: Row, data: Data, count: int = 12) -> None:
    order = np.argsort(-row.predictive.entropy)[:count]
    _heading(
        figure,
        "Two layers: the test digits that the variational net is least sure of",
        "Bars: predicted probability of each class; lines: 5% to 95% over draws of the weights. "
        "Dark: the true class; hatched: a wrong class that was preferred.",
        0.945,
    )
    axes = figure.subplots(3, 8, width_ratios=[1, 1.7] * 4)
    images, charts = axes.reshape(-1, 2).T
    kp.plots.class_probabilities(row.predictive, order, data.y_test, ax=charts)
    for i, image, chart in zip(order, images, charts, strict=True):
        image.imshow(data.x_test[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        image.set(xticks=[], yticks=[], xlabel=f"a {data.y_test[i]}")
        image.spines[:].set_visible(False)
        chart.set_title("")
        chart.set_title(
            f"entropy {row.predictive.entropy[i]:.2f}, "
            f"from the weights {row.predictive.mutual_information[i]:.2f}",
            fontsize=8,
            loc="right",
        )


def _heading(figure: Any, title: str, reading: str, height: float) -> None:
    # The empty lines leave room for the text.
    lines = "\n" * (1 + reading.count("\n"))
    figure.suptitle(title + lines, x=0.03, ha="left", fontsize=13)
    figure.text(0.03, height, reading, fontsize=9.5, color="#555555", va="top")
