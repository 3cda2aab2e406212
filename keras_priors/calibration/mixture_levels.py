"""The distribution function of the mixture over draws, and its inverse, exact and far out.

A level is the standard normal quantile of a probability, z = Phi^-1(F(y)): that of a y thirty
standard deviations away is 30, where F(y) is 1 in float64. Of a normal it is (y - mean) / scale.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_priors import likelihoods
from keras_priors.calibration.rows_held_back import outputs_of
from keras_priors.predictive.by_rows import by_rows

# Of the steps of a search the first ones are chords, and the others halve the bracket, so that it
# ends. Draws that are a hundred million standard deviations apart were seen to take 52 chords.
_CHORDS, _STEPS = 100, 200
# In levels: a billionth of a standard deviation of a normal.
_TOLERANCE = 1e-9
# Above this probability the upper tail is asked for, below this one the logarithm.
_UPPER, _FAR = 0.99, 1e-280


def has_levels(likelihood: Any) -> bool:
    """Whether the distribution function is known: of the package's own likelihoods of numbers."""
    return type(likelihood) in _OF_LIKELIHOODS


def levels(predictive: Any, y: Any) -> Any:
    """Phi^-1 of mean_s F(y | f_s), of each target by itself.

    Args:
        predictive: `Predictive` whose likelihood `has_levels`.
        y: float64 array (N, ..., d).
    """

    def each(f: Any, rows: Any) -> Any:
        return _elements(predictive.likelihood, f).level(rows.ravel()).reshape(rows.shape)

    return by_rows(each, outputs_of(predictive), y, copies=4)


def at_levels(predictive: Any, z: Any) -> Any:
    """The y with these levels, (Q, N, ..., d); of counts the least y that reaches them.

    Args:
        predictive: `Predictive` whose likelihood `has_levels`.
        z: float64 array (Q, d), or (Q, 1) for all targets.
    """
    likelihood = predictive.likelihood
    invert = _first_reached if likelihood.is_discrete else _crossing
    count, width = len(z), outputs_of(predictive).shape[-1] // likelihood._outputs_per_target

    def each(f: Any) -> Any:
        elements = _elements(likelihood, f)
        rows = elements.size // width
        wanted = np.tile(np.broadcast_to(z, (count, width))[:, None], (1, rows, 1))
        # The quantile of a mixture lies between those of its components.
        ends = elements.at(wanted.reshape(count, 1, -1))
        low, high = ends.min(axis=1).ravel(), ends.max(axis=1).ravel()
        if len(f) > 1:
            low = invert(elements, low, high, wanted.ravel())
        return low.reshape(count, *f.shape[1:-1], width)

    return by_rows(each, outputs_of(predictive), copies=4 * count, axis=1)


def _crossing(elements: "_Elements", low: Any, high: Any, wanted: Any) -> Any:
    """Where the level is `wanted`, by the rule of Illinois.

    A level is nearly a line, so that few chords are needed but between draws that are far apart.
    What was found is asked for no more. The arrays are (Q M,): all M mixtures for each of Q levels.
    """
    found, left = np.array(low), np.arange(len(low))
    at_low, at_high = elements.level(low, left) - wanted, elements.level(high, left) - wanted
    before = np.full(low.shape, -1)
    for step in range(_STEPS):
        with np.errstate(invalid="ignore", divide="ignore"):
            y = (low * at_high - high * at_low) / (at_high - at_low)
        y = np.where((y > low) & (y < high) & (step < _CHORDS), y, 0.5 * (low + high))
        off = elements.level(y, left) - wanted
        found[left] = y
        narrow = high - low <= 4e-16 * np.maximum(np.abs(low), np.abs(high))
        more = ~((np.abs(off) <= _TOLERANCE) | narrow)
        if not more.any():
            break
        below = off < 0
        # An end that stays twice counts half: else it may stay for ever.
        half = np.where(below == before, 0.5, 1.0)
        at_low, at_high = np.where(below, off, half * at_low), np.where(below, half * at_high, off)
        low, high = np.where(below, y, low), np.where(below, high, y)
        now = low, high, at_low, at_high, wanted, left, below
        low, high, at_low, at_high, wanted, left, before = (each[more] for each in now)
    return found


def _first_reached(elements: "_Elements", low: Any, high: Any, wanted: Any) -> Any:
    """The least whole number whose level is at least `wanted`, by bisection."""
    low, all_of_them = low - 1.0, np.arange(len(low))
    while np.any(high - low > 1.0):
        middle = np.floor(0.5 * (low + high))
        reached = elements.level(middle, all_of_them) >= wanted
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high


