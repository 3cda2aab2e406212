"""Whether `num_data` agrees with what `fit` showed the model in an epoch."""

import warnings
from typing import Any

import numpy as np

from keras_priors.callbacks.output_shapes import output_shapes
from keras_priors.callbacks.penalties import Penalty


def check_num_data(model: Any, items: list[Penalty], samples: int) -> None:
    """Warn where the samples of the first epoch differ from `num_data`."""
    given = {item.regularizer.num_data for item in items if item.kind != "other"} - {None}
    most = samples * _steps(model)
    # With a time axis an observation is a step, and a mask hides some: anything in between.
    wrong = sorted(value for value in given if not samples <= value <= most)
    if not wrong:
        return
    seen = f"{samples} samples"
    if most > samples:
        seen += " with a time axis" + (f", {most:.0f} steps" if most < np.inf else "")
    warnings.warn(
        f"num_data is {', '.join(map(str, wrong))}, but the first epoch over {model.name} had "
        f"{seen}: the prior is {'too weak' if wrong[-1] > most else 'too strong'}. Write "
        f"`keras_priors.set_num_data({model.name}, {samples})` before `fit`. If an epoch is not "
        "one pass over the data (`steps_per_epoch`), or an observation not a sample, and num_data "
        "is right: BayesianMonitor(check_num_data=False).",
        UserWarning,
        stacklevel=2,
    )


def _steps(model: Any) -> float:
    """The most observations that a loss can see in one sample: 1 without a time axis."""
    shapes = output_shapes(model)
    if shapes is None:
        return np.inf
    axes = [shape[1:-1] for shape in (shapes.values() if isinstance(shapes, dict) else shapes)]
    known = [[np.inf if size is None else float(size) for size in inner] for inner in axes]
    return max((float(np.prod(inner)) for inner in known), default=1.0)
