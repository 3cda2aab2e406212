"""The seed of an optimizer's noise, one for each variable and step."""

from __future__ import annotations

from typing import Any

from keras_priors import backend
from keras_priors.utils.export import share


@share
def optimizer_seed(words: Any, index: int, step: Any) -> Any:
    """A pair of words from those of the optimizer's seed, the number of a variable and of a step.

    Every backend carries `iterations` from step to step: noise that is a function of it needs no
    state of its own, and is none that JAX repeats.
    """
    return backend.seed_of_step(backend.fold_in(backend.as_seed(words), index), step)
