"""The score above which a row is taken for one from elsewhere."""

import math
from typing import Any

import keras
import numpy as np

from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between


@export("keras_priors")
def ood_threshold(scores: Any, false_positive_rate: float = 0.05) -> float:
    """The score that a new row of the same data exceeds with this probability at most.

        the k-th smallest of the n scores,   k = ceil((n + 1) (1 - false_positive_rate))

    so that P(score of a new row > threshold) <= `false_positive_rate`, whatever the scores are, as
    long as the new row comes from where these come from: rows that the model was not trained on.

    Args:
        scores: array of n numbers, such as `keras_priors.ood_score` of rows held back.
        false_positive_rate: float between 0 and 1. Defaults to 0.05.

    Returns:
        The threshold, a float; rows with `scores > threshold` are flagged.

    Raises:
        ValueError: NaN, no score, or fewer scores than 1 / `false_positive_rate` - 1, which have no
            such threshold.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> kp.ood_threshold(np.arange(1.0, 20.0), 0.1)   # 18 of 19
        18.0

    References:
        - Vovk, Gammerman and Shafer, 2005, Algorithmic learning in a random world, section 2.2.
    """
    rate = number_between("ood_threshold", "false_positive_rate", false_positive_rate, 0.0, 1.0)
    array = keras.ops.convert_to_numpy(scores) if keras.ops.is_tensor(scores) else scores
    array = np.sort(np.asarray(array, "float64"), axis=None)
    if array.size == 0 or np.isnan(array).any():
        raise ValueError(
            "`scores` must hold one number at least and no NaN. Received: "
            f"{array.size} numbers, {int(np.isnan(array).sum())} of them NaN."
        )
    # Less a rounding: 20 * 0.95 is a little more than 19.
    k = math.ceil((array.size + 1) * (1.0 - rate) - 1e-9)
    if k > array.size:
        raise ValueError(
            f"A false-positive rate of {rate:g} needs {math.ceil(1.0 / rate - 1.0 - 1e-9)} scores "
            f"or more. Received: {array.size}. Hold back more rows, or allow a higher rate."
        )
    return float(array[k - 1])
