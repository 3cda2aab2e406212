"""What a file says of a Laplace approximation, checked against its model."""

from __future__ import annotations

from typing import Any

from keras_priors.functional.positions import Positions
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.saved_number import saved_number


def checked_config(
    config: dict[str, Any], positions: Positions, structures: tuple[str, ...]
) -> dict[str, Any]:
    """Arguments of `LaplacePosterior`, and `factor`."""
    found: dict[str, Any] = {}
    for name, allowed in (("structure", structures), ("layers", ("all", "last"))):
        found[name] = config.get(name)
        if found[name] not in allowed:
            raise ValueError(
                f"The entry {name!r} must be one of {allowed}. Received: {found[name]!r}."
            )
    for name in ("factor", "log_likelihood", "log_prior"):
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


def check_curvature(structure: str, arrays: SavedArrays, size: int) -> None:
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
