"""One table for several posteriors."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.inference.arviz import leave_one_out
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.scores import (
    BEYOND,
    DIFFERENCES,
    Score,
    chosen_metrics,
    of_rows,
    scores,
)
from keras_priors.inference.table import Table
from keras_priors.predictive.check_outputs_known import check_outputs_known
from keras_priors.predictive.joint_log_prob import joint_log_prob
from keras_priors.predictive.predict import predict
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive
from keras_priors.utils.export import export


@export("keras_priors")
def compare(
    candidates: Mapping[str, Any],
    x: Any,
    y: Any,
    num_samples: int | None = None,
    seed: Any = 0,
    *,
    metrics: Any = None,
    sort: str | None = None,
) -> Table:
    """How well posteriors predict (x, y), which they should not have seen.

    Columns by default, as far as they are defined for the likelihood and the posterior:

    - `nll`: -mean log mean_s p(y_i | f_s), nats per observation; lower is better;
    - `nll_diff` and `dse`, as ArviZ has `elpd_diff` and `dse`: `nll` less that of the best, nats
      per observation, and the standard error of this difference, of the differences row by row, so
      that what all find hard cancels; 0 of the best, and of several candidates only;
    - `accuracy`, `brier`, `ece` for classes: share of right labels, `metrics.brier_score` and
      `metrics.expected_calibration_error`;
    - `rmse`, `coverage`, `crps` for numbers: root mean squared error of the mean, how often the
      central 90% interval holds y (0.9 is best), and `metrics.crps`;
    - `elpd_loo`: expected log predictive density of the training data by Pareto-smoothed
      importance sampling, nats per observation, for chains of 100 draws or more whose data are at
      hand, where ArviZ is installed; left out where more than a twentieth of the Pareto k are
      above 0.7, which says that the draws are too few or the model too flexible for it;
    - `fit_s`, `predict_s`: seconds of `fit`, and of the prediction here, compilation included; "-"
      where neither happened here, as for a given `Predictive`.

    A table prints beneath each number its standard error over the rows of x, taken as independent:
    of means by their deviation, of others by 100 resamples of the rows. Differences of candidates
    on the same rows are often surer than each number by itself: `nll_diff` is to be held against
    `dse`, and not against the errors of `nll`. Below the table stands which way is better.

    Of a model with several outputs `nll` and `elpd_loo` are those of all together, per row:
    log mean_s prod_o p(y_io | f_so), since the outputs of a draw belong together. Beside them
    stand the scores of each output, "output/rmse" and so on, named by the keys of a dictionary, or
    by numbers from 0.

    Args:
        candidates: mapping from a name to a posterior, a `keras.Model` (compiled with a likelihood;
            `keras_priors.predict` is used), or a `Predictive` at x, recalibrated too; for several
            outputs, a list or dictionary of them.
        x: inputs.
        y: targets, in the structure of the outputs.
        num_samples: integer, draws. Defaults to None: 100, or all if they are fewer.
        seed: integer or None. Defaults to 0.
        metrics: sequence of names and of functions of (y, predictive) that give a number, such as
            those of `keras_priors.metrics` (with `sample_weight`, they get errors too); or a
            mapping from columns to these. Names are those above and, of classes, "mce", "ace",
            "cce", "auroc", "aupr" (of errors), "aurc", "accuracy_at_coverage"; of numbers "mae",
            "interval_score", "width", "sharpness", "qce", "aurc". Defaults to None: the above.
        sort: string, the column by which rows are sorted, the best first. Defaults to None: in the
            order of `candidates`.

    Returns:
        A table: a mapping from name to a dict of numbers, that prints itself; `standard_errors`
        has the errors, `sort(column)` sorts, `plot()` draws, `to_pandas()` gives a data frame.

    Raises:
        TypeError: a candidate is none of these, or `candidates` no mapping.
        ValueError: no candidate, one without a likelihood, targets of another structure than the
            outputs, a metric that no candidate has, predictions that are NaN.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> noise, y = kp.likelihoods.Normal(1.0), np.array([[-1.0], [0.0], [1.0], [4.0]])
        >>> table = kp.compare({
        ...     "near": kp.Predictive(np.zeros((1, 4, 1)), noise),
        ...     "far": kp.Predictive(np.full((1, 4, 1), 3.0), noise),
        ... }, y, y, metrics=["nll", "nll_diff", "dse", "rmse"])
        >>> print(table)
                  nll nll_diff      dse     rmse
        near    3.169        0        0    2.121
           ±      1.9        -        -     0.91
        far     4.669      1.5      3.2    2.739
           ±      1.6        -        -      0.6
        lower is better: nll, nll_diff (nats a row), rmse (units of y);
        dse: standard error of nll_diff; ±: standard error
        >>> round(table["far"]["rmse"], 3)
        2.739

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
    chosen = chosen_metrics(metrics)
    wanted = set(BEYOND if chosen is None else chosen.values()) & set(BEYOND)
    found: dict[str, Any] = {}
    kept: dict[str, dict[str, Any]] = {}
    for name, candidate in candidates.items():
        begin = time.perf_counter()
        predictive = _predictive(name, candidate, x, num_samples, seed)
        _check_known(name, predictive)
        # Compilation too, which happens where the first number is asked for.
        kept[name] = {}
        row: dict[str, Score | None] = dict(_scores(predictive, y, chosen, kept[name]))
        seconds = None if _is_given(candidate) else (time.perf_counter() - begin, None)
        if isinstance(candidate, Posterior):
            row["elpd_loo"] = _leave_one_out(candidate) if "elpd_loo" in wanted else None
            row["fit_s"] = None if candidate.seconds is None else (candidate.seconds, None)
        row["predict_s"] = seconds
        found[name] = row
    if chosen is None or any(one in DIFFERENCES for one in chosen.values()):
        found = _with_differences(found, {name: one["nll"] for name, one in kept.items() if one})
    return _table(found, chosen, sort)


