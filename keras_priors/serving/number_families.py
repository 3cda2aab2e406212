"""What the quantiles of continuous distributions are found from, by likelihood."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_priors import likelihoods
from keras_priors.likelihoods.score_table import score_table
from keras_priors.likelihoods.special import at_most
from keras_priors.serving.beta_tail import beta_tail
from keras_priors.serving.gamma_tail import gamma_tail
from keras_priors.serving.normal_tail import normal_tail
from keras_priors.utils.parameters import constant


def _normal_upwards(z: Any, _: Any) -> Any:
    return normal_tail(z)


def _normal_level(_: Any, q: Any, dtype: Any) -> Any:
    from scipy.special import ndtri

    return constant(ndtri(q), dtype)


def _laplace_upwards(z: Any, _: Any) -> Any:
    tail = 0.5 * ops.exp(-ops.absolute(z))
    return ops.where(z > 0.0, tail, 1.0 - tail)


def _laplace_level(_: Any, q: Any, dtype: Any) -> Any:
    return constant(np.sign(q - 0.5) * -np.log(2.0 * np.minimum(q, 1.0 - q)), dtype)


def _gumbel_upwards(z: Any, sign: Any) -> Any:
    """Of the logarithm of an exponential variable, exp(-e^z) above z."""
    hazard = ops.exp(at_most(sign * z, 10.0))
    return ops.where(sign > 0.0, ops.exp(-hazard), -ops.expm1(-hazard))


def _gumbel_level(_: Any, q: Any, dtype: Any) -> Any:
    return constant(np.log(-np.log1p(-q)), dtype)


def _asymmetric_tail(quantile: Any, rest: Any) -> Callable[[Any, Any], Any]:
    """Above 0 a part 1 - quantile with the rate quantile; below 0 the other way round."""

    def upwards(z: Any, sign: Any) -> Any:
        # Seen in the direction of the tail.
        rate = ops.where(sign > 0.0, quantile, rest)
        other = ops.where(sign > 0.0, rest, quantile)
        above = other * ops.exp(-rate * ops.relu(z))
        below = 1.0 - rate * ops.exp(-other * ops.relu(-z))
        return ops.where(z > 0.0, above, below)

    return upwards


def _asymmetric_level(_: Any, q: Any, dtype: Any, quantile: Any, rest: Any) -> Any:
    below, above = constant(q, dtype), constant(1.0 - q, dtype)
    low = ops.log(below / quantile) / rest
    return ops.where(below > quantile, -ops.log(above / rest) / quantile, low)


def _student_tail(df: Any) -> Callable[[Any, Any], Any]:
    """(1 + z / (df + z^2)^(1/2)) / 2 is a beta variable, a = b = df / 2."""
    tail = beta_tail(0.5 * df, 0.5 * df, score_table())
    slope = ops.rsqrt(df)

    def upwards(z: Any, _: Any) -> Any:
        # Its logit 2 asinh(w), w of either sign, without a difference of nearly equal numbers.
        w = ops.absolute(z) * slope
        half = ops.log1p(w + w * (w / (1.0 + ops.sqrt(1.0 + w * w))))
        return tail(ops.where(z < 0.0, -2.0 * half, 2.0 * half), ops.ones_like(z))

    return upwards


def _student_level(likelihood: Any, q: Any, dtype: Any, _: Any) -> Any:
    from scipy.stats import t

    return constant(t.ppf(q, np.asarray(likelihood.df)), dtype)


def _signed(tail: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """From a tail above or below a point to one of z in the direction of the sign."""
    return lambda z, sign: tail(sign * z, sign)


def _gamma_ends(_: Any, q: Any, dtype: Any, k: Any) -> tuple[Any, Any]:
    """Bounds by Chernoff: beyond r, at most exp(-k (e^r - 1 - r)) of the logarithm of y / mean."""
    below = ops.sqrt(2.0 * constant(-np.log(q), dtype) / k)
    above = ops.sqrt(2.0 * constant(-np.log1p(-q), dtype) / k)
    return _below(below), ops.log1p(above + 0.5 * above * above)


def _beta_ends(_: Any, q: Any, dtype: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Bounds by Chernoff: at most exp(-(a + b) KL(m, p)) of y is beyond p, m the mean."""

    def least(tail: Any, a: Any, b: Any) -> Any:
        """Below the logit: KL is more than half of m s^2 at p = m (1 - s), and it is convex."""
        c = constant(-np.log(tail), dtype)
        s = ops.minimum(ops.sqrt(2.0 * c / a), 1.0 - 1e-4)
        near = ops.log1p(-s) - ops.log1p(s * a / b)
        far = -(c + (a + b) * ops.log1p(a / b)) / a
        return ops.log(a / b) + ops.where(2.0 * c / a < 0.9, ops.maximum(near, far), far)

    return least(q, a, b), -least(1.0 - q, b, a)


