"""What is left of the normal score of gamma and beta variables."""

import functools
from typing import Any

import numpy as np

# From here on the fit holds; below, `gamma_tail` and `beta_tail` move up by as many ones.
LEAST = 6
# Beyond so many deviations a tail is 0 in float32.
_FAR = 6.0
FARTHEST = _FAR * (2.0 / LEAST) ** 0.5
"""Of root x scale."""
# Degrees in the deviation, the skewness and the variance, and of all three together.
_DEGREES, _TOTAL = (10, 4, 2), 12

ScoreTable = tuple[tuple[bool, tuple[tuple[float, ...], ...]], ...]


@functools.cache
def score_table() -> ScoreTable:
    """The coefficients of `beta_score`, fitted to SciPy's distribution functions once a process.

    By weighted least squares in Chebyshev polynomials, whose sum is then written in powers of
    root x scale, skewness and variance. Plain numbers: a compiler that reads the functions of a
    loop calls no SciPy.

    Returns:
        For each power of root x scale whether those of the skewness are odd, and for each power of
        the variance the coefficients of every second power of the skewness.
    """
    from numpy.polynomial import chebyshev
    from scipy.special import ndtr

    u = np.cos(np.pi * (np.arange(12) + 0.5) / 12)
    # 1 / sqrt(a) and 1 / sqrt(b) from (nearly) 0 to that of the least.
    inverse = (0.5 + 0.5 * u) / LEAST**0.5 + 1e-4
    alpha, beta, root = (
        each.ravel() for each in np.meshgrid(inverse, inverse, np.linspace(-_FAR, _FAR, 49))
    )
    score = _exact(alpha**-2.0, beta**-2.0, root)
    variance = alpha**2 + beta**2
    skewness, scale = (alpha**2 - beta**2) / variance, np.sqrt(variance)
    bounds = FARTHEST, 1.0, 2.0 / LEAST
    places = scale * root / bounds[0], skewness, 2.0 * variance / bounds[2] - 1.0
    by_axis = [chebyshev.chebvander(x, n) for x, n in zip(places, _DEGREES, strict=True)]
    # With a and b exchanged the logit changes its sign, so that half of all terms are 0.
    terms = [
        (i, j, k)
        for i, j, k in np.ndindex(*(degree + 1 for degree in _DEGREES))
        if (i + j) % 2 and i + j + 3 * k <= _TOTAL
    ]
    columns = np.stack(
        [by_axis[0][:, i] * by_axis[1][:, j] * by_axis[2][:, k] for i, j, k in terms]
    )
    # An error of the score is one of the probability by the density there.
    weight = scale * np.exp(-0.5 * score**2) + 1e-4
    within = np.isfinite(score) & (ndtr(-np.abs(score)) > 1e-11)
    weight, score = np.where(within, weight, 0.0), np.where(within, score, 0.0)
    found, *_ = np.linalg.lstsq((columns * weight).T, (score - root) / scale * weight)
    table = np.zeros([degree + 1 for degree in _DEGREES])
    table[tuple(np.transpose(terms))] = found
    # The same polynomial in powers.
    for axis, (slope, offset) in enumerate(
        ((1 / bounds[0], 0.0), (1.0, 0.0), (2 / bounds[2], -1.0))
    ):
        table = np.apply_along_axis(_in_powers, axis, table, slope, offset)
    return tuple(_nonzero(of_power, (power + 1) % 2) for power, of_power in enumerate(table))


def _nonzero(of_power: Any, first: int) -> tuple[bool, tuple[tuple[float, ...], ...]]:
    rows = of_power[first::2].T.tolist()
    return bool(first), tuple(tuple(row) for row in rows)


def _in_powers(coefficients: Any, slope: float, offset: float) -> Any:
    """Of sum_i c_i T_i(slope x + offset), the coefficients of x^i."""
    series = np.polynomial.Chebyshev(coefficients)
    powers = series(np.polynomial.Polynomial([offset, slope])).coef
    return np.pad(powers, (0, len(coefficients) - len(powers)))


def _exact(a: Any, b: Any, root: Any) -> Any:
    """Phi^-1 of SciPy's distribution function where the signed root is this."""
    from scipy.special import betainc, expit, ndtri

    n = a + b
    m, rest = a / n, b / n

    def excess(logit: Any) -> Any:
        far = np.log1p(m * np.expm1(logit)) - m * logit
        v, s = m * rest, rest - m
        near = v * logit**2 * (0.5 + s * logit / 6.0 + (1.0 - 6.0 * v) * logit**2 / 24.0)
        return n * np.where(np.abs(logit) < 1e-3, near, far)

    low, high = np.where(root < 0.0, -60.0, 0.0), np.where(root < 0.0, 0.0, 60.0)
    for _ in range(70):
        middle = 0.5 * (low + high)
        up = (excess(middle) < 0.5 * root**2) ^ (root < 0.0)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    logit = middle + np.log(a / b)
    below, above = betainc(a, b, expit(logit)), betainc(b, a, expit(-logit))
    return np.where(below < above, ndtri(below), -ndtri(above))
