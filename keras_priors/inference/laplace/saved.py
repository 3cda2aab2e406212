"""A Laplace approximation in a file: what is written, and checked against the model when read."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.approximate import Approximation, Settings
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import last_layer_weights
from keras_priors.inference.laplace.low_rank_precision import LowRankPrecision
from keras_priors.inference.laplace.precision import (
    DiagonalPrecision,
    FullPrecision,
    KroneckerPrecision,
    Precision,
)
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.saved_number import saved_number

_PRECISIONS: dict[str, type[Precision]] = {
    "full": FullPrecision,
    "diagonal": DiagonalPrecision,
    "kronecker": KroneckerPrecision,
    "low_rank": LowRankPrecision,
}


def state_of(found: Approximation, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """(a config for JSON, arrays by name)."""
    config = {
        **dataclasses.asdict(settings),
        "factor": found.precision.factor,
        "log_likelihood": found.log_likelihood,
        "log_prior": found.log_prior,
        "residuals": found.residuals,
        "normal_priors": {
            path: [where.start, where.stop, *rest]
            for path, (where, *rest) in found.normal_priors.items()
        },
    }
    arrays = {f"curvature_{name}": v for name, v in found.precision.arrays().items()}
    arrays |= {"mode": found.mode, "prior": found.precision.prior}
    return config, arrays if found.slopes is None else {**arrays, "slopes": found.slopes}


def from_state(
    model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
) -> tuple[Approximation, Settings]:
    """What `state_of` described, in a file that may be damaged."""
    positions = Positions(model)
    checked = _checked_config(config, positions, tuple(_PRECISIONS))
    names = [field.name for field in dataclasses.fields(Settings)]
    settings = Settings(**{name: checked.pop(name) for name in names})
    moved = last_layer_weights(model, positions) if settings.layers == "last" else None
    rows = LaplaceRows(model, positions, likelihood, moved=moved)
    size, make, factor = rows.size, _PRECISIONS[settings.structure], checked.pop("factor")
    prior = arrays["prior"]
    arrays.of_shape("prior", (size, size) if make is FullPrecision and prior.ndim == 2 else (size,))
    _check_curvature(settings.structure, arrays, size)
    kept = {k[10:]: v for k, v in arrays.items() if k.startswith("curvature_")}
    # A file of version 0.1 has no slopes.
    slopes = arrays.of_shape("slopes", (2, size)) if "slopes" in arrays else None
    mode = arrays.of_shape("mode", (positions.size,))
    precision = make.from_arrays(kept, prior, factor)
    found = Approximation(mode, precision, slopes=slopes, noise=rows.noise, **checked)
    return found, settings


def _checked_config(
    config: dict[str, Any], positions: Positions, structures: tuple[str, ...]
) -> dict[str, Any]:
    """The settings and numbers of a Laplace approximation."""
    found: dict[str, Any] = {}
    choices = (
        ("structure", structures),
        ("layers", ("all", "last")),
        ("curvature", ("ggn", "fisher", "hessian")),
    )
    # A file of version 0.1 does not say the curvature and what is after it.
    config = {"curvature": "ggn", "tolerance": 1.0, "rank": 50, **config}
    for name, allowed in choices:
        found[name] = config.get(name)
        if found[name] not in allowed:
            raise ValueError(
                f"The entry {name!r} must be one of {allowed}. Received: {found[name]!r}."
            )
    for name in ("factor", "log_likelihood", "log_prior", "tolerance", "rank"):
        found[name] = saved_number(config, name)
    residuals = config.get("residuals")
    if residuals is not None:
        residuals = _numbers("residuals", residuals, 2)
    normal_priors = {}
    entries = config.get("normal_priors")
    if not isinstance(entries, dict):
        raise ValueError(f"The entry 'normal_priors' must be a mapping. Received: {entries!r}.")
    for path, entry in entries.items():
        low, high, *rest = _numbers(f"normal_priors/{path}", entry, 5)
        if path not in positions.paths or not 0 <= low < high <= positions.size:
            raise ValueError(
                f"The entry 'normal_priors/{path}' must name one of {list(positions.paths)} and "
                f"its place among {positions.size} weights. Received: {low} to {high}."
            )
        normal_priors[path] = (slice(int(low), int(high)), *rest)
    return {**found, "residuals": residuals, "normal_priors": normal_priors}


def _check_curvature(structure: str, arrays: SavedArrays, size: int) -> None:
    """Refuses arrays that are not the curvature of `size` weights."""
    if structure == "full":
        arrays.of_shape("curvature_matrix", (size, size))
    elif structure == "diagonal":
        arrays.of_shape("curvature_diagonal", (size,))
    elif structure == "low_rank":
        rank = arrays.of_shape("curvature_vectors", (size, None)).shape[1]
        arrays.of_shape("curvature_values", (rank,))
    else:
        _check_blocks(arrays, size)


def _check_blocks(arrays: SavedArrays, size: int) -> None:
    """Kronecker blocks, or diagonals, follow each other from 0 to `size`."""
    lead, starts, reached = "curvature_left_", [], 0
    while reached < size:
        starts.append(f"{lead}{reached}")
        left = arrays[starts[-1]]
        right = arrays.get(f"curvature_right_{reached}")
        inputs, units = (left.shape or (0,))[0], 1
        arrays.of_shape(starts[-1], (inputs,) if right is None else (inputs, inputs))
        if right is not None:
            units = (right.shape or (0,))[0]
            arrays.of_shape(f"curvature_right_{reached}", (units, units))
        if not 0 < inputs * units <= size - reached:
            raise ValueError(
                f"The entry {starts[-1]!r} must be that of at most {size - reached} weights. "
                f"Received: {inputs * units}."
            )
        reached += inputs * units
    others = [name for name in arrays if name.startswith(lead) and name not in starts]
    if others:
        raise ValueError(f"The blocks must be {starts}. Received: also {others}.")


def _numbers(name: str, values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"The entry {name!r} must hold {count} numbers. Received: {values!r}.")
    return [saved_number({name: value}, name) for value in values]
