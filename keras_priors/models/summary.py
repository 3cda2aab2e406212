"""A table of the weights of a model, their priors and posteriors."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.check_built import check_built
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.layers.kl_penalty import KLPenalty
from keras_priors.priors.joint_normal_part import JointNormalPart
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export

_DRAWS = 20
_COLUMNS = ("weight", "shape", "prior", "posterior", "KL (nats)", "SNR", "log prior (nats)")


@export("keras_priors")
def summary(
    model: keras.Model, print_fn: Callable[[str], Any] | None = None
) -> list[dict[str, Any]]:
    """Print a table of the weights of a model, and return its numbers.

    For each weight: its path and shape; its prior p; its posterior family q, where it is one of a
    variational layer; KL(q‖p) in nats; the signal-to-noise ratio, the median over the elements of
    |mean| / standard deviation under q; and log p(w) in nats, summed over the tensor, at the
    weight, or at the mean of its posterior. Below: the sums of KL and log prior. Frozen weights
    are marked "(frozen)"; they have no part in the loss that `fit` minimizes, nor in the sums.

    Where a variational layer learns the scale of a prior, the prior is shown with the mean of that
    scale, and its density is the one that the KL holds, E[log p(w | scale)]; the KL of a posterior
    over the scale is part of that of its weight. On a plain layer such a scale is unknown: the
    prior is shown as it was given, without a density. That of a `JointNormalPrior` stands at the
    first of its weights, for all.

    A temperature other than 1 (`keras_priors.set_num_data`) is told beside the name of the model;
    the KL is that of q and p at any temperature.

    A KL without closed form is the average over 20 draws with a fixed seed, marked "~" in the
    table. Nothing is divided by `num_data`, and nothing in the model changes.

    Args:
        model: a built `keras.Model`.
        print_fn: callable that takes a line of text; called once for each. Defaults to None,
            which is `print`.

    Returns:
        A list of dicts, one for each weight, with the keys "weight" (str), "shape" (tuple),
        "prior" and "posterior" (str or None), "kl", "snr" and "log_prior" (float or None) and
        "kl_is_exact" (bool or None), "trainable" (bool), "temperature" (float or None). None stands
        where there is no prior or no posterior; the signal-to-noise ratio of a point estimate is
        None too.

    Raises:
        TypeError: `model` is not a model.
        ValueError: the model is not built.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([
        ...     keras.Input((2,)),
        ...     keras.layers.Dense(1, kernel_initializer="ones", name="out"),
        ... ])
        >>> _ = kp.set_priors(model, {"kernel": kp.NormalPrior(0, 1)})
        >>> rows = kp.summary(model, print_fn=lambda line: None)
        >>> round(rows[0]["log_prior"], 4), rows[1]["prior"]
        (-2.8379, None)

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, section 5.1 (the
          signal-to-noise ratio), arXiv:1505.05424.
    """
    check_built("summary", model)
    rows = [_row(w) for w in find_weights(model)]
    for line in _table(model.name, rows):
        (print if print_fn is None else print_fn)(line)
    return rows


def _row(weight: Weight) -> dict[str, Any]:
    row: dict[str, Any] = {
        "weight": weight.path,
        "shape": weight.shape,
        "prior": None if weight.prior is None else _describe(weight.prior, weight.penalty),
        "posterior": None,
        "kl": None,
        "kl_is_exact": None,
        "snr": None,
        "log_prior": None,
        "trainable": bool(weight.variable.trainable),
        "temperature": None if weight.penalty is None else weight.penalty.layer.temperature,
    }
    value, density = ops.convert_to_tensor(weight.variable), weight.prior
    if weight.penalty is not None:
        posterior, density = weight.penalty.posterior, weight.penalty.density
        value = posterior.mean()
        row["posterior"] = type(posterior).__name__
        # A seed of its own: the layer's next draws do not depend on whether someone looked.
        parts = weight.penalty.parts
        row["kl"] = sum(_number(part.kl(seed=0, num_samples=_DRAWS)) for part in parts)
        row["kl_is_exact"] = weight.penalty.is_exact
        if posterior.support != "point":
            mean, sd = (ops.convert_to_numpy(x) for x in (value, posterior.stddev()))
            row["snr"] = float(np.median(np.abs(mean) / sd))
    if density is not None and density.latent_scale is None:
        row["log_prior"] = _log_prior(density, value)
    return row


def _log_prior(density: Prior, value: Any) -> float | None:
    """Of a joint prior at the first of its weights, for all."""
    if isinstance(density, JointNormalPart):
        return None if density.index else _number(density.together(value))
    return _number(density.log_prob(value))


def _number(value: Any) -> float:
    return float(ops.convert_to_numpy(value))


def _describe(prior: Prior, penalty: KLPenalty | None) -> str:
    parts = []
    learned = None if penalty is None else penalty.learned
    for name in prior._parameters:
        value = getattr(prior, name)
        if learned is not None and name == "scale":
            parts.append(f"scale={_spread(ops.convert_to_numpy(learned.scale.mean()))}")
            continue
        shown = f"array{np.shape(value)}" if np.ndim(value) else repr(value)
        parts.append(f"{name}={shown}")
    return f"{type(prior).__name__}({', '.join(parts)})"


def _spread(scales: np.ndarray) -> str:
    if scales.size == 1:
        return f"{scales.item():.4g} learned"
    return f"{scales.size} learned, {scales.min():.3g} to {scales.max():.3g}"


def _table(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    cells = [
        (
            row["weight"] + ("" if row["trainable"] else " (frozen)"),
            str(row["shape"]),
            row["prior"] or "-",
            row["posterior"] or "-",
            ("~" if row["kl_is_exact"] is False else "") + _shown(row["kl"]),
            _shown(row["snr"]),
            _shown(row["log_prior"]),
        )
        for row in rows
    ]
    trained = [row for row in rows if row["trainable"]]
    sums = [_sum(row[key] for row in trained) for key in ("kl", "log_prior")]
    total = ("sum", "", "", "", _shown(sums[0]), "", _shown(sums[1]))
    widths = [max(len(line[k]) for line in (_COLUMNS, *cells, total)) for k in range(7)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [_line(line, widths) for line in (_COLUMNS, *cells, total)]
    temperatures = sorted({row["temperature"] or 1.0 for row in trained})
    told = ", ".join(f"{value:g}" for value in temperatures if temperatures != [1.0])
    title = f'Priors of "{name}"' + (f" at the temperature {told}" if told else "")
    return [title, rule, body[0], rule, *body[1:-1], rule, body[-1], rule]


def _sum(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells[:4], widths[:4], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[4:], widths[4:], strict=True)]
    return "  ".join([*texts, *numbers]).rstrip()
