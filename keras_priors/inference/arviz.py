"""Posteriors in the form in which ArviZ takes them; ArviZ itself, imported where it is used."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_priors import backend
from keras_priors.models.sample_prior import sample_prior


def to_arviz(posterior: Any, num_samples: int | None, num_prior_samples: int, seed: Any) -> Any:
    """An `arviz.InferenceData`; see `Posterior.to_arviz`."""
    az = import_arviz()
    seed = backend.as_seed(seed)  # the same draws for the weights and for their log likelihood
    chains = posterior._chains(num_samples, seed)
    groups: dict[str, Any] = {"posterior": _dotted(chains)}
    stats = posterior._sample_stats(num_samples)
    if stats:
        groups["sample_stats"] = stats
    data = posterior._observations
    if data is not None and not keras.tree.is_nested(posterior.likelihood):
        number = next(iter(chains.values())).shape[:2]
        values = posterior.log_likelihood(data.x, data.y, int(np.prod(number)), seed)
        groups["log_likelihood"] = {"y": values.reshape(*number, *values.shape[1:])}
        groups["observed_data"] = {"y": data.y}
    if num_prior_samples:
        drawn = sample_prior(posterior.model, num_prior_samples, seed)
        groups["prior"] = _dotted({path: value[None] for path, value in drawn.items()})
    return az.from_dict(**groups)


def summary(posterior: Any, interval: float) -> Any:
    """A pandas table; see `Posterior.summary`."""
    az = import_arviz()
    chains = posterior._chains(None, 0)
    # In float64: of equal numbers the deviation is then 0.
    wide = {path: value.astype("float64") for path, value in _dotted(chains).items()}
    if posterior.default_num_samples == 1:
        # A point, twice: ArviZ then finds that it has no spread, where one draw would have none.
        wide = {path: np.repeat(value, 2, axis=1) for path, value in wide.items()}
    data = az.from_dict(posterior=wide)
    several = next(iter(chains.values())).shape[0] > 1
    kind = "all" if several else "stats"
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that stood still
        return az.summary(data, hdi_prob=interval, kind=kind, round_to="none")


def _dotted(values: dict[str, Any]) -> dict[str, Any]:
    # A slash is a folder in the files that ArviZ writes.
    return {path.replace("/", "."): value for path, value in values.items()}


def import_arviz() -> Any:
    """The module; an ImportError that says how to install it."""
    try:
        with warnings.catch_warnings():
            # It announces its next version at import.
            warnings.simplefilter("ignore", FutureWarning)
            import arviz
    except ImportError as error:
        raise ImportError(
            "Diagnostics are those of ArviZ. Received: no module named arviz. Install it: "
            'pip install "keras-priors[arviz]".'
        ) from error
    return arviz