def _below(s: Any) -> Any:
    """r < 0 with e^r - 1 - r >= s^2 / 2."""
    near = ops.log1p(-ops.minimum(s, 0.9))
    far = -1.0 - 0.5 * s * s
    return ops.where(s < 0.9, ops.maximum(near, far), far)


def _log_weibull(likelihood: Any, draws: Any) -> tuple[Any, Any]:
    f, concentration = likelihood._log_scale_and_concentration(draws)
    return f, 1.0 / concentration


def _quantile_laplace(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    loc, scale = likelihood._location_and_scale(draws)
    # Both: 1 - 0.9 in float32 has lost a digit.
    quantile = np.asarray(likelihood.quantile)
    return loc, scale, constant(quantile, draws.dtype), constant(1.0 - quantile, draws.dtype)


def _components(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    """Each component of each draw as a draw, and what it weighs."""
    logits, loc, scale = likelihood._parts(draws)
    weights = ops.softmax(logits, axis=-1) / draws.shape[0]
    shape = (draws.shape[0] * likelihood.num_components, *ops.shape(loc)[1:-1])
    # The last axis by its number: ONNX has none below 0 here.
    last = len(loc.shape) - 1
    return tuple(ops.reshape(ops.moveaxis(v, last, 1), shape) for v in (loc, scale, weights))


def _student(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    loc, scale = likelihood._centre_and_scale(draws)
    return loc, scale, constant(likelihood.df, draws.dtype)


def _log_gamma(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    f, k = likelihood._log_mean_and_concentration(draws)
    return f, ops.ones_like(f), k


def _logit_beta(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    a, b = likelihood._concentrations(draws)
    return ops.zeros_like(a), ops.ones_like(a), a, b


def _logit_share(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    """Each share by itself is a beta variable."""
    c = likelihood._concentrations(draws)
    rest = ops.sum(c, axis=-1, keepdims=True) - c
    return ops.zeros_like(c), ops.ones_like(c), c, rest


@dataclasses.dataclass(frozen=True)
class _Family:
    """A standardized distribution by location and scale.

    parameters: (likelihood, draws) to location, scale, and what more shapes it.
    tail: from what more shapes it to (z, sign): P(Z > z) where the sign is 1, P(Z < -z) where it
        is -1.
    ends: (likelihood, q, dtype, what more shapes it) to its quantiles, or to a bound on each side.
    inverse: to y.
    limits: beyond, y of the inverse is at an end of what there is in float32; or None.
    weighs: whether the last parameter is the weight of each component.
    """

    parameters: Callable[..., tuple[Any, ...]]
    tail: Callable[..., Callable[[Any, Any], Any]] = lambda: _normal_upwards
    ends: Callable[..., Any] = _normal_level
    inverse: Callable[[Any], Any] = lambda y: y
    limits: tuple[float, float] | None = None
    weighs: bool = False


_OF_LOG = {"inverse": ops.exp, "limits": (-104.0, 89.0)}
_BETA = _Family(
    _logit_beta,
    lambda a, b: _signed(beta_tail(a, b, score_table())),
    _beta_ends,
    inverse=ops.sigmoid,
    limits=(-104.0, 20.0),
)
NUMBER_FAMILIES: dict[type, _Family] = {
    likelihoods.Normal: _Family(lambda p, f: (p.mean(f), constant(p.scale, f.dtype))),
    likelihoods.HeteroscedasticNormal: _Family(lambda p, f: p._mean_and_scale(f)),
    likelihoods.MultivariateNormal: _Family(lambda p, f: (p.mean(f), ops.sqrt(p.variance(f)))),
    likelihoods.NormalMixture: _Family(_components, weighs=True),
    likelihoods.LogNormal: _Family(lambda p, f: p._location_and_scale(f), **_OF_LOG),
    likelihoods.Laplace: _Family(
        lambda p, f: p._median_and_scale(f), lambda: _laplace_upwards, _laplace_level
    ),
    likelihoods.AsymmetricLaplace: _Family(_quantile_laplace, _asymmetric_tail, _asymmetric_level),
    likelihoods.StudentT: _Family(_student, _student_tail, _student_level),
    likelihoods.Weibull: _Family(_log_weibull, lambda: _gumbel_upwards, _gumbel_level, **_OF_LOG),
    likelihoods.Gamma: _Family(
        _log_gamma, lambda k: _signed(gamma_tail(k, score_table())), _gamma_ends, **_OF_LOG
    ),
    likelihoods.Beta: _BETA,
    likelihoods.Dirichlet: dataclasses.replace(_BETA, parameters=_logit_share),
}
"""By type, the families whose quantiles are found."""
