"""What is left of the normal score of gamma and beta variables."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_priors.utils.export import share

# Beyond so many deviations a tail is 0 in float32.
_FAR = 6.0


@share
@dataclass(frozen=True)
class ScoreTable:
    """Coefficients of `beta_score`.

    least: the least shape for which they hold.
    farthest: of root x scale, the largest size for which they do.
    powers: for each power of root x scale whether those of the skewness are odd, and for each power
        of the variance the coefficients of every second power of the skewness.
    """

    least: int
    farthest: float
    powers: tuple[tuple[bool, tuple[tuple[float, ...], ...]], ...]


@share
@functools.cache
def score_table(gamma: bool = False) -> ScoreTable:
    """The coefficients of `beta_score`, fitted to SciPy's distribution functions once a process.

    By weighted least squares in Chebyshev polynomials, whose sum is then written in powers of
    root x scale, skewness and variance. Plain numbers: a compiler that reads the functions of a
    loop calls no SciPy.

    Args:
        gamma: of gamma variables alone, to 1e-11 in the score, and no longer of beta variables too,
            to 8e-8 in the probability.
    """
    from numpy.polynomial import chebyshev
    from scipy.special import ndtr

    least, degrees, total = (8, (14, 0, 4), 26) if gamma else (6, (10, 4, 2), 12)
    u = np.cos(np.pi * (np.arange(14) + 0.5) / 14)
    # 1 / sqrt(a) and 1 / sqrt(b) from (nearly) 0 to that of the least.
    inverse = (0.5 + 0.5 * u) / least**0.5 + 1e-4
    others = np.zeros(1) if gamma else inverse
    # Roots lie as a polynomial of their degree wants them.
    roots = _FAR * np.cos(np.pi * (np.arange(60) + 0.5) / 60)
    alpha, beta, root = (each.ravel() for each in np.meshgrid(inverse, others, roots))
    score = _of_gamma(alpha**-2.0, root) if gamma else _of_beta(alpha**-2.0, beta**-2.0, root)
    variance = alpha**2 + beta**2
    skewness, scale = (alpha**2 - beta**2) / variance, np.sqrt(variance)
    most = (1.0 if gamma else 2.0) / least
    bounds = _FAR * most**0.5, 1.0, most
    places = scale * root / bounds[0], skewness, 2.0 * variance / bounds[2] - 1.0
    by_axis = [chebyshev.chebvander(x, n) for x, n in zip(places, degrees, strict=True)]
    # With a and b exchanged the logit changes its sign, so that half of all terms are 0.
    terms = [
        (i, j, k)
        for i, j, k in np.ndindex(*(degree + 1 for degree in degrees))
        if (gamma or (i + j) % 2) and i + j + 3 * k <= total
    ]
    columns = np.stack(
        [by_axis[0][:, i] * by_axis[1][:, j] * by_axis[2][:, k] for i, j, k in terms]
    )
    # An error of the score is one of the probability by the density there.
    weight = scale * np.exp(-0.5 * score**2) + 1e-4
    within = np.isfinite(score) & (ndtr(-np.abs(score)) > 1e-11)
    weight, score = np.where(within, weight, 0.0), np.where(within, score, 0.0)
    found, *_ = np.linalg.lstsq((columns * weight).T, (score - root) / scale * weight)
    table = np.zeros([degree + 1 for degree in degrees])
    table[tuple(np.transpose(terms))] = found
    # The same polynomial in powers.
    ranges = (1 / bounds[0], 0.0), (1.0, 0.0), (2 / bounds[2], -1.0)
    for axis, (slope, offset) in enumerate(ranges):
        table = np.apply_along_axis(_in_powers, axis, table, slope, offset)
    firsts = [0 if gamma else (power + 1) % 2 for power in range(len(table))]
    powers = tuple(_nonzero(*each) for each in zip(table, firsts, strict=True))
    return ScoreTable(least, bounds[0], powers)


def _nonzero(of_power: Any, first: int) -> tuple[bool, tuple[tuple[float, ...], ...]]:
    rows = of_power[first::2].T.tolist()
    return bool(first), tuple(tuple(row) for row in rows)


def _in_powers(coefficients: Any, slope: float, offset: float) -> Any:
    """Of sum_i c_i T_i(slope x + offset), the coefficients of x^i."""
    series = np.polynomial.Chebyshev(coefficients)
    powers = series(np.polynomial.Polynomial([offset, slope])).coef
    return np.pad(powers, (0, len(coefficients) - len(powers)))


def _of_gamma(k: Any, root: Any) -> Any:
    """Phi^-1 of SciPy's distribution function where the signed root is this."""
    from scipy.special import gammainc, gammaincc

    x = k * np.exp(_where(root, k, 1.0 + 0.0 * k, 0.0 * k, lambda r: k * (np.expm1(r) - r)))
    return _score(gammainc(k, x), gammaincc(k, x))


def _of_beta(a: Any, b: Any, root: Any) -> Any:
    from scipy.special import betainc, expit

    n = a + b
    m, rest = a / n, b / n
    v = m * rest
    delta = _where(root, n * v, rest - m, v, lambda d: n * (np.log1p(m * np.expm1(d)) - m * d))
    logit = delta + np.log(a / b)
    return _score(betainc(a, b, expit(logit)), betainc(b, a, expit(-logit)))


def _where(root: Any, curvature: Any, s: Any, v: Any, excess: Any) -> Any:
    """Where the excess, by its cumulants near 0, is half of the square of the root."""
    low, high = np.where(root < 0.0, -60.0, 0.0), np.where(root < 0.0, 0.0, 60.0)
    for _ in range(70):
        middle = 0.5 * (low + high)
        near = 0.5 + s * middle / 6.0 + (1.0 - 6.0 * v) * middle**2 / 24.0
        near = curvature * middle**2 * near
        found = np.where(np.abs(middle) < 1e-3, near, excess(middle))
        up = (found < 0.5 * root**2) ^ (root < 0.0)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return middle


def _score(below: Any, above: Any) -> Any:
    from scipy.special import ndtri

    return np.where(below < above, ndtri(below), -ndtri(above))
