"""Whether probabilities are frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.metrics.bins import reliability_table
from keras_priors.plots.canvas import GREY, PALE, one_axes
from keras_priors.plots.predictions import judged_classes
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

_STRIP = 0.24
_Z90 = 1.6448536269514722


@export()
def reliability_diagram(
    y: Any,
    predictive: Any,
    *,
    n_bins: int = 10,
    of_class: int | None = None,
    label: str | None = None,
    ax: Any = None,
) -> Any:
    """How often predictions of each probability came true, with the number of them below.

    In bins of equal width of the predicted probability: a dot at (mean probability, frequency),
    with the 90% interval of Wilson for a frequency of so many; the dashed diagonal is perfect
    calibration. Below it: overconfident. The bars beneath are the numbers of predictions in the
    bins. Called again on the same Axes it adds another line, without bars.

    Args:
        y: integer labels (N,); beside a `Predictive` one-hot rows too.
        predictive: `keras_priors.Predictive` of classes, or an array of probabilities (N, C), or
            (N,) of class 1 of 2.
        n_bins: integer, number of bins, ((b - 1) / n_bins, b / n_bins]. Defaults to 10.
        of_class: integer, the class whose probability is judged. Defaults to None: in each row the
            predicted one (of two classes too).
        label: str, the name of the line in the legend. Defaults to None: the legend names all else.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `predictive` is neither.
        ValueError: no classes, labels that are no columns, `of_class` out of range.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = np.array([[0.8, 0.2]] * 10)
        >>> ax = kp.plots.reliability_diagram([0] * 7 + [1] * 3, p)
        >>> [round(float(v[0]), 4) for v in ax.lines[-1].get_data()]
        [0.8, 0.7]

    References:
        - Guo et al., 2017, On calibration of modern neural networks, section 2, arXiv:1706.04599.
        - Wilson, 1927, Probable inference, the law of succession, and statistical inference,
          Journal of the American Statistical Association 22.
    """
    n_bins = whole_number("reliability_diagram", "n_bins", n_bins)
    labels, p = judged_classes("reliability_diagram", y, predictive)
    names = "probability of the predicted class", "share of right predictions"
    if of_class is not None:
        if isinstance(of_class, bool) or not 0 <= of_class < p.shape[1]:
            raise ValueError(
                f"`of_class` must be a class from 0 to {p.shape[1] - 1}. "
                f"Received: of_class={of_class!r}."
            )
        names = f"probability of class {of_class}", f"share of class {of_class}"
    count, happened, total = reliability_table(labels, p, n_bins, of_class).T
    count = count.astype("int64")
    mean, frequency = (v / np.maximum(count, 1) for v in (total, happened))
    some = count > 0
    low, high = _wilson(frequency[some], count[some])
    with one_axes(ax, (5.0, 4.6)) as ax:
        is_first = not any(line.get_gid() == "diagonal" for line in ax.lines)
        if is_first:
            _draw_ground(ax, count, n_bins)
            ax.set(xlabel=names[0], ylabel=names[1])
        (line,) = ax.plot(mean[some], frequency[some], marker="o", label=label, zorder=3)
        interval = {"linewidth": 1.0, "zorder": 2, "label": "90% interval" if is_first else None}
        ax.vlines(mean[some], low, high, color=line.get_color(), **interval)
        ax.legend(loc="upper left", fontsize=8)
    return ax


def _wilson(frequency: Any, count: Any) -> tuple[Any, Any]:
    z2 = _Z90**2 / count
    middle = (frequency + 0.5 * z2) / (1.0 + z2)
    half = _Z90 / (1.0 + z2) * np.sqrt(frequency * (1.0 - frequency) / count + 0.25 * z2 / count)
    return middle - half, middle + half


def _draw_ground(ax: Any, count: Any, n_bins: int) -> None:
    """The diagonal, and beneath zero the counts."""
    perfect = {"color": GREY, "linewidth": 1.0, "linestyle": "--", "label": "perfect calibration"}
    ax.plot([0, 1], [0, 1], gid="diagonal", zorder=1, **perfect)
    ax.axhline(0.0, color=GREY, linewidth=0.8, linestyle="-")
    place = (np.arange(n_bins) + 0.5) / n_bins
    height = 0.62 * _STRIP * count / max(count.max(), 1)
    style = {"color": PALE, "edgecolor": GREY, "linewidth": 0.5, "label": "how many predictions"}
    ax.bar(place, height, 0.9 / n_bins, -_STRIP, **style)
    if n_bins <= 12:
        for x, h, n in zip(place, height, count, strict=True):
            if n:
                ax.text(x, h - _STRIP + 0.012, f"{n}", ha="center", va="bottom", fontsize=7)
    ax.set(xlim=(-0.02, 1.02), ylim=(-_STRIP, 1.03))
    ax.set_yticks(np.linspace(0, 1, 6))
