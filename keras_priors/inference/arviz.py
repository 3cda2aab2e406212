"""All that is asked of ArviZ, imported where it is used: of 0.x and of 1.x.

ArviZ 1 keeps groups in an `xarray.DataTree`, whose variables have no slash in their names, names
the columns of a summary otherwise, and has no WAIC. What differs stands here and nowhere else.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.models.sample_prior import sample_prior

# Stands for the slash of a path where ArviZ makes a table: the character "division slash".
_SLASH = "\u2215"
# Of more scalars, so many evenly spaced ones are looked at: a millisecond each, of 4 x 125 draws.
_MOST_SCALARS = 100


def to_arviz(
    posterior: Any,
    num_samples: int | None,
    num_prior_samples: int,
    seed: Any,
    x: Any,
    y: Any,
    separator: str,
) -> Any:
    """`arviz.InferenceData`, or from ArviZ 1 on `xarray.DataTree`; see `Posterior.to_arviz`."""
    az = import_arviz()
    if "/" in separator and _has_trees(az):
        raise ValueError(
            "`separator` must have no slash with ArviZ 1 and newer, whose xarray.DataTree takes no "
            f"variable with one in its name. Received: separator={separator!r}, with ArviZ "
            f"{az.__version__}. Leave it out, or take the names of `draws()`."
        )
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
    return _of_groups(groups)


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
    wide = {path.replace("/", _SLASH): v.astype("float64") for path, v in chains.items()}
    if posterior.default_num_samples == 1:
        # A point, twice: ArviZ then finds that it has no spread, where one draw would have none.
        wide = {path: np.repeat(value, 2, axis=1) for path, value in wide.items()}
    several = next(iter(chains.values())).shape[0] > 1
    options: dict[str, Any] = {"kind": "all" if several else "stats", "round_to": "none"}
    options |= {"ci_kind": "hdi", "ci_prob": coverage} if _has_trees(az) else {"hdi_prob": coverage}
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that stood still
        table = az.summary(_dataset(wide), **options)
    # As ArviZ 0.x has them, under each version.
    tail = 50.0 * (1.0 - coverage)
    low, high = f"hdi_{tail:g}%", f"hdi_{100.0 - tail:g}%"
    table = table.rename(columns=dict(zip(table.columns[2:4], (low, high), strict=True)))
    columns = ["mean", "sd", low, high]
    if several:
        columns += ["mcse_mean", "mcse_sd", "ess_bulk", "ess_tail", "r_hat"]
    return table[columns].rename(index=lambda name: name.replace(_SLASH, "/"))


def _renamed(values: dict[str, Any], separator: str) -> dict[str, Any]:
    return {path.replace("/", separator): value for path, value in values.items()}


def mixing_of(chains: Any) -> dict[str, float]:
    """The largest R-hat and the smallest bulk ESS over the scalars of chains (C, draws, ...).

    By ArviZ, of ranks that have been made normal (Vehtari et al., 2021, arXiv:1903.08008).

    Args:
        chains: array (C, draws, ...).

    Returns:
        A dict with "r_hat" where there are two chains and more, infinite where each stood still,
        and "ess_bulk". Scalars that are equal in all draws, or not finite in some, are left out;
        where none is left, or with fewer than four draws a chain, it is empty.

    Raises:
        ImportError: without ArviZ.
    """
    number, draws = np.shape(chains)[:2]
    if draws < 4:
        return {}
    flat = np.reshape(chains, (number, draws, -1)).astype("float64")
    flat = flat[:, :, np.isfinite(flat).all(axis=(0, 1))]
    flat = flat[:, :, np.ptp(flat, axis=(0, 1)) > 0]
    size = flat.shape[-1]
    if size == 0:
        return {}
    picked = np.unique(np.linspace(0, size - 1, min(size, _MOST_SCALARS)).astype(int))
    found = {}
    if number > 1:
        found["r_hat"] = float(np.max(rhat_of(flat[:, :, picked])))
    found["ess_bulk"] = float(np.nanmin(ess_of(flat[:, :, picked])))
    return found


def rhat_of(chains: Any) -> Any:
    """R-hat of each scalar of chains (C, draws, n): infinite where each chain stood still.

    That is its limit, and NaN where ArviZ runs with numba. Where all draws are equal it is NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = import_arviz().rhat(_dataset({"z": chains}))["z"].values
    stood = np.isnan(found) & (np.ptp(chains, axis=(0, 1)) > 0)
    return np.where(stood, np.inf, found)


def ess_of(chains: Any) -> Any:
    """The bulk effective sample size of each scalar of chains (C, draws, n), of all together."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return import_arviz().ess(_dataset({"z": chains}), method="bulk")["z"].values


def leave_one_out(chains: dict[str, Any], log_likelihood: Any) -> tuple[Any, Any]:
    """(elpd in nats, Pareto k), each (N, ...), by Pareto-smoothed importance sampling.

    Args:
        chains: arrays (chains, draws, ...) by path, whose autocorrelation tells how many
            independent draws they are.
        log_likelihood: array (chains, draws, N, ...) in nats.
    """
    shape = log_likelihood.shape[2:]
    flat = np.asarray(log_likelihood, "float64").reshape(*log_likelihood.shape[:2], -1)
    # Of a density that is the same at all draws ArviZ 0.x has k = inf, and 1.x an error.
    elpd, pareto_k = flat[0, 0].copy(), np.full(flat.shape[2:], np.inf)
    moved = np.ptp(flat, axis=(0, 1)) > 0
    if moved.any():
        groups = {"posterior": _renamed(chains, "."), "log_likelihood": {"y": flat[:, :, moved]}}
        elpd[moved], pareto_k[moved] = _by_arviz(groups)
    # NaN in ArviZ 1, where one draw has all the weight.
    pareto_k[np.isnan(pareto_k)] = np.inf
    return elpd.reshape(shape), pareto_k.reshape(shape)


def _by_arviz(groups: dict[str, Any]) -> tuple[Any, Any]:
    az = import_arviz()
    with warnings.catch_warnings():
        # Of single large weights, which the caller counts.
        warnings.simplefilter("ignore", UserWarning)
        try:
            found = az.loo(_of_groups(groups), pointwise=True)
        except ValueError as error:
            if "tail values are the same" not in str(error):
                raise
            return np.nan, np.inf  # the same again, of the draws that weigh most
    elpd = found.elpd_i if _has_trees(az) else found.loo_i
    return np.asarray(elpd), np.asarray(found.pareto_k)


def _of_groups(groups: dict[str, Any]) -> Any:
    """ArviZ' data of arrays by group and name."""
    az = import_arviz()
    return az.from_dict(groups) if _has_trees(az) else az.from_dict(**groups)


def _dataset(values: dict[str, Any]) -> Any:
    """The `xarray.Dataset` of arrays (chains, draws, ...) by name."""
    with warnings.catch_warnings():
        # Many short chains look to it like an array whose axes were exchanged.
        warnings.filterwarnings("ignore", "More chains|Found chain dimension", UserWarning)
        return import_arviz().convert_to_dataset(values)


def _has_trees(az: Any) -> bool:
    """Whether it is ArviZ 1 or newer."""
    return int(az.__version__.partition(".")[0]) >= 1


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
