"""Draws that other libraries made, in the form in which posteriors keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.count_observations import is_a
from keras_priors.functional.positions import Positions
from keras_priors.inference.weights_at import weights_at


def given_draws(positions: Positions, draws: Any, unconstrained: bool) -> list[Any]:
    """Arrays (chains, draws, ...) of the weights; see `SamplePosterior.from_draws`."""
    if is_a(draws, "xarray.", "DataTree"):  # a whole one, or the group of the posterior
        draws = (draws["posterior"] if "posterior" in draws.children else draws).to_dataset()
    if is_a(draws, "arviz.", "InferenceData"):
        draws = draws["posterior"]
    if is_a(draws, "xarray.", "Dataset") or is_a(draws, "xarray.", "DatasetView"):
        draws = {str(name): draws[name].values for name in draws.data_vars}
    if isinstance(draws, Mapping):
        number = len(positions.paths) if unconstrained else positions.shown
        parts = _by_path(positions, draws, number)
        if not unconstrained:
            _check_inside(positions, parts)
            return parts
        flat = [part.reshape(*part.shape[:2], -1) for part in parts]
        z = np.concatenate(flat, axis=-1)
    else:
        z = _array("draws", draws)
        z = z[None] if z.ndim == 2 else z
        if z.ndim != 3 or z.shape[-1] != positions.size or 0 in z.shape:
            raise ValueError(
                f"Draws of the vector z must have the shape (chains, draws, {positions.size}) or "
                f"(draws, {positions.size}). Received: shape {z.shape}. Draws of single weights "
                "go in a mapping from path to array."
            )
    return weights_at(positions, z)


def _by_path(positions: Positions, draws: Mapping[str, Any], number: int) -> list[Any]:
    """Those of the first so many weights."""
    paths = positions.paths[:number]
    # ArviZ' names may stand for paths with another separator than "/".
    known = {path: path for path in positions.paths}
    known |= {name: path for path in positions.paths for name in _other_names(path)}
    found: dict[str, Any] = {}
    for name, value in draws.items():
        if name in known:
            found[known[name]] = _array(name, value)
    missing = [path for path in paths if path not in found]
    if missing:
        raise ValueError(
            f"There must be draws of every weight. Received: none of {missing}, in a mapping with "
            f"{list(draws)}. Give arrays (chains, draws, ...) by path, as "
            "keras_priors.get_priors(model) lists them."
        )
    values = []
    for path, shape in zip(paths, positions.shapes, strict=False):
        value = found[path]
        value = value[None] if value.ndim == len(shape) + 1 else value
        if value.ndim != len(shape) + 2 or value.shape[2:] != shape:
            raise ValueError(
                f"Draws of {path} must have the shape (chains, draws, *{shape}), or without the "
                f"chains. Received: shape {found[path].shape}."
            )
        values.append(value)
    numbers = {value.shape[:2] for value in values}
    if len(numbers) > 1 or 0 in next(iter(numbers)):
        raise ValueError(
            "All weights must have the same chains and draws, at least one of each. Received: "
            f"{sorted(numbers)}."
        )
    return values


def _other_names(path: str) -> tuple[str, ...]:
    return tuple(path.replace("/", separator) for separator in ("_", "."))


def _array(name: str, value: Any) -> Any:
    value = ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else np.asarray(value)
    if value.dtype.kind not in "fiu" or not np.all(np.isfinite(value)):
        raise ValueError(
            f"Draws must be finite numbers. Received: {name} of dtype {value.dtype}, with NaN or "
            "infinity, or no numbers. Leave out what diverged."
        )
    return value.astype("float32")


def _check_inside(positions: Positions, values: list[Any]) -> None:
    for path, prior, value in zip(positions.paths, positions.priors, values, strict=False):
        if prior is None:
            continue
        low, high = (np.asarray(bound, "float32") for bound in prior.support)
        if np.any(value < low) or np.any(value > high):
            raise ValueError(
                f"Draws of {path} must lie inside the support of {prior!r}. Received: values from "
                f"{value.min():.4g} to {value.max():.4g}. Of draws without bounds say "
                "unconstrained=True."
            )
