"""The warning for weights whose prior is flat because none was given."""

from __future__ import annotations

from typing import Any

from keras_priors.functional.positions import Positions
from keras_priors.utils.export import share
from keras_priors.utils.warn import warn


@share
def warn_flat(model: Any, positions: Positions) -> None:
    """Warn where weights have no prior."""
    flat = positions.without_prior()
    if flat:
        shown = ", ".join(flat[:5]) + (f" and {len(flat) - 5} more" if len(flat) > 5 else "")
        warn(
            f"A weight without a prior has a flat one: {shown} of {model.name}. If "
            "that is not meant, give them priors: "
            f'keras_priors.set_priors(model, {{"{flat[0]}": keras_priors.NormalPrior(0, 1)}}).',
        )
