"""How unlike the rows of the training data a row looks."""

from typing import Any

import keras
import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.predictive.by_rows import by_rows
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export

_SCORES = (
    "entropy",
    "mutual_information",
    "max_probability",
    "energy",
    "density",
    "epistemic",
    "variance",
)
_OF_CLASSES = ("entropy", "mutual_information", "max_probability", "energy")


@export("keras_priors")
def ood_score(predictive: Predictive, score: str = "entropy") -> Any:
    """A number for each row that is high where the row looks unlike the training data.

    Of classes (`Categorical`, `Bernoulli`):

    - `"entropy"`: of the mean probabilities, nats;
    - `"mutual_information"`: of class and weights, nats: doubt about the weights alone;
    - `"max_probability"`: 1 - max_c p_c;
    - `"energy"`: -mean_s log sum_c exp(f_sc), of logits f.

    Of any outputs:

    - `"density"`: how thin the draws of the outputs lie, nats: the entropy of a normal with their
      covariance, log det(2 pi e Cov_s f_s) / 2. Of logits, from which softmax takes the mean, the
      differences count. Needs more draws than outputs;
    - `"epistemic"`, `"variance"`: Var_s E[y* | f_s] and Var[y*], summed over the outputs of a row.

    No score is best everywhere; `metrics.auroc(is_ood, ..., of="y")` says how well one does.

    Args:
        predictive: `Predictive`, of `keras_priors.predict` or of a posterior.
        score: string, one of these. Defaults to "entropy".

    Returns:
        float64 array (N,), or (N, ...) where a row has steps.

    Raises:
        TypeError: `predictive` is no `Predictive`.
        ValueError: another score, or one that the likelihood or the number of draws does not have.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> logits = np.array([[[4.0, 0.0], [0.1, 0.0]]])  # one draw, two rows
        >>> scores = kp.ood_score(kp.Predictive(logits, kp.likelihoods.Categorical()))
        >>> bool(scores[1] > scores[0])
        True

    References:
        - Hendrycks and Gimpel, 2017, A baseline for detecting misclassified and
          out-of-distribution examples, section 2, arXiv:1610.02136.
        - Liu et al., 2020, Energy-based out-of-distribution detection, equation 4,
          arXiv:2010.03759.
        - Malinin and Gales, 2018, Predictive uncertainty estimation via prior networks,
          equations 3 and 5, arXiv:1802.10501.
    """
    if not isinstance(predictive, Predictive):
        raise TypeError(
            "`predictive` of `ood_score` must be a Predictive. Received: "
            f"{type(predictive).__name__}. Write keras_priors.predict(model, x)."
        )
    if score not in _SCORES:
        raise ValueError(
            f"`score` must be one of {', '.join(map(repr, _SCORES))}. Received: {score!r}."
        )
    if score in _OF_CLASSES and not isinstance(predictive.likelihood, (Bernoulli, Categorical)):
        raise ValueError(
            f"The score {score!r} is of classes. Received: {predictive.likelihood!r}. Of numbers "
            'there are "variance", "epistemic" (its part that more data would resolve) and '
            '"density".'
        )
    if score in ("entropy", "mutual_information"):
        return _per_row(predictive, getattr(predictive, score), predictive.likelihood)
    if score == "max_probability":
        p = predictive.probabilities
        two = isinstance(predictive.likelihood, Bernoulli)
        unlike = np.minimum(p, 1.0 - p) if two else 1.0 - p.max(axis=-1)
        return _per_row(predictive, unlike, predictive.likelihood)
    if score == "energy":
        return by_rows(lambda f: -_log_sum_exp(f).mean(axis=0), _logits(predictive, score))
    if score == "density":
        return _entropy_of_draws(predictive)
    values = predictive.epistemic if score == "epistemic" else predictive.total
    return values if predictive.draws.ndim == 2 else values.sum(axis=-1)


def _per_row(predictive: Predictive, values: Any, likelihood: Any) -> Any:
    """Of several labels, which are independent given the weights, their sum."""
    several = isinstance(likelihood, Bernoulli) and predictive.draws.ndim > 2
    return values.sum(axis=-1) if several else values


def _logits(predictive: Predictive, score: str) -> Any:
    """Logits (S, N, ..., C), in float64."""
    likelihood = predictive.likelihood
    draws = predictive.draws.astype("float64")
    if not isinstance(likelihood, (Bernoulli, Categorical)) or not likelihood.from_logits:
        raise ValueError(
            f"The score {score!r} is of logits. Received: {likelihood!r}. Leave the softmax out of "
            'the model and give from_logits=True, or take another score, such as "entropy".'
        )
    if isinstance(likelihood, Categorical):
        return draws
    if likelihood.link != "logit":
        raise ValueError(
            f"The score {score!r} is of logits. Received: {likelihood!r}, whose outputs are none. "
            'Take another score, such as "entropy".'
        )
    draws = draws[..., None] if draws.ndim == 2 else draws
    if draws.shape[-1] > 1:
        raise ValueError(
            f"The score {score!r} is of one set of classes. Received: {draws.shape[-1]} labels "
            'beside each other. Take another score, such as "entropy".'
        )
    return np.concatenate([np.zeros_like(draws), draws], axis=-1)


def _log_sum_exp(f: Any) -> Any:
    peak = f.max(axis=-1, keepdims=True)
    return np.log(np.exp(f - peak).sum(axis=-1)) + peak[..., 0]


def _entropy_of_draws(predictive: Predictive) -> Any:
    likelihood, f = predictive.likelihood, predictive.draws.astype("float64")
    f = f[..., None] if f.ndim == 2 else f
    if isinstance(likelihood, (Bernoulli, Categorical)) and not likelihood.from_logits:
        least = keras.config.epsilon()
        ones = np.log(np.maximum(f, least))
        f = ones - np.log(np.maximum(1.0 - f, least)) if isinstance(likelihood, Bernoulli) else ones
    if isinstance(likelihood, Categorical):
        # Softmax does not see their mean, and the differences to it sum to 0: one less.
        f = (f - f.mean(axis=-1, keepdims=True))[..., :-1]
    draws, size = f.shape[0], f.shape[-1]
    if draws <= size:
        raise ValueError(
            'The score "density" needs more draws than outputs, whose covariance has no '
            f"determinant else. Received: {draws} draws of {size} outputs. Predict with "
            f"num_samples={4 * size} or more."
        )

    def entropy(block: Any) -> Any:
        centred = block - block.mean(axis=0)
        covariance = np.einsum("s...i,s...j->...ij", centred, centred) / (draws - 1)
        # -inf where draws are all alike.
        return 0.5 * (np.linalg.slogdet(covariance)[1] + size * np.log(2.0 * np.pi * np.e))

    return by_rows(entropy, f, copies=1 + size)
