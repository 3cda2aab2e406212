"""Isotonic regression of class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.calibration.rows_held_back import (
    check_classes,
    check_fitted,
    class_probabilities,
    kind_of,
    labels_of,
)
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export
from keras_priors.utils.warn import warn


@export()
class IsotonicRegression:
    """Class probabilities sent through the rising step function that fits rows held back best.

        g_c = argmin over rising g of sum_i (g(p_ic) - [y_i = c])^2
        p'(c) = g_c(p(c)) / sum_k g_k(p(k))

    with p = mean_s p(. | f_s), each class against the rest; of `Bernoulli` one g for each label.
    Where every g_c is 0 all classes get 1 / C, as in scikit-learn, whose `IsotonicRegression` it
    is. It takes any shape where `TemperatureScaling` has one number, and wants some thousand rows
    for it. The order of classes in a row may change, probabilities become exactly 0 and 1, and
    the result is one distribution a row: its `mutual_information` is 0.

    Steps of sequences, and pixels, are observations like rows.

    Attributes:
        calibrators_: list with scikit-learn's `IsotonicRegression` of each class, or of each
            label of `Bernoulli`.

    Raises:
        ImportError: at `fit`, where scikit-learn is not installed.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> draws = np.repeat([0.2, 0.9], 10)[None, :, None]  # of each kind 10 rows, half are 1
        >>> predictive = kp.Predictive(draws, kp.likelihoods.Bernoulli(from_logits=False))
        >>> isotonic = kp.calibration.IsotonicRegression().fit(predictive, [0, 1] * 10)
        >>> isotonic.transform(predictive).probabilities[0].tolist()
        [0.5]

    References:
        - Zadrozny and Elkan, 2002, Transforming classifier scores into accurate multiclass
          probability estimates.
    """

    def __init__(self) -> None:
        self.calibrators_: list[Any] | None = None
        self._kind: Any = None

    def fit(self, predictive: Any, y: Any) -> IsotonicRegression:
        """Fits a function to each class.

        Args:
            predictive: `Predictive` of classes for N rows that trained nothing.
            y: their classes, in the form in which a model is trained on them.

        Returns:
            Itself. Warns of classes that no row has: their probability is 0 afterwards.

        Raises:
            ImportError: scikit-learn is not installed.
            TypeError: `predictive` is no `Predictive`.
            ValueError: no likelihood of classes, NaN, labels that are none or do not fit.
        """
        check_classes("IsotonicRegression", predictive, ordered=True)
        labels = labels_of("IsotonicRegression", predictive, y)
        of_one = _scikit_learn()
        each = _probabilities(predictive)
        hits = _hits(predictive, labels)
        never = np.flatnonzero(hits.sum(axis=0) == 0)
        if len(never):
            what = "labels" if isinstance(predictive.likelihood, Bernoulli) else "classes"
            warn(
                f"No calibration row has the {what} {never.tolist()}: their probability is 0 "
                "afterwards. Give rows of every class, or take TemperatureScaling."
            )
        self.calibrators_ = [
            of_one(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(each[:, c], hits[:, c])
            for c in range(each.shape[-1])
        ]
        self._kind = kind_of(predictive)
        return self

    def transform(self, predictive: Any) -> Predictive:
        """The probabilities that the functions give.

        Args:
            predictive: `Predictive` of any rows, of the same classes.

        Returns:
            A `Predictive` with one draw, whose outputs are the probabilities. In its `log_prob`
            they are at least Keras' epsilon, as for every likelihood with `from_logits=False`.
        """
        check_fitted("IsotonicRegression", self._kind)
        check_classes("IsotonicRegression", predictive, ordered=True)
        check_fitted("IsotonicRegression", self._kind, kind_of(predictive))
        each = _probabilities(predictive)
        assert self.calibrators_ is not None
        found = np.stack([g.predict(each[:, c]) for c, g in enumerate(self.calibrators_)], axis=-1)
        shape = predictive.draws.shape[1:]
        if isinstance(predictive.likelihood, Bernoulli):
            return Predictive(found.reshape(1, *shape), Bernoulli(from_logits=False))
        total = found.sum(axis=-1, keepdims=True)
        even = np.full_like(found, 1.0 / found.shape[-1])
        found = np.divide(found, total, out=even, where=total > 0)
        shape = (*shape[:-1], found.shape[-1])  # scores and gaps of `Ordinal` are not as many
        return Predictive(found.reshape(1, *shape), Categorical(from_logits=False))


def _probabilities(predictive: Any) -> Any:
    """(M, C) of the classes, or (M, d) of a one for each label."""
    p = class_probabilities(predictive)
    p = p[..., 1] if isinstance(predictive.likelihood, Bernoulli) else p[..., 0, :]
    return p.reshape(-1, p.shape[-1])


def _hits(predictive: Any, labels: Any) -> Any:
    """1 where the outcome is that of the column of `_probabilities`, else 0."""
    labels = labels.reshape(-1, labels.shape[-1])
    if not isinstance(predictive.likelihood, Bernoulli):
        labels = labels == np.arange(predictive.probabilities.shape[-1])
    return labels.astype("float64")


def _scikit_learn() -> Any:
    try:
        from sklearn.isotonic import IsotonicRegression as OfOne
    except ImportError as error:
        raise ImportError(
            "IsotonicRegression is scikit-learn's. Received: no module named sklearn. Install it: "
            'pip install "keras-priors[calibration]", or take TemperatureScaling.'
        ) from error
    return OfOne
