"""One table for several posteriors."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_priors import likelihoods
from keras_priors.functional.as_array import as_array
from keras_priors.inference.arviz import import_arviz
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.table import Table
from keras_priors.metrics.brier_score import brier_score
from keras_priors.metrics.expected_calibration_error import expected_calibration_error
from keras_priors.predictive.predict import predict
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export

_COVERAGE = 0.9


@export("keras_priors")
def compare(
    candidates: Mapping[str, Any],
    x: Any,
    y: Any,
    num_samples: int | None = None,
    seed: Any = 0,
) -> Table:
    """How well posteriors predict (x, y), which they should not have seen.

    Columns, as far as they are defined for the likelihood and the posterior:

    - `nll`: -mean log mean_s p(y_i | f_s), nats per observation; lower is better;
    - `accuracy`, `brier`, `ece` for classes: share of right labels, `metrics.brier_score` and
      `metrics.expected_calibration_error`;
    - `rmse`, `coverage` for numbers: root mean squared error of the mean, and how often the
      central 90% interval holds y (0.9 is best);
    - `elpd_loo`: expected log predictive density of the training data by Pareto-smoothed
      importance sampling, nats per observation, for chains of 100 draws or more whose data are at
      hand, where ArviZ is installed; left out where more than a twentieth of the Pareto k are
      above 0.7, which says that the draws are too few or the model too flexible for it;
    - `fit_s`, `predict_s`: seconds of `fit`, and of the prediction here, compilation included.

    Args:
        candidates: mapping from a name to a posterior, a `keras.Model` (compiled with a likelihood;
            `keras_priors.predict` is used), or a `Predictive` at x.
        x: inputs.
        y: targets.
        num_samples: integer, draws. Defaults to None: 100, or all if they are fewer.
        seed: integer or None. Defaults to 0.

    Returns:
        A table: a mapping from name to a dict of numbers, that prints itself; `to_pandas()` gives
        a data frame.

    Raises:
        TypeError: a candidate is none of these, or `candidates` no mapping.
        ValueError: no candidate, a model with several outputs, or one without a likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> noise = kp.likelihoods.Normal(1.0)
        >>> table = kp.compare({
        ...     "near": kp.Predictive(np.zeros((1, 4, 1)), noise),
        ...     "far": kp.Predictive(np.full((1, 4, 1), 3.0), noise),
        ... }, np.zeros((4, 1)), np.zeros((4, 1)))
        >>> print(table)
                    nll     rmse  coverage  predict_s
        near     0.9189        0         1          0
        far       5.419        3         0          0
        >>> table["far"]["rmse"]
        3.0

    References:
        - Vehtari, Gelman and Gabry, 2017, Practical Bayesian model evaluation using
          leave-one-out cross-validation and WAIC, section 2, arXiv:1507.04544.
    """
    if not isinstance(candidates, Mapping):
        raise TypeError(
            "`candidates` must be a mapping from a name to a posterior, a model or a Predictive. "
            f"Received: {type(candidates).__name__}. Write "
            '{"map": posterior, "laplace": other}.'
        )
    if not candidates:
        raise ValueError("`candidates` must hold at least one posterior. Received: none.")
    y = as_array(y, "y")
    rows = {}
    for name, candidate in candidates.items():
        begin = time.perf_counter()
        predictive = _predictive(name, candidate, x, num_samples, seed)
        row = _scores(predictive, y)
        if isinstance(candidate, Posterior):
            row["elpd_loo"] = _leave_one_out(candidate)
            row["fit_s"] = candidate.seconds
        given = isinstance(candidate, Predictive)
        row["predict_s"] = 0.0 if given else time.perf_counter() - begin
        rows[name] = {key: value for key, value in row.items() if value is not None}
    return Table(rows)


def _predictive(name: str, candidate: Any, x: Any, num_samples: int | None, seed: Any) -> Any:
    if isinstance(candidate, Posterior):
        most = candidate._most_samples
        number = num_samples if most is None or num_samples is None else min(num_samples, most)
        predictive = candidate.predict(x, number, seed=seed, verbose=0)
    elif isinstance(candidate, keras.Model):
        predictive = predict(candidate, x, num_samples or 100, seed=seed, verbose=0)
    elif isinstance(candidate, Predictive):
        predictive = candidate
    else:
        raise TypeError(
            "A candidate must be a posterior, a keras.Model or a Predictive. Received: "
            f"{name!r} of type {type(candidate).__name__}. Give what `Method(...).fit` returned."
        )
    if not isinstance(predictive, Predictive):
        raise ValueError(
            f"`compare` is for models with one output. Received: {name!r} with several. Compare "
            "their Predictives, output by output."
        )
    return predictive


def _scores(predictive: Predictive, y: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"nll": -float(np.mean(predictive.log_prob(y)))}
    if isinstance(predictive.likelihood, (likelihoods.Categorical, likelihoods.Bernoulli)):
        p = predictive.probabilities
        classes = isinstance(predictive.likelihood, likelihoods.Categorical)
        labels = y.argmax(axis=-1) if classes and y.shape == p.shape else y
        labels = labels.reshape(-1).astype("int64")
        p = p.reshape(-1, p.shape[-1]) if classes else p.reshape(-1)
        right = p.argmax(axis=-1) == labels if classes else (p > 0.5) == labels
        row["accuracy"] = float(np.mean(right))
        row["brier"] = brier_score(labels, p)
        row["ece"] = expected_calibration_error(labels, p)
        return row
    y = y.reshape(predictive.mean.shape)
    row["rmse"] = float(np.sqrt(np.mean(np.square(predictive.mean - y))))
    low, high = predictive.interval(_COVERAGE)
    row["coverage"] = float(np.mean((y >= low) & (y <= high)))
    return row


# Fewer draws give no tail to smooth.
_FEWEST = 100
_MOST = 4000
# Where k of the Pareto tail of an observation is larger, its importance weights say nothing.
_LARGEST_K = 0.7
_SHARE_ABOVE = 0.05


def _leave_one_out(posterior: Any) -> float | None:
    """Mean over observations of the PSIS-LOO log density in nats, or None.

    For draws from the posterior itself alone: importance weights of draws from an approximation
    would be those of another posterior. None too where more than a twentieth of the observations
    are so influential that the draws cannot tell how it would be without them (Vehtari et al.,
    2017, section 2.1).
    """
    if not isinstance(posterior, SamplePosterior) or posterior._observations is None:
        return None
    if keras.tree.is_nested(posterior.likelihood) or posterior.default_num_samples < _FEWEST:
        return None
    if importlib.util.find_spec("arviz") is None:
        return None
    number = min(posterior.default_num_samples, _MOST)
    per_chain = number // posterior.num_chains
    data = posterior.to_arviz(num_samples=per_chain)
    with warnings.catch_warnings():
        # Of single large weights; more of them are counted below.
        warnings.simplefilter("ignore", UserWarning)
        found = import_arviz().loo(data, pointwise=True)
    if np.mean(np.asarray(found.pareto_k) > _LARGEST_K) > _SHARE_ABOVE:
        return None
    return float(np.mean(found.loo_i))