class _Elements:
    """Mixtures of distributions of `scipy.stats`, M of them side by side.

    Args:
        name: str, the name there.
        *parameters: float64 arrays that broadcast to (S, ...).
    """

    def __init__(self, name: str, *parameters: Any) -> None:
        shape = np.broadcast_shapes(*(each.shape for each in parameters))
        self._name = name
        self._parameters = [np.broadcast_to(p, shape).reshape(shape[0], -1) for p in parameters]
        self.size = self._parameters[0].shape[1]

    def level(self, y: Any, which: Any = None) -> Any:
        """Phi^-1 F(y) of the mixtures with the indices `which` modulo M, or of all."""
        from scipy.special import ndtri, ndtri_exp

        p = self._parameters
        if which is not None:
            p = [each[:, which % self.size] for each in p]
        tail = self._each("cdf", p, y).mean(axis=0)
        with np.errstate(divide="ignore"):
            found = ndtri(tail)
            # By the upper tail where it is the small one, which has all its digits.
            upper = tail > _UPPER
            if upper.any():
                tail[upper] = self._each("sf", [each[:, upper] for each in p], y[upper]).mean(
                    axis=0
                )
                found[upper] = -ndtri(tail[upper])
            far = tail < _FAR
            if far.any():
                some = [each[:, far] for each in p]
                logs = (self._each(name, some, y[far]) for name in ("logcdf", "logsf"))
                below, above = (log_mean_exp(each) for each in logs)
                sign = np.where(below < above, 1.0, -1.0)
                found[far] = sign * ndtri_exp(np.minimum(below, above))
        return found

    def _each(self, function: str, p: list[Any], y: Any) -> Any:
        if self._name != "norm":
            from scipy import stats

            return getattr(getattr(stats, self._name)(*p), function)(y)
        from scipy import special

        # Without the checks of `scipy.stats`, which take longer than the function.
        z = (y - p[0]) / p[1]
        return (special.log_ndtr if function[:3] == "log" else special.ndtr)(
            z if function[-3:] == "cdf" else -z
        )

    def at(self, z: Any) -> Any:
        """The y of each component at levels that broadcast against (S, M)."""
        if self._name == "norm":
            return self._parameters[0] + self._parameters[1] * z
        from scipy import stats
        from scipy.special import ndtr

        frozen = getattr(stats, self._name)(*self._parameters)
        return np.where(z < 0, frozen.ppf(ndtr(z)), frozen.isf(ndtr(-z)))


def log_mean_exp(x: Any) -> Any:
    """log of the mean of exp(x) along the first axis."""
    peak = x.max(axis=0)
    # All are zero: -inf - -inf is not a number.
    safe = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        return safe + np.log(np.exp(x - safe).mean(axis=0))


def _elements(likelihood: Any, f: Any) -> _Elements:
    name, parameters = _OF_LIKELIHOODS[type(likelihood)]
    values = [keras.ops.convert_to_numpy(value) for value in parameters(likelihood, f)]
    return _Elements(name, *(np.asarray(value, "float64") for value in values))


def _negative_binomial(likelihood: Any, f: Any) -> tuple[Any, Any]:
    log_mean, dispersion = likelihood._log_mean_and_dispersion(likelihood._checked(f))
    return 1.0 / dispersion, 1.0 / (1.0 + keras.ops.exp(log_mean) * dispersion)


def _gamma(likelihood: Any, f: Any) -> tuple[Any, Any, Any]:
    log_mean, k = likelihood._log_mean_and_concentration(likelihood._checked(f))
    return k, 0.0, keras.ops.exp(log_mean) / k


def _log_normal(likelihood: Any, f: Any) -> tuple[Any, Any, Any]:
    log_median, scale = likelihood._location_and_scale(likelihood._checked(f))
    return scale, 0.0, keras.ops.exp(log_median)


def _weibull(likelihood: Any, f: Any) -> tuple[Any, Any, Any]:
    log_scale, k = likelihood._log_scale_and_concentration(likelihood._checked(f))
    return k, 0.0, keras.ops.exp(log_scale)


# By the class itself: a subclass may have another density.
_OF_LIKELIHOODS: dict[type, tuple[str, Callable[[Any, Any], Sequence[Any]]]] = {
    likelihoods.Normal: ("norm", lambda p, f: (p.mean(f), p.scale)),
    likelihoods.HeteroscedasticNormal: ("norm", lambda p, f: p._mean_and_scale(p._checked(f))),
    likelihoods.Laplace: ("laplace", lambda p, f: p._median_and_scale(p._checked(f))),
    likelihoods.StudentT: ("t", lambda p, f: (p.df, *p._centre_and_scale(p._checked(f)))),
    likelihoods.Beta: ("beta", lambda p, f: p._concentrations(p._checked(f))),
    likelihoods.Gamma: ("gamma", _gamma),
    likelihoods.LogNormal: ("lognorm", _log_normal),
    likelihoods.Weibull: ("weibull_min", _weibull),
    likelihoods.Poisson: ("poisson", lambda p, f: (p.mean(f),)),
    likelihoods.NegativeBinomial: ("nbinom", _negative_binomial),
}
