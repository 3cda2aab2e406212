"""Temperature scaling."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_priors.calibration.rows_held_back import (
    check_classes,
    check_fitted,
    kind_of,
    labels_of,
    outputs_of,
)
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.predictive.by_rows import by_rows
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export
from keras_priors.utils.warn import warn

_LEAST, _MOST = 0.01, 100.0
# Of "draws" the NLL need not have one valley: the search begins at the best of these.
_GRID = 17


@export()
class TemperatureScaling:
    """Class probabilities made sharper or flatter by one number, found on rows held back.

        of="mean":   p_T(c) = p(c)^(1/T) / sum_k p(k)^(1/T),   p = mean_s p(. | f_s)
        of="draws":  p_T(c) = mean_s softmax(f_s / T)_c
        T = argmin of -mean_i log p_T(y_i)         (nats)

    T > 1 where the predictions were too sure. For one draw both are the temperature scaling of Guo
    et al. For several, "mean" is "pool, then calibrate" of Rahaman and Thiery, who found it best:
    averaging makes probabilities flatter, so that members which were calibrated one by one are
    not sure enough together. "draws" does not do that either: its T, too, is the best one for the
    mean. With "mean" the NLL is convex in 1/T, the most probable class stays what it is, and the
    result is one distribution a row, whose `mutual_information` is 0. "draws" keeps the two parts
    of the uncertainty.

    Of `Bernoulli` with several outputs each label has its temperature. Steps of sequences, and
    pixels, are observations like rows.

    Args:
        of: "mean" or "draws", what is divided by T. Defaults to "mean".

    Attributes:
        temperature_: float, or array (d,) for d labels of `Bernoulli`; from 0.01 to 100.

    Raises:
        ValueError: another `of`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> sure = np.log([[[0.9, 0.1]] * 10])  # says 90% of ten rows, and 7 came true
        >>> predictive = kp.Predictive(sure, kp.likelihoods.Categorical())
        >>> scaling = kp.calibration.TemperatureScaling().fit(predictive, [0] * 7 + [1] * 3)
        >>> round(scaling.temperature_, 3)  # log 9 / log(7 / 3)
        2.593
        >>> scaling.transform(predictive).probabilities[0].round(3).tolist()
        [0.7, 0.3]

    References:
        - Guo et al., 2017, On calibration of modern neural networks, equation 9,
          arXiv:1706.04599.
        - Rahaman and Thiery, 2021, Uncertainty quantification and deep ensembles,
          arXiv:2007.08792.
    """

    def __init__(self, of: str = "mean") -> None:
        if of not in ("mean", "draws"):
            raise ValueError(f'`of` must be "mean" or "draws". Received: of={of!r}.')
        self.of = of
        self.temperature_: Any = None
        self._kind: Any = None

    def fit(self, predictive: Any, y: Any) -> TemperatureScaling:
        """Finds the temperature.

        Args:
            predictive: `Predictive` of classes for N rows that trained nothing.
            y: their classes, in the form in which a model is trained on them.

        Returns:
            Itself. Warns where the best temperature is a bound, or any is as good.

        Raises:
            TypeError: `predictive` is no `Predictive`.
            ValueError: no likelihood of classes, NaN, labels that are none or do not fit, an
                outcome that has the probability 0 at every temperature.
        """
        check_classes("TemperatureScaling", predictive)
        labels = labels_of("TemperatureScaling", predictive, y)
        draws = _log_probabilities(predictive, pooled=self.of == "mean")
        chosen = np.take_along_axis(draws, labels[None, ..., None], axis=-1)
        impossible = np.all(np.isneginf(chosen), axis=0)
        if impossible.any():
            raise ValueError(
                "What came true must have a probability above 0: one of 0 stays so at every "
                f"temperature. Received: {int(impossible.sum())} outcomes of probability 0, first "
                f"in row {int(np.argwhere(impossible)[0][0])}. Take IsotonicRegression, or look "
                "for logits of -inf."
            )
        units = draws.shape[-2]
        found = []
        for k in range(units):
            each = draws[..., k, :].reshape(len(draws), -1, draws.shape[-1])
            found.append(_temperature(each, labels[..., k].ravel()))
        right = np.exp(draws).mean(axis=0).argmax(axis=-1) == labels
        self._warn(found, [bool(right[..., k].all()) for k in range(units)])
        self.temperature_ = found[0] if units == 1 else np.array(found)
        self._kind = kind_of(predictive)
        return self

    def transform(self, predictive: Any) -> Predictive:
        """The probabilities at the temperature found.

        Args:
            predictive: `Predictive` of any rows, of the same classes.

        Returns:
            A `Predictive` of logits, with one draw for of="mean", else with as many as it had.
        """
        check_fitted("TemperatureScaling", self._kind)
        check_classes("TemperatureScaling", predictive)
        check_fitted("TemperatureScaling", self._kind, kind_of(predictive))
        logs = _log_probabilities(predictive, pooled=self.of == "mean")
        logs /= np.reshape(self.temperature_, (-1, 1))
        if isinstance(predictive.likelihood, Categorical):
            return Predictive(logs[..., 0, :], Categorical())
        logits = logs[..., 1] - logs[..., 0]
        return Predictive(logits.reshape(len(logs), *predictive.draws.shape[1:]), Bernoulli())

    def _warn(self, found: list[float], all_right: list[bool]) -> None:
        for k, temperature in enumerate(found):
            label = f" of label {k}" if len(found) > 1 else ""
            if temperature == _LEAST and not all_right[k]:
                why = (
                    "draws that disagree are not mended by a temperature of each: take "
                    'TemperatureScaling("mean")'
                    if self.of == "draws"
                    else "look whether the outputs are what the likelihood takes, logits or "
                    "probabilities"
                )
                warn(
                    f"The temperature{label} stopped at the bound {temperature:g}, with some of "
                    "the calibration rows mistaken: the predictive is not as sure as it could "
                    f"rightly be, and {why}."
                )
            elif temperature in (_LEAST, _MOST):
                why = (
                    "The calibration rows are predicted without a mistake, so that the surest "
                    "probabilities are the best"
                    if temperature == _LEAST
                    else "The predictions say nothing of the calibration rows, or the opposite "
                    "of what is true, so that even probabilities are the best"
                )
                warn(
                    f"The temperature{label} stopped at the bound {temperature:g}. {why}: give "
                    "more rows, which trained nothing, and look whether `y` is theirs."
                )


def _log_probabilities(predictive: Any, pooled: bool) -> Any:
    """log p of each draw, or of their mean: float64 (S or 1, N, ..., d, C)."""
    likelihood, outputs = predictive.likelihood, outputs_of(predictive)
    if not pooled:
        return _of_draws(likelihood, outputs)
    from scipy.special import logsumexp

    def pool(f: Any) -> Any:
        with np.errstate(divide="ignore"):
            return logsumexp(_of_draws(likelihood, f), axis=0) - np.log(len(f))

    return by_rows(pool, outputs, copies=2)[None]


def _of_draws(likelihood: Any, outputs: Any) -> Any:
    """log p of each class at each draw, d and C as in `class_probabilities`.

    In float64, where those of float32 outputs are no zeros; given probabilities are at least
    Keras' epsilon, as for the likelihood.
    """
    from scipy.special import log_expit, log_ndtr, log_softmax

    f = outputs.astype("float64")
    least = keras.config.epsilon()
    if isinstance(likelihood, Categorical):
        logs = log_softmax(f, axis=-1) if likelihood.from_logits else np.log(np.maximum(f, least))
        return logs[..., None, :]
    if likelihood.from_logits:
        log_p = log_ndtr if likelihood.link == "probit" else log_expit
        return np.stack([log_p(-f), log_p(f)], axis=-1)
    return np.log(np.maximum(np.stack([1.0 - f, f], axis=-1), least))


def _temperature(logs: Any, labels: Any) -> float:
    """The best temperature of log probabilities (S, M, C)."""
    return _of_convex(logs[0], labels) if len(logs) == 1 else _of_any(logs, labels)


def _of_convex(logs: Any, labels: Any) -> float:
    """Where the derivative of the NLL by 1/T is zero."""
    from scipy.optimize import brentq
    from scipy.special import softmax

    right = logs[np.arange(len(labels)), labels].mean()

    def slope(log_t: float) -> float:
        p = softmax(logs / np.exp(log_t), axis=-1)
        return float((p * np.where(p > 0, logs, 0.0)).sum(axis=-1).mean() - right)

    # Down with T: mean log p under p_T, less that of what came true.
    low, high = np.log(_LEAST), np.log(_MOST)
    at_low, at_high = slope(low), slope(high)
    if abs(at_low) < 1e-12 and abs(at_high) < 1e-12:
        return _indifferent()
    # Without a mistake it is 0 but for rounding.
    if at_low <= 1e-12:
        return _LEAST
    if at_high >= 0:
        return _MOST
    return float(np.exp(brentq(slope, low, high, xtol=1e-12)))


def _of_any(logs: Any, labels: Any) -> float:
    """The lowest of several valleys of the NLL, as far as a grid shows them."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, logsumexp

    at = np.arange(len(labels))

    def nll(log_t: float) -> float:
        def each(f: Any, which: Any) -> Any:
            scaled = log_softmax(f / np.exp(log_t), axis=-1)
            return logsumexp(scaled[:, at[: len(which)], which], axis=0)

        with np.errstate(divide="ignore"):
            return -float(by_rows(each, logs, labels, copies=2).mean() - np.log(len(logs)))

    grid = np.linspace(np.log(_LEAST), np.log(_MOST), _GRID)
    values = [nll(log_t) for log_t in grid]
    if np.ptp(values) < 1e-12:
        return _indifferent()
    best = int(np.argmin(values))
    bracket = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    found = minimize_scalar(nll, bounds=bracket, method="bounded", options={"xatol": 1e-9})
    for bound, value in ((_LEAST, values[0]), (_MOST, values[-1])):
        if value <= found.fun and np.log(bound) in bracket:
            return bound
    return float(np.exp(found.x))


def _indifferent() -> float:
    warn(
        "Every temperature is as good, because all probabilities are even: it stays 1. Look "
        "whether the model was trained."
    )
    return 1.0