def _with_differences(found: dict[str, Any], nll: dict[str, Any]) -> dict[str, Any]:
    """Rows with mean and s / sqrt(N) of the N differences to the best candidate behind "nll"."""
    rows = {name: np.asarray(v, "float64").reshape(len(v), -1).mean(1) for name, v in nll.items()}
    rows = {name: v for name, v in rows.items() if np.all(np.isfinite(v)) and len(v) > 1}
    if len(rows) < 2:
        return found
    best = min(rows, key=lambda name: rows[name].mean())
    for name, v in rows.items():
        each = v - rows[best]
        error = float(each.std(ddof=1) / np.sqrt(len(each)))
        others = found[name].items()
        first = {key: score for key, score in others if key == "nll"}
        # The error of the difference is a column, and not printed beneath it once more.
        apart = dict(zip(DIFFERENCES, [(float(each.mean()), None), (error, None)], strict=True))
        found[name] = {**first, **apart, **found[name]}
    return found


def _table(found: dict[str, Any], chosen: dict[str, Any] | None, sort: str | None) -> Table:
    """The numbers and errors, in the order in which they were asked for."""
    present = list(dict.fromkeys(key for row in found.values() for key in row))
    columns = present if chosen is None else _in_order(present, chosen)
    values: dict[str, dict[str, float]] = {}
    errors: dict[str, dict[str, float]] = {}
    for name, row in found.items():
        scored = {key: row[key] for key in columns if row.get(key) is not None}
        values[name] = {key: score[0] for key, score in scored.items()}
        errors[name] = {key: score[1] for key, score in scored.items() if score[1] is not None}
    table = Table(values, errors)
    for column, one in (chosen or {}).items():
        table._kinds[column] = one if isinstance(one, str) else getattr(one, "__name__", column)
    return table if sort is None else table.sort(sort)


def _in_order(present: list[str], chosen: dict[str, Any]) -> list[str]:
    columns: list[str] = []
    for column, one in chosen.items():
        key = one if one in BEYOND else column
        same = [name for name in present if name == key or name.endswith(f"/{key}")]
        if not same and one not in BEYOND:
            raise ValueError(
                "`metrics` must be defined for one candidate at least. Received: "
                f"{column!r}, which none has: it is of other targets, or no row is wrong."
            )
        columns += same
    return columns


def _predictive(name: str, candidate: Any, x: Any, num_samples: int | None, seed: Any) -> Any:
    if isinstance(candidate, Posterior):
        most = candidate._most_samples
        number = num_samples if most is None or num_samples is None else min(num_samples, most)
        predictive = candidate.predict(x, number, seed=seed, verbose=0)
    elif isinstance(candidate, keras.Model):
        predictive = predict(candidate, x, num_samples or 100, seed=seed, verbose=0)
    elif _is_given(candidate):
        predictive = candidate
    else:
        raise TypeError(
            "A candidate must be a posterior, a keras.Model or a Predictive. Received: "
            f"{name!r} of type {type(candidate).__name__}. Give what `Method(...).fit` returned."
        )
    return predictive


