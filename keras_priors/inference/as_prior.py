"""The posterior of one data set as the prior of the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_priors.functional.positions import Positions
from keras_priors.inference.arviz import mixing_of
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.log_normal_prior import LogNormalPrior
from keras_priors.priors.normal_blocks import FullBlock, LowRankBlock, NormalBlock
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.warn import warn

_STRUCTURES = ("full", "low_rank", "diagonal")
# A standard deviation of so many draws has an error of an eighth.
_FEWEST = 30
# The inverse of a covariance of S draws of D weights is about S / (S - D) times too large.
_ENOUGH = 10
# Rounding in float32 leaves eigenvalues of correlations of some 1e-14 where weights are collinear.
_LEAST = 1e-10
# Bytes that a matrix over all elements may take, with those of its Cholesky factor and inverse.
_MOST_BYTES = 4 * 2**30


def as_prior(
    posterior: Any, structure: Any, rank: Any, num_samples: Any, seed: Any
) -> JointNormalPrior:
    """See `Posterior.as_prior`."""
    rank = whole_number("as_prior", "rank", rank)
    if posterior.temperature != 1.0:
        raise ValueError(
            "The posterior of one data set is the prior of the next by Bayes' rule, at the "
            f"temperature 1. Received: a posterior at the temperature {posterior.temperature}. Fit "
            "with temperature=1."
        )
    own: JointNormalPrior | None = posterior._own_normal()
    choices: tuple[str | None, ...] = (None, *_STRUCTURES)
    if own is not None and own.structure == "kronecker":
        choices = (*choices, "kronecker")
    if structure not in choices:
        raise ValueError(
            f"`structure` of as_prior must be one of {choices} for a "
            f"{type(posterior).__name__}. Received: structure={structure!r}."
        )
    if own is None:
        return _of_draws(posterior, structure or "full", rank, num_samples, seed)
    # Independent weights have no correlations to keep.
    if structure in (None, own.structure) or (structure, own.structure) == (
        "low_rank",
        "diagonal",
    ):
        return own
    means, deviations = own.mean(), own.stddev()
    if structure == "diagonal":
        return _independent(means, deviations, own.positive)
    paths, shapes = list(means), [np.shape(value) for value in means.values()]
    flat = np.concatenate([np.ravel(value) for value in means.values()])
    _check_memory(len(flat), posterior)
    covariance = np.linalg.inv(own.precision())
    normal = (paths, shapes, flat, [path in own.positive for path in paths])
    if structure == "full":
        return JointNormalPrior.from_parts([FullBlock.from_covariance(*normal, covariance)], {})
    scale = np.sqrt(np.diagonal(covariance))
    squares, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return _low_rank(normal, scale, squares[::-1], vectors[:, ::-1], rank)


def positive_of(positions: Positions, indices: Sequence[int]) -> list[bool]:
    """Whether each of these weights is positive, z its logarithm; other bounds are refused."""
    found, bad = [], []
    for k in indices:
        prior = positions.priors[k]
        low, high = (-np.inf, np.inf) if prior is None else prior.support
        positive = bool(np.all(np.equal(low, 0.0)) and np.all(np.isposinf(high)))
        found.append(positive)
        of_scale = positions.weights[k].owner is None or positions.is_scaled(k)
        if of_scale or (positions.is_bounded(k) and not positive):
            bad.append(positions.paths[k])
    if bad:
        raise ValueError(
            "A joint normal prior is one over weights on the whole real line, or over logarithms "
            f"of positive ones. Received: {', '.join(bad)} with other bounds, or with a prior of "
            "unknown scale. Freeze that weight, or give it a prior on all positive numbers; where "
            "a scale is unknown, draws of NUTS, HMC, SGLD or SGHMC give a normal of the weights, "
            "the scale integrated out."
        )
    return found


def normal_of(
    positions: Positions,
    indices: Sequence[int],
    mean: Any,
    parts: Sequence[tuple[int, int, str, Mapping[str, Any]]],
) -> JointNormalPrior:
    """The joint normal of the weights of these indices.

    Args:
        positions: the weights.
        indices: of those that have a spread, in the order of the vector (D,).
        mean: array (D,).
        parts: for what is correlated (start, stop, kind of a `NormalBlock`, its arrays), where it
            is in the vector; the kind "diagonal" has the array "variance".
    """
    positive = positive_of(positions, indices)
    ends = np.cumsum([positions.sizes[k] for k in indices])
    blocks: list[NormalBlock] = []
    independent: dict[str, NormalPrior | LogNormalPrior] = {}
    for start, stop, kind, arrays in parts:
        inside = [j for j, end in enumerate(ends) if start < end <= stop]
        paths = [positions.paths[indices[j]] for j in inside]
        shapes = [positions.shapes[indices[j]] for j in inside]
        logs = [positive[j] for j in inside]
        if kind == "diagonal":
            low = 0
            for path, shape, is_log in zip(paths, shapes, logs, strict=True):
                high = low + int(np.prod(shape))
                variance = np.reshape(arrays["variance"][low:high], shape)
                loc = np.reshape(mean[start + low : start + high], shape)
                independent[path] = _one(loc, np.sqrt(variance), is_log)
                low = high
            continue
        config = {"kind": kind, "paths": paths, "shapes": shapes, "positive": logs}
        blocks.append(
            NormalBlock.from_config({**config, "mean": mean[start:stop], "arrays": arrays})
        )
    return JointNormalPrior.from_parts(blocks, independent)


def _check_memory(size: int, posterior: Any) -> None:
    # The matrix, its inverse, its Cholesky factor, and a whitening with its right-hand side.
    needed = 5 * 8 * size**2
    if needed > _MOST_BYTES:
        raise ValueError(
            f"A matrix over all elements of a prior must fit in {_MOST_BYTES} bytes. Received: "
            f"{size} elements of a {type(posterior).__name__}, which take {needed} bytes. Leave "
            'the structure as the posterior has it, or take `as_prior("diagonal")`.'
        )


def _of_draws(
    posterior: Any, structure: str, rank: int, num_samples: Any, seed: Any
) -> JointNormalPrior:
    """Mean and covariance of draws."""
    drawn, logs = posterior.draws(num_samples, seed), posterior._prior_paths()
    for path in (path for path, is_log in logs.items() if is_log):
        zeros = int(np.sum(np.any(drawn[path].reshape(len(drawn[path]), -1) <= 0, axis=1)))
        if zeros:
            raise ValueError(
                "The prior of a positive weight is one over its logarithm. Received: "
                f"{zeros} of {len(drawn[path])} draws of {path} that are 0, less than the smallest "
                "number that float32 has. Give it a prior with less mass at 0, such as "
                "LogNormalPrior, before the fit, or freeze it."
            )
    values = {
        path: np.log(drawn[path].astype("float64")) if is_log else drawn[path].astype("float64")
        for path, is_log in logs.items()
    }
    flat = np.concatenate([v.reshape(len(v), -1) for v in values.values()], axis=1)
    count, size = flat.shape
    owner, made = type(posterior).__name__, posterior._most_samples is None

    def more(number: int) -> str:
        return f"Take num_samples={number} or more" if made else f"Draw {number} or more in `fit`"

    if count < _FEWEST:
        raise ValueError(
            f"A prior of draws needs at least {_FEWEST}: of fewer, standard deviations are mostly "
            f"chance. Received: a {owner} of {count}. {more(_FEWEST)}, or take Laplace, SWAG or "
            "MeanField."
        )
    if structure == "full" and count <= size:
        raise ValueError(
            "The covariance of draws can be inverted where they are more than the weights. "
            f"Received: a {owner} with {count} draws of {size} weights. {more(_ENOUGH * size)}, "
            'or take `as_prior("low_rank")` or `as_prior("diagonal")`.'
        )
    if structure == "full":
        _check_memory(size, posterior)
    middle, scale = flat.mean(axis=0), flat.std(axis=0, ddof=1)
    if not np.all(scale > 0):
        raise ValueError(
            "A prior of draws needs weights that move. Received: "
            f"{int(np.sum(scale <= 0))} of {size} elements that are the same in all draws of a "
            f"{owner}. Freeze these weights before the fit."
        )
    effective = float(count) if made else _effective(posterior, list(logs), count)
    # The smallest of many is low by chance, of draws that are independent too.
    if effective < min(_FEWEST, count / 4):
        warn(
            f"A prior of draws needs an effective sample size of at least {_FEWEST}: of less, "
            "standard deviations are mostly chance. Received: an effective sample size of "
            f"{effective:.0f} of {count} draws of a {owner}, that of the worst element. Draw more "
            "in `fit`; chains that are in several modes have no normal in common."
        )
    if structure == "full" and effective < _ENOUGH * size:
        times = f"{effective / (effective - size):.2g}" if effective > size else "many"
        warn(
            "The precision of draws is about S / (S - D) times too large for an effective sample "
            f"size S of D weights. Received: {effective:.0f} of {count} draws of {size} weights, "
            f"{times} times. {more(int(np.ceil(_ENOUGH * size * count / effective)))}, or take "
            '`as_prior("low_rank")`.'
        )
    ends = np.cumsum([v[0].size for v in values.values()])[:-1]
    paths, shapes = list(values), [v.shape[1:] for v in values.values()]
    normal = (paths, shapes, middle, list(logs.values()))
    if structure == "diagonal":
        each = (np.split(part, ends) for part in (middle, scale))
        means, deviations = (
            {p: v.reshape(s) for p, s, v in zip(paths, shapes, part, strict=True)} for part in each
        )
        return _independent(means, deviations, [path for path, is_log in logs.items() if is_log])
    white = (flat - middle) / scale / np.sqrt(count - 1)
    if structure == "full":
        correlation = white.T @ white
        least = float(np.linalg.eigvalsh(correlation)[0])
        if least < _LEAST:
            raise ValueError(
                "The covariance of draws can be inverted where no weight follows from the others. "
                f"Received: {size} elements whose correlations have an eigenvalue of {least:.1g}, "
                f'below {_LEAST:g}. Take `as_prior("low_rank")` or `as_prior("diagonal")`, or '
                "freeze the weights that move with others alone."
            )
        covariance = correlation * np.outer(scale, scale)
        block = FullBlock.from_covariance(*normal, covariance)
        return JointNormalPrior.from_parts([block], {})
    _, singular, vectors = np.linalg.svd(white, full_matrices=False)
    # One of as many directions as draws is that of their mean.
    squares, vectors = singular[: count - 1] ** 2, vectors[: count - 1].T
    return _low_rank(normal, scale, squares, vectors, rank)


def _effective(posterior: Any, paths: Sequence[str], count: int) -> float:
    """The smallest effective sample size of draws that are stored, or how many they are."""
    chains = posterior._chains(None, None)
    flat = [chains[p].reshape(*chains[p].shape[:2], -1) for p in paths]
    try:
        found = mixing_of(np.concatenate(flat, axis=2)).get("ess_bulk", float(count))
    except ImportError:
        warn(
            "The effective sample size of draws was not looked at, without ArviZ. Received: "
            f'{count} draws, taken as independent. Install it: pip install "keras-priors[arviz]".'
        )
        return float(count)
    return min(float(count), found)


def _low_rank(
    normal: tuple[Any, Any, Any, Any], scale: Any, squares: Any, vectors: Any, rank: int
) -> JointNormalPrior:
    """Probabilistic principal components of a correlation matrix, by its eigenvalues, falling.

    V diag(l_k) V^T along the first r eigenvectors, and across them the mean of what is left
    (Tipping and Bishop, 1999, equations 7 and 8).
    """
    size = len(scale)
    rank = min(rank, size - 1, len(squares) - 1)
    if rank < 1:
        return JointNormalPrior.from_parts([FullBlock(*normal, whitening=np.diag(1.0 / scale))], {})
    kept = squares[:rank]
    rest = (size - float(kept.sum())) / (size - rank)
    if not rest > 1e-12:
        raise ValueError(
            f"A low-rank prior needs a spread across its {rank} directions. Received: "
            f"{size} elements that move along them alone. Take a smaller `rank`, or "
            '`as_prior("diagonal")`.'
        )
    arrays = {"scale": 1.0 / (scale * np.sqrt(rest)), "vectors": vectors[:, :rank]}
    block = LowRankBlock(*normal, **arrays, values=rest / kept - 1.0)
    return JointNormalPrior.from_parts([block], {})


def _independent(
    means: Mapping[str, Any], deviations: Mapping[str, Any], positive: Sequence[str]
) -> JointNormalPrior:
    each = {p: _one(mean, deviations[p], p in positive) for p, mean in means.items()}
    return JointNormalPrior.from_parts([], each)


def _one(mean: Any, stddev: Any, positive: bool) -> NormalPrior | LogNormalPrior:
    return LogNormalPrior(mean, stddev) if positive else NormalPrior(mean, stddev)
