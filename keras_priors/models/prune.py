"""Weights that the posterior does not need, set to zero."""

from typing import Any

import keras
import numpy as np

from keras_priors.models.to_plain import to_plain
from keras_priors.models.twins import posteriors_of
from keras_priors.posteriors.posterior import Posterior
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import all_layers


@export("keras_priors")
def prune(
    model: keras.Model, fraction: float | None = None, snr: float | None = None
) -> tuple[keras.Model, list[dict[str, Any]]]:
    """The plain model at the posterior means, with weights of low signal-to-noise at zero.

    The signal-to-noise ratio of a weight is |mean| / sd under its posterior. Weights whose
    posterior is a point have none, and stay.

    Args:
        model: built `keras.Model` with variational layers.
        fraction: float in [0, 1], share of all weights with a posterior to set to zero, those of
            the lowest ratio over the whole model.
        snr: float, ratio below which a weight is set to zero. Give one of the two.

    Returns:
        The plain model (see `keras_priors.to_deterministic`), and for each weight a dict with
        `weight`, `size`, `left` (how many are not pruned) and `median_snr`.

    Raises:
        ValueError: both or none of `fraction` and `snr`, one out of range, or a model without
            posteriors.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((10,)), kp.VariationalDense(4, seed=0)])
        >>> plain, report = kp.prune(model, fraction=0.75)
        >>> sum(row["left"] for row in report), sum(row["size"] for row in report)
        (11, 44)

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, section 5.1 and
          figure 5, arXiv:1505.05424.
    """
    if (fraction is None) == (snr is None):
        raise ValueError(
            f"Give `prune` one of `fraction` and `snr`. Received: fraction={fraction}, snr={snr}."
        )
    if fraction is not None and not 0.0 <= fraction <= 1.0:
        raise ValueError(f"`fraction` must lie in [0, 1]. Received: fraction={fraction}.")
    if snr is not None and not snr >= 0.0:
        raise ValueError(f"`snr` must not be negative. Received: snr={snr}.")
    ratios = _ratios(model)
    if not ratios:
        raise ValueError(
            "`prune` needs a model with posteriors. Received: "
            f"{model.name} with none. Make them with keras_priors.to_variational(model)."
        )
    if fraction is not None:
        keep = _highest({key: ratio for key, (_, ratio) in ratios.items()}, fraction)
    else:
        keep = {key: ratio >= snr for key, (_, ratio) in ratios.items()}

    def value(posterior: Posterior) -> Any:
        mean = keras.ops.convert_to_numpy(posterior.mean())
        return np.where(keep[id(posterior)], mean, 0.0) if id(posterior) in keep else mean

    report = [
        {
            "weight": name,
            "size": int(ratio.size),
            "left": int(keep[key].sum()),
            "median_snr": float(np.median(ratio)),
        }
        for key, (name, ratio) in ratios.items()
    ]
    return to_plain("prune", model, value), report


def _ratios(model: Any) -> dict[int, tuple[str, np.ndarray]]:
    """Name and signal-to-noise of every weight whose posterior is not a point."""
    found = {}
    for layer in all_layers(model):
        for q in posteriors_of(layer):
            if q.support != "point":
                mean, sd = (keras.ops.convert_to_numpy(x) for x in (q.mean(), q.stddev()))
                ratio = np.abs(mean) / np.maximum(sd, np.finfo("float32").tiny)
                found[id(q)] = (q.loc.path.removesuffix("_loc"), ratio)
    return found


def _highest(ratios: dict[int, np.ndarray], fraction: float) -> dict[int, np.ndarray]:
    """Which weights are left when `fraction` of all of them is taken away from below."""
    flat = np.concatenate([ratio.ravel() for ratio in ratios.values()])
    left = np.ones(flat.size, bool)
    left[np.argsort(flat, kind="stable")[: round(fraction * flat.size)]] = False
    parts = np.split(left, np.cumsum([ratio.size for ratio in ratios.values()])[:-1])
    return {
        key: part.reshape(ratio.shape)
        for (key, ratio), part in zip(ratios.items(), parts, strict=True)
    }
