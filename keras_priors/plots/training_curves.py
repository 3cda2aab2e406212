"""What `fit` did, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors.plots.canvas import BLUE, GREY, INK, ORANGE, one_axes
from keras_priors.utils.export import export

_STYLES = {
    "nll": ("misfit: nll", BLUE, "o"),
    "kl": ("kl", ORANGE, "s"),
    "neg_log_prior": ("prior: neg_log_prior", GREY, "^"),
    "elbo": ("their sum: −elbo", INK, ""),
}


@export()
def training_curves(history: Any, *, ax: Any = None) -> Any:
    """The terms of the loss over the epochs, in nats per observation.

    nll (how badly the data are explained), kl and neg_log_prior (what departing from the prior
    costs) and their sum, the negative ELBO, as `callbacks.BayesianMonitor` logs them; dashed, with
    hollow markers, what was found on validation data. Without that callback, the loss alone.

    Args:
        history: what `model.fit` returns, or its `history`: a mapping from names to values.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `history` is neither.
        ValueError: nothing in it that is known here, or no epoch.

    Example:
        >>> import keras_priors as kp
        >>> logs = {"nll": [2.0, 1.0], "kl": [0.5, 0.4], "elbo": [-2.5, -1.4]}
        >>> [float(v) for v in kp.plots.training_curves(logs).lines[-1].get_ydata()]
        [2.5, 1.4]
    """
    logs = history if isinstance(history, Mapping) else getattr(history, "history", None)
    if not isinstance(logs, Mapping):
        raise TypeError(
            f"`training_curves` takes what `model.fit` returns. Received: {type(history).__name__}."
        )
    known = [name for name in _STYLES if name in logs]
    styles = {name: _STYLES[name] for name in known} or {"loss": ("loss", INK, "")}
    drawn = [name for name in styles if len(logs.get(name, ()))]
    if not drawn:
        raise ValueError(
            "`training_curves` shows nll, kl, neg_log_prior and elbo, or the loss, of at least one "
            f"epoch. Received: {', '.join(map(repr, logs)) or 'an empty history'}. Give `fit` "
            "callbacks=[keras_priors.callbacks.BayesianMonitor()]."
        )
    with one_axes(ax) as ax:
        for name in drawn:
            label, color, marker = styles[name]
            sign = -1.0 if name == "elbo" else 1.0
            for lead, line in (("", "-"), ("val_", "--")):
                values = logs.get(lead + name)
                if values is None or not len(values):
                    continue
                # Where validation was not every epoch, its values are the later ones'.
                epochs = np.linspace(0, len(logs[name]), len(values) + 1)[1:]
                ax.plot(
                    epochs,
                    sign * np.asarray(values, "float64"),
                    color=color,
                    linestyle=line,
                    linewidth=2.2 if name == "elbo" else 1.4,
                    marker=marker or ("o" if len(values) == 1 else None),
                    markevery=max(1, len(values) // 8),
                    markerfacecolor="white" if lead else color,
                    markersize=4,
                    label=label + (", validation" if lead else ""),
                )
        ax.set(xlabel="epoch", ylabel="nats per observation")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="best")
    return ax
