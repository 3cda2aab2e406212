"""What is taken for what, where the model is certain and where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_priors.plots.canvas import INK, POSITIVE, many_axes
from keras_priors.plots.predictions import judged_classes
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between

_MOST_NUMBERS = 12
_MOST_NAMES = 30


@export()
def confusion_matrix(
    y: Any,
    predictive: Any,
    *,
    certain: float = 0.5,
    names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Confusion of classes among the more certain rows (left) and the less certain ones (right).

    Each line is a true class, each number the per cent of its rows that were taken for the class of
    the column; of more than 12 classes there are colours alone. Lines without rows stay empty. By
    the entropy of the predictions the rows are put in
    order and parted. Where the uncertainty is of use, what is off the diagonal is on the right.

    Args:
        y: integer labels (N,); beside a `Predictive` one-hot rows too.
        predictive: `keras_priors.Predictive` of classes, or an array of probabilities (N, C).
        certain: float in (0, 1), the share of the rows on the left. Defaults to 0.5.
        names: sequence of str, the names of the classes. Defaults to None: numbers.
        ax: array of 2 Axes. Defaults to None: a new figure.

    Returns:
        Array of 2 Axes.

    Raises:
        TypeError: `predictive` is neither.
        ValueError: no classes, labels that are no columns, `certain` out of range.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])
        >>> axes = kp.plots.confusion_matrix([0, 1, 0, 1], p)
        >>> axes[1].get_title().splitlines()
        ['2 less certain rows', '50% right']
    """
    certain = number_between("confusion_matrix", "certain", certain, 0.0, 1.0)
    labels, p = judged_classes("confusion_matrix", y, predictive)
    classes = p.shape[1]
    if names is not None and len(names) != classes:
        raise ValueError(f"`names` must name the {classes} classes. Received: {len(names)} names.")
    guess = p.argmax(axis=1)
    entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)
    order = np.argsort(entropy, kind="stable")
    parts = np.split(order, [round(certain * len(order))])
    side = max(2.8, min(0.42 * classes + 1.2, 6.0))
    with many_axes(
        ax, 1, 2, (2 * side + 0.6, side + 0.4), sharey=True, layout="compressed"
    ) as axes:
        for one, rows, how in zip(axes.flat, parts, ("more", "less"), strict=True):
            _draw(one, labels[rows], guess[rows], classes)
            right = f"\n{np.mean(labels[rows] == guess[rows]):.0%} right" if len(rows) else ""
            one.set_title(f"{len(rows)} {how} certain rows{right}", fontsize=10)
            _name(one, classes, names)
            one.set_xlabel("predicted\n(% of the true class)")
        axes.flat[0].set_ylabel("true")
        if classes > _MOST_NUMBERS:
            image, own = axes.flat[0].images[0], list(axes.flat)
            bar = axes.flat[0].figure.colorbar(image, ax=own, shrink=0.7)
            bar.set_ticks([0.0, 0.5, 1.0], labels=["0%", "50%", "100%"])
            bar.set_label("% of the true class")
    return axes.ravel()


def _draw(ax: Any, labels: Any, guess: Any, classes: int) -> None:
    count = np.zeros((classes, classes))
    np.add.at(count, (labels, guess), 1)
    with np.errstate(invalid="ignore"):
        share = count / count.sum(axis=1, keepdims=True)
    ax.imshow(share, cmap=POSITIVE, vmin=0.0, vmax=1.0, aspect="equal")
    ax.spines[:].set_visible(True)
    if classes > _MOST_NUMBERS:
        return
    for (i, j), value in np.ndenumerate(share):
        if value >= 0.005:
            color = "white" if value > 0.55 else INK
            text = f"{100 * value:.0f}"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=8)


def _name(ax: Any, classes: int, names: Sequence[str] | None) -> None:
    step = 1 if names is not None and classes <= _MOST_NAMES else -(-classes // 15)
    places = range(0, classes, step)
    shown = [str(c) if names is None else names[c] for c in places]
    ax.set_xticks(places, shown)
    ax.set_yticks(places, shown)
    if max(map(len, shown)) > 2:
        ax.tick_params(axis="x", rotation=40)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
