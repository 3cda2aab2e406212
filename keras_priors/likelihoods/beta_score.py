"""The normal score of the gamma and the beta distribution, in a graph."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_priors.likelihoods.score_table import ScoreTable
from keras_priors.likelihoods.special import at_most
from keras_priors.utils.export import share


@share
def beta_score(variance: Any, skewness: Any, table: ScoreTable) -> Callable[[Any], Any]:
    """From the signed root of a log likelihood ratio to Phi^-1 of the distribution function.

    Of the logit of a beta variable, the root is sign(p - m) (2 n KL(m, p))^(1/2)
    with n = a + b and m = a / n; of the logarithm of a gamma variable, b is infinite. It is nearly
    normal, and what is left is smooth in the root, 1/a and 1/b: a polynomial, that of
    `score_table`, which says how good it is, and for which shapes.

    Args:
        variance: 1/a + 1/b, the squared scale of the logit.
        skewness: (1/a - 1/b) / variance, from -1 to 1; the number 1 for a gamma variable.
        table: `score_table()`.

    References:
        - Temme, 1992, Asymptotic inversion of the incomplete beta function, section 2.
    """
    scale = ops.sqrt(variance)
    squared = skewness * skewness
    slopes = []
    for odd, of_power in table.powers:
        total = _polynomial(of_power, squared, variance)
        slopes.append(skewness * total if odd else total)

    def score(root: Any) -> Any:
        eta = -at_most(-at_most(scale * root, table.farthest), table.farthest)
        total = slopes[-1]
        for slope in reversed(slopes[:-1]):
            total = slope + eta * total
        return root + scale * total

    return score


def _polynomial(coefficients: tuple[tuple[float, ...], ...], first: Any, second: Any) -> Any:
    """sum_jk c_kj first^j second^k, by Horner's rule."""
    total: Any = 0.0
    for k, row in enumerate(reversed(coefficients)):
        inner: Any = row[-1]
        for coefficient in reversed(row[:-1]):
            inner = inner * first + coefficient
        total = total * second + inner if k else inner
    return total
