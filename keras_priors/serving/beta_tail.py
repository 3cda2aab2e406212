"""The tails of the beta distribution, in a graph."""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_priors.likelihoods.beta_score import beta_score
from keras_priors.likelihoods.score_table import ScoreTable
from keras_priors.likelihoods.special import at_most, binet
from keras_priors.serving.normal_tail import normal_tail


def beta_tail(a: Any, b: Any, table: ScoreTable) -> Callable[[Any, Any], Any]:
    """(u, sign) to P(logit Y > u) where the sign is 1, and below u where it is -1.

    Of a small a or b by a + 6 or b + 6, with I(a, b) = P(Y <= y):

        I(a, b) = I(a + 1, b) + y^a (1 - y)^b / (a B(a, b))
                = I(a, b + 1) - y^a (1 - y)^b / (b B(a, b))

    In float32 the error is below 6e-6 for a and b from 1e-4 to 1e5, most of it from exponents of
    several hundred; that of the fit is 8e-8.

    References:
        - DLMF, equations 8.17.20 and 8.17.21; `beta_score`.
    """
    move_a, move_b = a < float(table.least), b < float(table.least)
    more_a = ops.where(move_a, a + float(table.least), a)
    more_b = ops.where(move_b, b + float(table.least), b)
    of_a, of_b = 1.0 / more_a, 1.0 / more_b
    score = beta_score(of_a + of_b, (of_a - of_b) / (of_a + of_b), table)
    n = a + b
    first = ops.exp(binet(n) - binet(a) - binet(b)) * ops.sqrt(b / (2.0 * math.pi * a * n))
    # By what each term is the one before, of y and of 1 - y; then what is between the two sums.
    ratios_a = [(n + (j - 1.0)) / (a + float(j)) for j in range(1, table.least)]
    ratios_b = [(more_a + b + (j - 1.0)) / (b + float(j)) for j in range(1, table.least)]
    between, without = (more_a - 1.0 + b) / b, a / b
    middle, more_middle = ops.log(a / b), ops.log(more_a / more_b)

    def tail(u: Any, sign: Any) -> Any:
        delta = u - more_middle
        root = ops.sqrt(2.0 * _divergence(more_a, more_b, delta))
        found = normal_tail(sign * score(ops.where(delta < 0.0, -root, root)))
        y, rest = ops.sigmoid(u), ops.sigmoid(-u)
        start = first * ops.exp(-_divergence(a, b, u - middle))
        term = start
        total = term
        for ratio in ratios_a:
            term = term * y * ratio
            total = total + term
        added = ops.where(move_a, total, ops.zeros_like(total))
        term = ops.where(move_a, term * y * between, start * without)
        total = term
        for ratio in ratios_b:
            term = term * rest * ratio
            total = total + term
        return found - sign * (added - ops.where(move_b, total, ops.zeros_like(total)))

    return tail


def _divergence(a: Any, b: Any, delta: Any) -> Any:
    """(a + b) KL(m, p) in nats, of logits that are delta apart, m = a / (a + b).

    By the smaller of m and 1 - m, so that nothing cancels.
    """
    n = a + b
    swap = b < a
    w, s = ops.where(swap, b, a) / n, ops.where(swap, -delta, delta)
    near = ops.where(ops.absolute(s) < 0.2, s, ops.zeros_like(s))
    v, skew = w * (1.0 - w), 1.0 - 2.0 * w
    # By the cumulants of a binary variable.
    series = (1.0 - v * (30.0 - 120.0 * v)) / 720.0
    for cumulant in (skew * (1.0 - 12.0 * v) / 120.0, (1.0 - 6.0 * v) / 24.0, skew / 6.0, 0.5):
        series = series * near + cumulant
    low = at_most(s, 80.0)  # of which exp is finite
    far = ops.log1p(w * ops.expm1(low)) + (s - low) - w * s
    # Not below 0, of which there is no root.
    return n * ops.where(ops.absolute(s) < 0.2, v * near * near * series, ops.relu(far))
