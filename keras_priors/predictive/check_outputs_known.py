"""A refusal of predictions that are no numbers."""

from typing import Any

import numpy as np

from keras_priors.utils.export import share


@share
def check_outputs_known(owner: str, predictive: Any) -> None:
    """Refuse NaN in the outputs: a comparison with NaN is False, a rank of NaN the last."""
    bad = np.isnan(predictive.draws)
    if bad.any():
        row = int(np.argwhere(bad)[0][1])
        raise ValueError(
            f"{owner} needs outputs that are numbers. Received: NaN in {int(bad.sum())} of "
            f"{bad.size} outputs, first in row {row}. Look for NaN in the inputs or the weights."
        )
