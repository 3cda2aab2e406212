"""The KL weight that `KLAnnealing` has given a model, for `BayesianMonitor` to know.

Reading the variable instead would force a synchronization of the state at every batch on JAX,
and would see the value of the batch before where `BayesianMonitor` comes first in the list.
"""

import weakref
from typing import Any

_weights: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


def set_annealed_weight(model: Any, weight: float | None) -> None:
    """Note the weight of the coming batches; None when annealing is over."""
    if weight is None:
        _weights.pop(model, None)
    else:
        _weights[model] = weight


def annealed_weight(model: Any) -> float | None:
    """The weight of the batch under way, or None where nothing is annealed."""
    return _weights.get(model)
