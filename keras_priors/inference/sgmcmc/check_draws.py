"""Whether the draws of a normal along a trajectory still explain the data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.functional.pure_outputs import PureOutputs
from keras_priors.utils.export import share

# Draws and rows that are looked at, and nats of one number that draws may be worse. A Normal whose
# squared errors have grown to seven times their size has lost 3; classes that are guessed have lost
# at most the logarithm of their number.
_DRAWS, _ROWS, _MARGIN = 8, 1024, 3.0


@share
def check_draws(
    posterior: Any, likelihoods: Likelihoods, observations: Observations, advice: str
) -> None:
    """Refuses a posterior whose draws explain the data absurdly worse than the model as it is.

        mean over draws of (1 / M) sum_i log p(y_i | x_i, w) < that of the model's weights - 3 nats

    over up to 1024 rows with M numbers: a row has one for each element of its target, or a class.

    Args:
        posterior: a posterior with draws on demand.
        likelihoods: those of its model.
        observations: the data.
        advice: what to do, the end of the error.
    """
    model, targets = posterior.model, posterior._targets
    backend.sync_variables(model)
    outputs_of = PureOutputs(model, targets)
    counted = np.flatnonzero(observations.weight > 0)
    rows = np.sort(np.random.default_rng(0).permutation(counted)[:_ROWS])
    if not len(rows):
        return
    start = [ops.convert_to_numpy(ops.convert_to_tensor(v)) for v in targets]
    draws = [ops.convert_to_numpy(v) for v in posterior._values(posterior._handles(_DRAWS, 0))]
    values = [np.concatenate([a[None], b]) for a, b in zip(start, draws, strict=True)]

    def densities(values: Any, fixed: Any, batch: Any) -> Any:
        x, y, weight = batch

        def one(values: Any) -> Any:
            outputs = outputs_of(values, fixed, x)
            total = likelihoods.log_likelihood(y, outputs, weight)
            return total, likelihoods.number_of(y, outputs, weight)

        return backend.map_draws(one, values)

    tensors = keras.tree.map_structure(ops.convert_to_tensor, values)
    batch = observations.batch(rows)
    total, number = backend.compile_function(densities)(tensors, outputs_of.fixed(), batch)
    total, number = (ops.convert_to_numpy(v).astype("float64") for v in (total, number))
    each = total / np.maximum(number, 1e-30)
    first, mean = float(each[0]), float(np.mean(each[1:]))
    if np.isfinite(first) and not mean >= first - _MARGIN:
        raise ValueError(
            "The draws of SWAG must explain the data about as well as the weights around which "
            f"they lie. Received: a mean log likelihood of {mean:.4g} nats a number, in {_DRAWS} "
            f"draws, where {model.name} itself has {first:.4g}; {_MARGIN:g} nats less are refused. "
            f"{advice}"
        )
