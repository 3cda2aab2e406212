"""The warnings for a prior or a layer that trains without `num_data`, or with one in doubt."""

import warnings
from typing import Any


def warn_unset(name: str) -> None:
    """Warn that the weight of the prior against the data is not known.

    Neither a regularizer nor a layer is told which model trains it, nor whether anyone trains it:
    the penalty itself warns, wherever it is asked for in a loss. Its words are the same for all
    weights, so that Python shows it once.
    """
    warnings.warn(
        f"num_data was never given for {name}: the prior is weighed as if the data were one "
        "observation, and will dominate. Before `fit`, write "
        "`keras_priors.set_num_data(model, x_train)`.",
        UserWarning,
        stacklevel=3,
    )


def unset_names(model: Any) -> list[str]:
    """Paths of the trained weights whose prior or posterior has no `num_data`."""
    # Anything that has a `num_data` of None counts: a prior, or the KL of a layer.
    return [
        variable.path
        for variable in model.trainable_weights
        if getattr(variable.regularizer, "num_data", 1) is None
    ]


def check_in_loss(owner: Any) -> None:
    """Have a `num_data` judged that could not be when it was set; once.

    What the loss averages over is known when the model is built and compiled, which may be after
    `set_num_data`: the penalty is what both fits and loops of one's own come by.
    """
    check, owner._num_data_check = owner._num_data_check, None
    if check is not None:
        check()
