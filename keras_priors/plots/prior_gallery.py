"""Priors side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.plots.canvas import logarithmic, many_axes
from keras_priors.plots.prior_curves import is_same_of_each, log_density
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export

_POINTS = 161
_DRAWS = 50_000
_ONE = (1,)
_MARKERS = "os^Dv*XP"


@export()
def prior_gallery(priors: Any, *, limit: float | None = None, ax: Any = None) -> Any:
    """Density, log density and tail of priors.

    Three panels: p(w); log p(w) in nats, whose slope is how hard a weight is pulled; and the share
    of draws with |w| beyond t, both axes logarithmic: a straight line is a heavy tail, which
    leaves large weights alone. (Tails are those of 50,000 draws with a fixed seed.)

    Args:
        priors: a prior, a sequence of them, or a mapping from names to them; each with one density
            for all elements.
        limit: float, densities are shown from -limit to limit. Defaults to None: about twice what
            68% of |w| of the widest are below.
        ax: array of 3 Axes. Defaults to None: a new figure.

    Returns:
        Array of 3 Axes.

    Raises:
        TypeError: what is no prior.
        ValueError: none, or one whose elements differ or depend on each other.

    Example:
        >>> import keras_priors as kp
        >>> axes = kp.plots.prior_gallery({"normal": kp.NormalPrior(0, 1)}, limit=2.0)
        >>> x, density = axes[0].lines[0].get_data()
        >>> round(float(density[len(x) // 2]), 4)                        # at 0
        0.3989
    """
    named = _named(priors)
    draws = {
        name: np.abs(keras.ops.convert_to_numpy(prior.sample((_DRAWS,), seed=0)))
        for name, prior in named.items()
    }
    if limit is None:
        limit = _round_up(1.9 * max(float(np.quantile(v, 0.6827)) for v in draws.values()))
    if not (np.isfinite(limit) and limit > 0):
        raise ValueError(f"`limit` must be a number greater than 0. Received: limit={limit!r}.")
    # Zero is between two points: densities with a pole have no value there; and one at it.
    at = np.linspace(-limit, limit, _POINTS)
    with many_axes(ax, 1, 3, (10.0, 3.3)) as axes:
        density, log, tail = axes.ravel()
        for k, (name, prior) in enumerate(named.items()):
            # More priors than lines of the style are told apart by markers.
            extra = {"marker": _MARKERS[(k // 4 - 1) % 8], "markevery": 0.1} if k >= 4 else {}
            extra |= {"label": name, "markersize": 4}
            height = log_density(prior, at, _ONE)
            inside = np.isfinite(height)
            density.plot(at, np.where(inside, np.exp(np.minimum(height, 50.0)), np.nan), **extra)
            log.plot(at, np.where(inside, height, np.nan), **extra)
            order = np.sort(draws[name])
            kept = np.unique(np.geomspace(1, _DRAWS, 200).astype(int))  # from the largest down
            tail.plot(order[_DRAWS - kept], kept / _DRAWS, **extra)
        _limit_poles(density, [line.get_ydata() for line in density.lines])
        density.set(xlabel="w", title="density", xlim=(-limit, limit))
        log.set(xlabel="w", title="log density (nats)", xlim=(-limit, limit))
        tail.set(xlabel="t", title="share with |w| > t", xscale="log", yscale="log")
        furthest = max(float(np.quantile(each, 1.0 - 1e-4)) for each in draws.values())
        tail.set_xlim(0.05 * limit, 10.0 ** np.ceil(np.log10(max(furthest, limit))))
        tail.set_ylim(1e-4, 1.5)
        logarithmic(tail.xaxis)
        logarithmic(tail.yaxis)
        if len(named) > 1 or isinstance(priors, Mapping):
            density.legend(loc="best", fontsize=8)
    return axes.ravel()


def _round_up(value: float) -> float:
    """To one digit, so that it does not hang on single draws."""
    digit = 10.0 ** np.floor(np.log10(value))
    return float(digit * np.ceil(value / digit))


def _limit_poles(ax: Any, heights: list[Any]) -> None:
    """Leave room for what is not a pole."""
    tops = sorted(float(np.nanmax(h)) for h in heights)
    usual = max(tops[0], 3.0 * float(np.median([np.nanquantile(h, 0.9) for h in heights])))
    ax.set_ylim(0.0, 1.05 * min(tops[-1], usual))


def _named(priors: Any) -> dict[str, Prior]:
    if isinstance(priors, Prior):
        priors = [priors]
    if isinstance(priors, Mapping):
        named = dict(priors)
    elif isinstance(priors, (list, tuple)):
        named = {}
        for prior in priors:
            name = _short(prior)
            named[name if name not in named else f"{name} #{len(named) + 1}"] = prior
    else:
        named = {"": priors}
    for prior in named.values():
        if not isinstance(prior, Prior):
            raise TypeError(
                "`prior_gallery` takes priors, a sequence of them or a mapping from names. "
                f"Received: {type(prior).__name__}. Write, for example, "
                '{"normal": keras_priors.NormalPrior(0, 1)}.'
            )
        if prior.latent_scale is not None or not is_same_of_each(prior, _ONE):
            raise ValueError(
                "`prior_gallery` shows priors with one density for all elements of a weight. "
                f"Received: {prior!r}. Give it numbers for its parameters."
            )
    if not named:
        raise ValueError("`prior_gallery` needs at least one prior. Received: none.")
    return named


def _short(prior: Any) -> str:
    """NormalPrior(0, 1)."""
    if not isinstance(prior, Prior):
        return type(prior).__name__
    values = (getattr(prior, name) for name in prior._parameters)
    return f"{type(prior).__name__}({', '.join(_number(v) for v in values)})"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
