"""Kernels that read pixels, as images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_priors.plots.beliefs import Belief, one_belief
from keras_priors.plots.canvas import POSITIVE, SIGNED, bare, many_axes
from keras_priors.plots.prior_curves import scales_of
from keras_priors.utils.export import export

_MOST_UNITS = 10


@export()
def kernel_images(
    source: Any,
    path: str | None = None,
    *,
    shape: tuple[int, int] | None = None,
    units: Sequence[int] | None = None,
    channel: int = 0,
    ax: Any = None,
) -> Any:
    """Posterior means and standard deviations of a kernel that reads pixels, one image a unit.

    Of how many units and channels these are is said at the left, where not all of them are drawn.
    First line: the means; grey is zero, yellow (light) speaks for the unit, blue (dark) against it,
    up to the 99% quantile of their sizes. Second line: the standard deviations from 0 (white) to
    that of the prior (dark), or the largest where there is no prior: dark pixels are as unknown as
    before the data.

    Args:
        source: built `keras.Model` with variational layers, or an `inference.Posterior`.
        path: str, the kernel: of a dense layer (pixels, units), or of a convolution (height, width,
            channels, units). Defaults to None: the first that fits.
        shape: (height, width) of the pixels of a dense kernel. Defaults to None: a square.
        units: sequence of integers, which units. Defaults to None: the first 10.
        channel: integer, which channel of a convolution. Defaults to 0.
        ax: array of 2 * units Axes. Defaults to None: a new figure.

    Returns:
        Array of Axes (2, units).

    Raises:
        TypeError: `source` is neither.
        ValueError: no kernel that fits, a `shape` of another number of pixels, no such unit.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((64,)), kp.VariationalDense(3)])
        >>> kp.plots.kernel_images(model).shape
        (2, 3)
    """
    what = "kernels that read pixels: of a dense layer, with a square number of inputs or `shape`, "
    belief = one_belief(
        "kernel_images",
        source,
        path,
        lambda b: _side(b, shape) is not None,
        what + "or of a two-dimensional convolution",
    )
    means, sds = (_images(v, _side(belief, shape), channel) for v in (belief.mean, belief.sd))
    chosen = list(range(min(len(means), _MOST_UNITS)) if units is None else units)
    if not chosen or not all(0 <= u < len(means) for u in chosen):
        raise ValueError(
            f"`units` of `kernel_images` must name units from 0 to {len(means) - 1}. "
            f"Received: units={units!r}."
        )
    left_out = _left_out(belief, len(chosen), channel, units is None)
    limit = float(np.quantile(np.abs(means[chosen]), 0.99)) or 1.0
    widest = float(sds[chosen].max()) or 1.0
    if belief.prior is not None:
        widest = float(scales_of(belief.prior, belief.shape).max())
    # With less, the bars of colours would not fit.
    size = (max(4.0, 1.0 * len(chosen) + 1.0), 2.6)
    with many_axes(ax, 2, len(chosen), size, layout="compressed") as axes:
        styles: list[tuple[Any, dict[str, Any], str]] = [
            (means, {"cmap": SIGNED, "vmin": -limit, "vmax": limit}, f"mean{left_out}"),
            (sds, {"cmap": POSITIVE, "vmin": 0.0, "vmax": widest}, "standard\ndeviation"),
        ]
        for line, (images, style, label) in zip(axes, styles, strict=True):
            for one, unit in zip(line, chosen, strict=True):
                shown = one.imshow(images[unit], interpolation="nearest", **style)
                bare(one)
                if images is means:
                    is_first = ax is None and unit == chosen[0]
                    one.set_title(f"unit {unit}" if is_first else str(unit))
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
            line[0].figure.colorbar(shown, ax=list(line), fraction=0.05, pad=0.02, aspect=10)
    return axes


def _side(belief: Belief, shape: tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width of the images of a kernel, None where it has none."""
    if len(belief.shape) == 4:
        return belief.shape[:2]
    if len(belief.shape) != 2:
        return None
    pixels = belief.shape[0]
    if shape is not None:
        return tuple(shape) if math.prod(shape) == pixels else None  # type: ignore[return-value]
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels and side > 1 else None


def _left_out(belief: Belief, shown: int, channel: int, is_default: bool) -> str:
    """What was chosen by default of more, as lines below a name."""
    said = ""
    if is_default and shown < belief.shape[-1]:
        said += f"\n{shown} of {belief.shape[-1]} units"
    if len(belief.shape) == 4 and belief.shape[2] > 1:
        said += f"\nchannel {channel % belief.shape[2]} of {belief.shape[2]}"
    return said


def _images(values: Any, side: Any, channel: int) -> Any:
    """(units, height, width)."""
    if values.ndim == 2:
        return values.T.reshape(-1, *side)
    if not -values.shape[2] <= channel < values.shape[2]:
        raise ValueError(
            f"`channel` of `kernel_images` must be one of {values.shape[2]}. "
            f"Received: channel={channel!r}."
        )
    return np.moveaxis(values[:, :, channel], -1, 0)
