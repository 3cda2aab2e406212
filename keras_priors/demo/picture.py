"""The picture: what the weights of each class are known to be, and what stays in doubt."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_priors.demo.data import Data
from keras_priors.demo.table import Row

_INK, _MUTED, _RIGHT, _WRONG = "#222222", "#8a8a8a", "#2f6f9f", "#c8553d"


def draw(rows: list[Row], data: Data, output: Path) -> None:
    """Write the PNG."""
    import matplotlib

    matplotlib.use("Agg")  # a file is all that is wanted: no window, no display
    from matplotlib import pyplot as plt

    by_name = {(row.fit.net, row.fit.method): row for row in rows}
    figure = plt.figure(figsize=(13, 9.1), dpi=110, facecolor="white")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.0, 2.0])
    _weights(top, by_name["softmax", "variational"].fit.model)
    _least_sure(bottom, by_name["two layers", "variational"], data)
    figure.savefig(output)
    plt.close(figure)


def _weights(figure: Any, model: Any) -> None:
    posterior = model.layers[1].kernel_posterior
    mean, sd = (
        keras.ops.convert_to_numpy(tensor).T.reshape(10, 8, 8)
        for tensor in (posterior.mean(), posterior.stddev())
    )
    _heading(
        figure,
        "Softmax regression: the posterior of every weight, one picture a class",
        "Red pixels speak for the class, blue ones against it. Dark: the data pin the weight down; "
        "yellow: it is as unknown as under the prior (sd 1), as where no digit has ink.",
        (0.97, 0.855),
    )
    figure.subplots_adjust(left=0.09, right=0.93, top=0.75, bottom=0.02, wspace=0.08, hspace=0.08)
    axes = figure.subplots(2, 10)
    limit = float(np.quantile(np.abs(mean), 0.99))
    styles = (
        (mean, {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}, "mean"),
        (sd, {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0}, "standard\ndeviation"),
    )
    for line, (images, style, label) in zip(axes, styles, strict=True):
        for c, axis in enumerate(line):
            shown = axis.imshow(images[c], **style)
            _bare(axis)
            if images is mean:
                axis.set_title(str(c), fontsize=11, color=_INK)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=10, color=_INK)
        box = line[-1].get_position()
        bar = figure.add_axes((0.942, box.y0, 0.008, box.height))
        figure.colorbar(shown, cax=bar).ax.tick_params(labelsize=8, colors=_MUTED)


def _least_sure(figure: Any, row: Row, data: Data, count: int = 12) -> None:
    p = row.predictive.probabilities
    low, high = np.quantile(np.asarray(row.predictive.draws), [0.05, 0.95], axis=0)
    order = np.argsort(-row.predictive.entropy)[:count]
    _heading(
        figure,
        "Two layers: the test digits that the variational net is least sure of",
        "Bars: predicted probability of each class; lines: 5% to 95% over draws of the weights. "
        "Blue: the true class; red: a wrong class that was preferred.",
        (0.985, 0.925),
    )
    figure.subplots_adjust(left=0.03, right=0.975, top=0.85, bottom=0.05, wspace=0.12, hspace=0.42)
    axes = figure.subplots(3, 8, width_ratios=[1, 1.7] * 4)
    for i, (image, chart) in zip(order, axes.reshape(-1, 2), strict=True):
        truth, guess = int(data.y_test[i]), int(p[i].argmax())
        image.imshow(data.x_test[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        _bare(image)
        image.set_xlabel(f"a {truth}", fontsize=10, color=_RIGHT)
        colours = ["#cfcfcf"] * 10
        if guess != truth:
            colours[guess] = _WRONG
        colours[truth] = _RIGHT
        chart.bar(range(10), p[i], color=colours, width=0.75)
        chart.vlines(range(10), low[i], high[i], color=_INK, linewidth=0.8)
        chart.set_ylim(0, 1)
        chart.set_xticks(range(10))
        chart.set_yticks([0, 1])
        chart.tick_params(labelsize=8, colors=_MUTED, length=0)
        for side in ("top", "right", "left"):
            chart.spines[side].set_visible(False)
        chart.set_title(
            f"entropy {row.predictive.entropy[i]:.2f}, "
            f"from the weights {row.predictive.mutual_information[i]:.2f}",
            fontsize=8,
            color=_MUTED,
            pad=8,  # above the 1 of the axis
        )


def _heading(figure: Any, title: str, reading: str, heights: tuple[float, float]) -> None:
    figure.suptitle(title, x=0.03, y=heights[0], ha="left", fontsize=13, color=_INK)
    figure.text(0.03, heights[1], reading, fontsize=9.5, color=_MUTED)


def _bare(axis: Any) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
