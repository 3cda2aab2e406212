"""The rows that a model is most and least certain of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.plots.canvas import BLUE, GREY, INK, ORANGE, PALE, bare, many_axes
from keras_priors.plots.predictions import (
    class_probabilities,
    is_classes,
    judged_classes,
    numbers,
    one_predictive,
    row_scores,
)
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

_MOST_FEATURES = 10


@export()
def examples(
    predictive: Any,
    x: Any,
    y: Any = None,
    *,
    count: int = 6,
    score: Any = None,
    shape: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """The rows whose predictions are the most certain (first line) and the least (second).

    Images are shown as they are; other rows as bars of up to 10 features, those that differ most
    from their mean over x, in standard deviations. Above each is what was predicted and, in
    brackets, how uncertain it is; what is wrong has a frame, and the truth in its name. A new
    figure says so at its head.

    Args:
        predictive: `keras_priors.Predictive` at the rows x.
        x: array (N, ...): images (N, height, width) or (N, height, width, 1 or 3), or rows.
        y: labels (N,), one-hot rows, or numbers. Defaults to None: no verdict.
        count: integer, how many of each. Defaults to 6.
        score: by what they are chosen: string, a score of `keras_priors.ood_score`, or array (N,).
            Defaults to None: the entropy of classes in nats, the standard deviation of numbers
            (with no likelihood, that of the mean).
        shape: shape of the image that a row is, such as (8, 8). Defaults to None: rows are rows.
        names: sequence of str, the names of the features, of rows; of images those of the classes.
            Defaults to None: numbers.
        ax: array of 2 * count Axes. Defaults to None: a new figure.

    Returns:
        Array of Axes (2, count).

    Raises:
        TypeError: `predictive` is no `Predictive` of one output.
        ValueError: shapes that do not match, another `score`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.array([[[0.0, 0.0], [5.0, 0.0]]]), kp.likelihoods.Categorical())
        >>> axes = kp.plots.examples(p, np.zeros((2, 4, 4)), [0, 0], count=1)
        >>> [ax.get_title() for ax in axes[:, 0]]
        ['0 (0.04)', '0 (0.69)']
    """
    one = one_predictive("examples", predictive)
    count = whole_number("examples", "count", count)
    x = as_array(x)
    if len(x) != len(one.mean):
        raise ValueError(
            f"`x` of `examples` must have the {len(one.mean)} rows that were predicted. "
            f"Received: {len(x)}."
        )
    doubt = _doubt(one) if score is None else row_scores("examples", one, score, len(x))
    count = min(count, len(x))
    order = np.argsort(doubt, kind="stable")
    lines = order[:count], order[::-1][:count]
    images = _images(x, shape)
    titles, wrong = _verdicts(one, y, names if images is not None else None)
    show = _image_shower(images) if images is not None else _row_shower(x, names)
    options = {} if images is None else {"layout": "compressed"}
    width, height = (1.35, 1.65) if images is not None else (2.4, 2.2)
    is_new, size = ax is None, (max(4.2, width * count + 0.6), 2 * height + 0.3)
    with many_axes(ax, 2, count, size, **options) as axes:
        for line, rows, label in zip(axes, lines, ("most\ncertain", "least\ncertain"), strict=True):
            for each, i in zip(line, rows, strict=True):
                show(each, int(i))
                each.set_title(f"{titles(int(i))} ({doubt[i]:.2f})", fontsize=9)
                if wrong is not None and wrong[i]:
                    each.spines[:].set(visible=True, color=ORANGE, linewidth=2.5)
            if images is None:
                line[0].set_ylabel(label.replace("\n", " "))
            else:
                line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        if images is None:
            for each in axes[1]:
                each.set_xlabel("standard deviations\nfrom the mean", fontsize=8)
        if is_new:
            reading = _reading(one, score, y is not None, wrong is not None)
            axes[0, 0].figure.suptitle(reading, x=0.01, ha="left", fontsize=9)
    return axes


def _reading(one: Any, score: Any, truth: bool, verdict: bool) -> str:
    """What stands above each row, in words."""
    name = "entropy in nats" if is_classes(one) else "standard deviation"
    if score is not None:
        name = f"score: {score}" if isinstance(score, str) else "the given score"
    if verdict:
        return f'Above each: prediction ({name})\nFramed: wrong, with what it "is"'
    return f"Above each: prediction{', truth' if truth else ''} ({name})"


def _doubt(one: Any) -> Any:
    if is_classes(one):
        values = one.entropy
    else:
        values = np.sqrt(one.epistemic if one.likelihood is None else one.total)
    return values.reshape(len(values), -1).mean(axis=1)


def _images(x: Any, shape: Sequence[int] | None) -> Any:
    """(N, height, width) or (N, height, width, 3), or None."""
    if shape is not None:
        if math.prod(shape) != math.prod(x.shape[1:]) or len(shape) not in (2, 3):
            raise ValueError(
                f"`shape` of `examples` must be (height, width) or (height, width, channels) of "
                f"{math.prod(x.shape[1:])} numbers. Received: shape={shape!r}."
            )
        x = x.reshape(-1, *shape)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    return x if x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 3) else None


def _verdicts(one: Any, y: Any, names: Sequence[str] | None) -> tuple[Any, Any]:
    """A function from a row to its title, and which rows are wrong, or None."""
    if not is_classes(one):
        mean = one.mean.reshape(len(one.mean), -1)[:, 0]
        if y is None:
            return lambda i: f"{mean[i]:.3g}", None
        truth = numbers("examples", y, one).reshape(len(mean), -1)[:, 0]
        return lambda i: f"{mean[i]:.3g}, is {truth[i]:.3g}", None
    p = class_probabilities("examples", one)
    if len(p) != len(one.mean):
        raise ValueError(
            "`examples` shows rows with one class each. Received: "
            f"{len(p) // len(one.mean)} predictions for each row."
        )
    guess = p.argmax(axis=1)
    name = [str(c) if names is None else names[c] for c in range(p.shape[1])]
    if y is None:
        return lambda i: name[guess[i]], None
    truth, _ = judged_classes("examples", y, one)
    wrong = guess != truth
    return lambda i: name[guess[i]] + (f", is {name[truth[i]]}" if wrong[i] else ""), wrong


def _image_shower(images: Any) -> Any:
    low, high = float(images.min()), float(images.max())
    scaled = (images - low) / ((high - low) or 1.0)

    def show(ax: Any, i: int) -> None:
        ax.imshow(scaled[i], cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest")
        bare(ax)

    return show


def _row_shower(x: Any, names: Sequence[str] | None) -> Any:
    flat = x.reshape(len(x), -1).astype("float64")
    centre, spread = flat.mean(axis=0), flat.std(axis=0)
    standard = (flat - centre) / np.where(spread > 0, spread, 1.0)

    def show(ax: Any, i: int) -> None:
        chosen = np.argsort(-np.abs(standard[i]), kind="stable")[:_MOST_FEATURES]
        place = np.arange(len(chosen))
        values = standard[i, chosen]
        ax.barh(place, values, color=[BLUE if v > 0 else PALE for v in values], edgecolor=GREY)
        ax.axvline(0.0, color=INK, linewidth=0.8, linestyle="-")
        ax.set_yticks(
            place, [f"column {k}" if names is None else names[k] for k in chosen], fontsize=7
        )
        ax.tick_params(axis="y", length=0)
        ax.invert_yaxis()

    return show
