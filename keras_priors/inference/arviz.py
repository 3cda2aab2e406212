"""Posteriors in the form in which ArviZ takes them; ArviZ itself, imported where it is used."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.models.sample_prior import sample_prior
from keras_priors.utils.export import share


def to_arviz(
    posterior: Any,
    num_samples: int | None,
    num_prior_samples: int,
    seed: Any,
    x: Any,
    y: Any,
    separator: str,
) -> Any:
    """An `arviz.InferenceData`; see `Posterior.to_arviz`."""
    az = import_arviz()
    if x is None and y is not None:
        raise ValueError(
            "`to_arviz` takes x and y together, or neither. Received: y alone. Give the inputs of "
            "these targets."
        )
    seed = backend.as_seed(seed)  # the same draws for the weights and for their log likelihood
    chains = posterior._chains(num_samples, seed)
    groups: dict[str, Any] = {"posterior": _renamed(chains, separator)}
    stats = posterior._sample_stats(num_samples)
    if stats:
        groups["sample_stats"] = stats
    data = posterior._observations if x is None else Observations(x, y)
    if data is not None and not keras.tree.is_nested(posterior.likelihood):
        number = next(iter(chains.values())).shape[:2]
        groups |= _of_data(posterior, data, number, seed)
    if num_prior_samples:
        drawn = sample_prior(posterior.model, num_prior_samples, seed)
        groups["prior"] = _renamed({path: v[None] for path, v in drawn.items()}, separator)
    return az.from_dict(**groups)


def _of_data(posterior: Any, data: Observations, number: tuple[int, int], seed: Any) -> Any:
    """What is known at the data, at the (chain, draw) of the weights."""
    likelihood, outputs = posterior._outputs_at(data.x, int(np.prod(number)), seed)
    density = keras.ops.convert_to_numpy(likelihood.log_prob(data.y[None], outputs))
    noise = backend.spawn_seeds(seed, 1)[0]
    replicated = keras.ops.convert_to_numpy(likelihood.sample(outputs, noise))
    observed = data.y
    if isinstance(likelihood, Categorical) and observed.shape == outputs.shape[1:]:
        observed = observed.argmax(axis=-1)  # one-hot; a draw is the number of the class
    # ArviZ compares observations with densities, which have no axis of outputs.
    shape = replicated.shape[1:]
    if len(shape) == density.ndim and shape[-1] == 1:
        shape = shape[:-1]
    return {
        "log_likelihood": {"y": density.reshape(*number, *density.shape[1:])},
        "posterior_predictive": {"y": replicated.reshape(*number, *shape)},
        "observed_data": {"y": observed.reshape(shape)},
    }


def summary(posterior: Any, coverage: float, chains: dict[str, Any] | None = None) -> Any:
    """A pandas table of arrays (chains, draws, ...) by name; see `Posterior.summary`."""
    az = import_arviz()
    chains = posterior._chains(None, 0) if chains is None else chains
    # In float64: of equal numbers the deviation is then 0.
    wide = {path: value.astype("float64") for path, value in chains.items()}
    if posterior.default_num_samples == 1:
        # A point, twice: ArviZ then finds that it has no spread, where one draw would have none.
        wide = {path: np.repeat(value, 2, axis=1) for path, value in wide.items()}
    data = az.from_dict(posterior=wide)
    several = next(iter(chains.values())).shape[0] > 1
    kind = "all" if several else "stats"
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that stood still
        return az.summary(data, hdi_prob=coverage, kind=kind, round_to="none")


def _renamed(values: dict[str, Any], separator: str) -> dict[str, Any]:
    return {path.replace("/", separator): value for path, value in values.items()}


def rhat_of(chains: Any) -> Any:
    """R-hat of each scalar of chains (C, draws, n): infinite where each chain stood still.

    That is its limit, and NaN where ArviZ runs with numba. Where all draws are equal it is NaN.
    """
    az = import_arviz()
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Many short chains look to it like an array whose axes were exchanged.
        warnings.filterwarnings("ignore", "More chains", UserWarning)
        found = az.rhat(az.convert_to_dataset({"z": chains}))["z"].values
    stood = np.isnan(found) & (np.ptp(chains, axis=(0, 1)) > 0)
    return np.where(stood, np.inf, found)


@share
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
