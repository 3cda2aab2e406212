"""TensorFlow and JAX: minimization of pure functions."""

from collections.abc import Callable
from typing import Any

from keras_priors.backend.tfp.library import probability


def minimize(
    value_and_gradient: Callable[[Any], Any], start: Any, iterations: int, tolerance: float
) -> tuple[Any, Any, Any]:
    found = probability().optimizer.lbfgs_minimize(
        value_and_gradient,
        initial_position=start,
        num_correction_pairs=20,
        tolerance=tolerance,
        max_iterations=iterations,
        max_line_search_iterations=50,
    )
    return found.position, found.objective_value, found.converged