def _check_known(name: str, predictive: Any) -> None:
    """Refuse predictions that are no numbers by the name of their candidate."""
    for one in keras.tree.flatten(predictive):
        if isinstance(one, Predictive):
            check_outputs_known(f"`compare` of {name!r}", one)


def _is_given(candidate: Any) -> bool:
    """Whether it is a prediction, or those of several outputs."""
    if isinstance(candidate, (Predictive, QuantilePredictive)):
        return True
    if not isinstance(candidate, (dict, list, tuple)):
        return False
    parts = candidate.values() if isinstance(candidate, dict) else candidate
    return bool(parts) and all(isinstance(part, Predictive) for part in parts)


def _scores(predictive: Any, y: Any, chosen: Any, kept: dict[str, Any]) -> dict[str, Score]:
    if isinstance(predictive, (Predictive, QuantilePredictive)):
        return scores(predictive, as_array(y, "y"), chosen, kept)
    pairs = {
        name: (one, as_array(target, "y"))
        for name, (one, target) in _by_name(predictive, y).items()
        if one.likelihood is not None
    }
    if not pairs:
        raise ValueError(
            "`compare` needs the likelihood of one output at least. Received: "
            f"{len(predictive)} outputs without. Compile the model with a likelihood for each."
        )
    row: dict[str, Score] = {}
    asked = ("nll", *DIFFERENCES) if chosen is None else list(chosen.values())
    if any(one in asked for one in ("nll", *DIFFERENCES)):
        kept["nll"] = -joint_log_prob(*zip(*pairs.values(), strict=True))
    if "nll" in asked:
        row["nll"] = of_rows(kept["nll"])
    for name, (one, target) in pairs.items():
        own = scores(one, target, chosen, {})
        row.update({f"{name}/{key}": value for key, value in own.items()})
    return row


def _by_name(predictive: Any, y: Any) -> dict[Any, tuple[Predictive, Any]]:
    """(predictive, target) of each output; an output without a likelihood needs no target."""
    if isinstance(predictive, dict):
        needed = {name for name, one in predictive.items() if one.likelihood is not None}
        if isinstance(y, Mapping) and needed <= set(y):
            return {name: (one, y[name]) for name, one in predictive.items() if name in y}
    elif isinstance(y, (list, tuple)) and len(y) == len(predictive):
        return dict(enumerate(zip(predictive, y, strict=True)))
    names = sorted(predictive) if isinstance(predictive, dict) else len(predictive)
    got = sorted(y) if isinstance(y, Mapping) else f"{type(y).__name__}"
    raise ValueError(
        "`y` must have the structure of the outputs: a dictionary of the same keys, or a list as "
        f"long. Received: outputs {names} and y {got}."
    )


# Fewer draws give no tail to smooth.
_FEWEST = 100
_MOST = 4000
# Where k of the Pareto tail of an observation is larger, its importance weights say nothing.
_LARGEST_K = 0.7
_SHARE_ABOVE = 0.05


def _leave_one_out(posterior: Any) -> Score | None:
    """Mean over observations of the PSIS-LOO log density in nats and its error, or None.

    For draws from the posterior itself alone: importance weights of draws from an approximation
    would be those of another posterior. None too where more than a twentieth of the observations
    are so influential that the draws cannot tell how it would be without them (Vehtari et al.,
    2017, section 2.1).
    """
    if not isinstance(posterior, SamplePosterior) or posterior._observations is None:
        return None
    if posterior.default_num_samples < _FEWEST:
        return None
    if importlib.util.find_spec("arviz") is None:
        return None
    number = min(posterior.default_num_samples, _MOST)
    per_chain = number // posterior.num_chains
    values = _log_likelihoods(posterior, per_chain * posterior.num_chains)
    values = values.reshape(posterior.num_chains, per_chain, *values.shape[1:])
    elpd, pareto_k = leave_one_out(posterior._chains(per_chain, 0), values)
    if np.mean(pareto_k > _LARGEST_K) > _SHARE_ABOVE:
        return None
    return of_rows(elpd)


def _log_likelihoods(posterior: Any, number: int) -> Any:
    """log p(y_i | x_i, w_s) in nats, (S, N, ...); of several outputs together, (S, N)."""
    data = posterior._observations
    parts = posterior.log_likelihood(data.x, data.y, number)
    if not keras.tree.is_nested(posterior.likelihood):
        return parts
    leaves = [np.asarray(part, "float64") for part in keras.tree.flatten(parts)]
    return sum(part.reshape(*part.shape[:2], -1).sum(axis=-1) for part in leaves)
