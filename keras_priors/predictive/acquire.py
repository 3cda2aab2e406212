"""The rows to label next."""

from typing import Any

import keras
import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.ordinal import Ordinal
from keras_priors.predictive.by_rows import by_rows
from keras_priors.predictive.check_outputs_known import check_outputs_known
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export
from keras_priors.utils.parameters import seed_or_none, whole_number

_METHODS = ("bald", "batch_bald", "entropy", "variance")
# Joint outcomes that are written out; of more, a sample of as many stands for them.
_OUTCOMES = 5_000
# Numbers of a block of rows, 32 MiB in float64.
_ELEMENTS = 4_000_000


@export("keras_priors")
def acquire(predictive: Predictive, n: int, method: str = "bald", *, seed: int | None = 0) -> Any:
    """Indices of the n rows whose labels would teach most, by what draws of the weights say.

    - `"bald"`: the mutual information of label and weights, I(y_i; w) in nats, the highest n rows;
    - `"batch_bald"`: that of all n labels together, I(y_1, ..., y_n; w), built up greedily, so that
      no two rows ask the same: within a factor 1 - 1/e of the best n. Joint outcomes of the labels
      are written out up to 5,000 of them, then sampled;
    - `"entropy"`: the entropy of the label in nats, noise included;
    - `"variance"`: Var_s E[y* | f_s], summed over the outputs of a row; the one for numbers.

    Args:
        predictive: `Predictive` of unlabelled rows, with a likelihood of classes (`Categorical`,
            `Ordinal`, or `Bernoulli` with one output); for "variance" any.
        n: integer, how many rows.
        method: string, one of these. Defaults to "bald".
        seed: integer or None for a fresh one, for the sampled outcomes of "batch_bald". Defaults
            to 0.

    Returns:
        Integer array (n,), indices of rows, the most wanted first.

    Raises:
        TypeError: `predictive` is no `Predictive`.
        ValueError: another method, more rows than there are, one draw, a likelihood that the
            method does not have, rows with steps, or NaN in the outputs.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> draws = np.array([[[9.0], [0.0]], [[-9.0], [0.0]]])  # two draws, two rows
        >>> kp.acquire(kp.Predictive(draws, kp.likelihoods.Bernoulli()), 1)
        array([0])

    References:
        - Houlsby et al., 2011, Bayesian active learning for classification and preference
          learning, equation 2, arXiv:1112.5745.
        - Kirsch et al., 2019, BatchBALD, algorithm 1 and equations 8 to 13, arXiv:1906.08158.
    """
    if not isinstance(predictive, Predictive):
        raise TypeError(
            "`predictive` of `acquire` must be a Predictive. Received: "
            f"{type(predictive).__name__}. Write keras_priors.predict(model, x)."
        )
    if method not in _METHODS:
        raise ValueError(
            f"`method` must be one of {', '.join(map(repr, _METHODS))}. Received: {method!r}."
        )
    check_outputs_known("`acquire`", predictive)
    n, seed = whole_number("acquire", "n", n), seed_or_none("acquire", seed)
    draws, rows = predictive.draws.shape[:2]
    if n > rows:
        raise ValueError(f"`n` must be at most the {rows} rows there are. Received: n={n}.")
    if draws == 1 and method != "entropy":
        raise ValueError(
            f"{method!r} asks where draws of the weights disagree. Received: one draw. Predict "
            'with a posterior that has a spread, or take method="entropy".'
        )
    if method == "variance":
        scores = predictive.epistemic.reshape(rows, -1).sum(axis=-1)
        return _highest(scores, n)
    _check_one_label(predictive, method)
    if method == "batch_bald":
        return _batch_bald(_label_probabilities(predictive), n, seed)
    scores = predictive.mutual_information if method == "bald" else predictive.entropy
    return _highest(scores.reshape(rows), n)


def _highest(scores: Any, n: int) -> Any:
    return np.argsort(-scores, kind="stable")[:n]


def _check_one_label(predictive: Predictive, method: str) -> None:
    likelihood, shape = predictive.likelihood, predictive.draws.shape
    one = isinstance(likelihood, (Categorical, Ordinal)) and len(shape) == 3
    two = isinstance(likelihood, Bernoulli) and (len(shape) == 2 or shape[2:] == (1,))
    if not (one or two):
        raise ValueError(
            f"{method!r} is of one label for each row: Categorical, Ordinal, or Bernoulli of one. "
            f'Received: {likelihood!r} and draws of shape {shape}. Take method="variance".'
        )


def _label_probabilities(predictive: Predictive) -> Any:
    """p(y_i = c | f_is), (N, S, C) in float64."""
    likelihood: Any = predictive.likelihood
    outputs = predictive.draws[..., None] if predictive.draws.ndim == 2 else predictive.draws

    def of(f: Any) -> Any:
        p = keras.ops.convert_to_numpy(likelihood.probabilities(f)).astype("float64")
        p = np.concatenate([1.0 - p, p], axis=-1) if isinstance(likelihood, Bernoulli) else p
        return np.swapaxes(p, 0, 1)

    found = by_rows(of, outputs)
    return found / found.sum(axis=-1, keepdims=True)


def _batch_bald(p: Any, n: int, seed: int | None) -> Any:
    """Greedy maximization of I(y_1, ..., y_n; w) of p (N, S, C).

    The labels are independent given the weights, so that
    I = H(y_1, ..., y_n) - sum_i E_s H(y_i | f_s), of which only the first term is joint.
    """
    random = np.random.default_rng(seed)
    draws, classes = p.shape[1:]
    conditional = _plogp(p).sum(axis=-1).mean(axis=-1)
    # p(outcome k of the rows chosen | draw s), and for how much each stands in a sum over all.
    joint, weight = np.ones((1, draws)), np.ones(1)
    chosen: list[int] = []
    for _ in range(n):
        scores = _joint_entropies(joint, weight, p) - conditional
        scores[chosen] = -np.inf
        best = int(np.argmax(scores))
        chosen.append(best)
        joint = (joint[:, None, :] * p[best].T[None]).reshape(-1, draws)
        weight = np.repeat(weight, classes)
        if len(joint) > _OUTCOMES:
            joint, weight = _sampled(joint, weight, random)
    return np.array(chosen)


def _joint_entropies(joint: Any, weight: Any, p: Any) -> Any:
    """H(outcome, y_i) of each row i, less a constant where outcomes are sampled: (N,)."""
    found = np.empty(len(p))
    draws, classes = p.shape[1:]
    size = max(1, _ELEMENTS // (len(joint) * classes))
    for start in range(0, len(p), size):
        block = p[start : start + size]
        # (outcomes, draws) times (draws, rows x classes).
        both = joint @ block.transpose(1, 0, 2).reshape(draws, -1) / draws
        terms = _plogp(both).reshape(len(joint), len(block), classes).sum(axis=-1)
        found[start : start + size] = weight @ terms
    return found


def _sampled(joint: Any, weight: Any, random: Any) -> tuple[Any, Any]:
    """As many outcomes as are allowed, drawn in proportion to their probability.

    Each is divided by its probability, which then stands in its weight: products of many
    probabilities underflow, and -p log p changes by what is the same for all rows.
    """
    probability = joint.mean(axis=1)
    share = probability * weight
    kept = random.choice(len(joint), _OUTCOMES, p=share / share.sum())
    return joint[kept] / probability[kept, None], np.full(_OUTCOMES, 1.0 / _OUTCOMES)


def _plogp(p: Any) -> Any:
    # 0 log 0 is 0.
    return -p * np.log(np.where(p > 0.0, p, 1.0))
