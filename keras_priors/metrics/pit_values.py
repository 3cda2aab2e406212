"""Where in their predictive distributions targets lie."""

from typing import Any

from keras_priors.metrics.number_rows import pit_rows
from keras_priors.utils.export import export


@export()
def pit_values(y_true: Any, prediction: Any, *, seed: int = 0) -> Any:
    """Probability integral transform of each target: uniform on (0, 1) where predictions are right.

        F_i(y_i),    F_i(t) = mean_s P(y_i* <= t | f_is)

    A histogram that is high at both ends says that predictions are too sure, one with a hump that
    they are not sure enough, one that leans to a side that they are biased. Of counts a value is
    drawn uniformly between F(y - 1) and F(y), without which it could not be uniform.

    Exact of `Normal`, `HeteroscedasticNormal`, `Laplace` and `Poisson`; of others by 5000
    samples of y* with fixed seeds.

    Args:
        y_true: array (N, ...), the targets.
        prediction: `Predictive` with a likelihood of numbers, or a
            `calibration.RecalibratedPredictive`.
        seed: integer, for what is drawn of counts. Defaults to 0.

    Returns:
        float64 array (N, ...).

    Raises:
        TypeError: `predictive` is no `Predictive`.
        ValueError: shapes that do not match, NaN, or a `Predictive` of classes or without a
            likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.zeros((1, 2, 1)), kp.likelihoods.Normal(1.0))
        >>> [round(float(v), 4) for v in kp.metrics.pit_values([[0.0], [1.6449]], p)[:, 0]]
        [0.5, 0.95]

    References:
        - Gneiting, Balabdaoui and Raftery, 2007, Probabilistic forecasts, calibration and
          sharpness, section 3.1, Journal of the Royal Statistical Society B 69(2).
        - Czado, Gneiting and Held, 2009, Predictive model assessment for count data, section 2.1,
          Biometrics 65(4), for counts.
    """
    return pit_rows(y_true, prediction, seed)
