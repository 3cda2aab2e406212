"""A normal prior over several weights together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.covariance import covariance_from
from keras_priors.priors.joint_normal_part import JointNormalPart
from keras_priors.priors.log_normal_prior import LogNormalPrior
from keras_priors.priors.normal_blocks import FullBlock, NormalBlock
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import real


@export("keras_priors")
class JointNormalPrior:
    """A normal over several weights of a model together, correlations included.

        z = (w_1, ..., w_K), flattened and one after the other, D elements
        log p(w) = -(z - m)^T P (z - m) / 2 + log|P| / 2 - D log(2 pi) / 2        (nats)

    Of a positive weight, such as the scale of a `NoiseScale`, z is log w, and -sum log w is added.

    `posterior.as_prior()` makes one, with the structure that the posterior has: what was learned
    from one data set is then the prior of the next. Give it to a model by
    `keras_priors.set_priors(model, prior)`. Each weight then has its part of it as a regularizer;
    the first one stands in the loss for all.

    What takes it: plain `fit` with any optimizer, `inference.LogPosterior` and the methods on it
    but `RandomizedMAP`, which moves the mean of each weight's own prior, and `sample_prior`.
    `Laplace("full")` adds P as it is and `Laplace("diagonal")` its diagonal;
    "kronecker" and "low_rank" refuse it, because a sum with P has no such structure. Weights of one
    block are trained together, or frozen together. Variational layers have a KL for each weight,
    and take it with the structure "diagonal" alone: then it is a `NormalPrior` for each weight.

    Args:
        mean: mapping from the path of each weight, as in `keras_priors.get_priors`, to an array of
            its shape: the mean of z.
        covariance: matrix (D, D) over all elements in the order of `mean`. Defaults to None.
        precision: its inverse P, in place of it. Defaults to None.
        positive: the paths of the weights that are positive. Defaults to none.

    Raises:
        TypeError: a mean or a matrix is not an array of numbers.
        ValueError: no weight; not exactly one matrix; one that is not square, symmetric and
            positive definite, or of another size.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="line")])
        >>> prior = kp.JointNormalPrior(
        ...     {"line/kernel": [[1.0]], "line/bias": [0.0]}, covariance=[[1.0, -0.9], [-0.9, 1.0]])
        >>> sorted(kp.set_priors(model, prior))
        ['line/bias', 'line/kernel']
        >>> round(prior.log_prob({"line/kernel": [[1.0]], "line/bias": [0.0]}), 4)
        -1.0075
    """

    def __init__(
        self,
        mean: Mapping[str, Any],
        covariance: Any = None,
        precision: Any = None,
        *,
        positive: Sequence[str] = (),
    ) -> None:
        if not isinstance(mean, Mapping) or not mean:
            raise ValueError(
                "`mean` of JointNormalPrior must be a mapping from path to array, with a weight "
                f'at least. Received: {mean!r}. Write {{"dense/kernel": array, "dense/bias": '
                "array}."
            )
        owner = "JointNormalPrior"
        means = {path: np.asarray(real(owner, path, value)) for path, value in mean.items()}
        flat = np.concatenate([value.reshape(-1) for value in means.values()])
        found, _ = covariance_from(owner, covariance=covariance, precision=precision)
        if found.size != flat.size:
            raise ValueError(
                f"The matrix of {owner} must have a row for each of the {flat.size} elements of "
                f"`mean`. Received: {found.size} rows."
            )
        shapes = [value.shape for value in means.values()]
        unknown = [path for path in positive if path not in means]
        if unknown or isinstance(positive, str):
            raise ValueError(
                f"`positive` of {owner} must name weights of `mean`, {list(means)}. Received: "
                f"positive={positive!r}."
            )
        logs = [path in positive for path in means]
        self._set([FullBlock(tuple(means), shapes, flat, logs, whitening=found.whitening)], {})

    @classmethod
    def from_parts(
        cls, blocks: Sequence[NormalBlock], independent: Mapping[str, NormalPrior | LogNormalPrior]
    ) -> JointNormalPrior:
        """One of correlated blocks, and of weights without correlations; for `as_prior`."""
        found = cls.__new__(cls)
        found._set(blocks, independent)
        return found

    def _set(
        self, blocks: Sequence[NormalBlock], independent: Mapping[str, NormalPrior | LogNormalPrior]
    ) -> None:
        self._blocks, self._independent = tuple(blocks), dict(independent)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the weights."""
        return (*(path for block in self._blocks for path in block.paths), *self._independent)

    @property
    def positive(self) -> tuple[str, ...]:
        """The paths of the weights whose logarithm is normal."""
        found = [
            p for b in self._blocks for p, is_log in zip(b.paths, b.positive, strict=True) if is_log
        ]
        more = [p for p, each in self._independent.items() if isinstance(each, LogNormalPrior)]
        return (*found, *more)

    @property
    def structure(self) -> str:
        """Of P: "full", "low_rank", "kronecker" or "diagonal"."""
        return self._blocks[0].kind if self._blocks else "diagonal"

    def mean(self) -> dict[str, Any]:
        """The mean of each weight, by path; of a positive one that of its logarithm."""
        of_blocks = {p: v for block in self._blocks for p, v in block.split(block.mean).items()}
        return of_blocks | {path: np.asarray(p.loc) for path, p in self._independent.items()}

    def stddev(self) -> dict[str, Any]:
        """The standard deviation of each element, by path; of a positive one, of its logarithm."""
        found = {path: np.asarray(prior.scale) for path, prior in self._independent.items()}
        for block in self._blocks:
            found |= block.split(np.sqrt(block.variance()))
        return {path: found[path] for path in self.paths}

    def precision(self) -> Any:
        """P (D, D) over all elements in the order of `paths`, for small models."""
        parts = [block.precision() for block in self._blocks]
        scales = [np.ravel(np.asarray(prior.scale)) for prior in self._independent.values()]
        parts += [np.diag(scale**-2.0) for scale in scales]
        ends = np.cumsum([len(part) for part in parts])
        matrix = np.zeros((ends[-1], ends[-1]))
        for part, end in zip(parts, ends, strict=True):
            matrix[end - len(part) : end, end - len(part) : end] = part
        return matrix

    def log_prob(self, position: Mapping[str, Any]) -> float:
        """Log density in nats at a mapping from the path of each weight to an array."""
        missing = [path for path in self.paths if path not in position]
        if missing:
            raise ValueError(
                f"A position must have an array for each of {list(self.paths)}. Received: none "
                f"for {missing}."
            )
        values = {p: ops.convert_to_tensor(position[p], dtype="float32") for p in self.paths}
        total = sum(float(b.log_prob([values[p] for p in b.paths])) for b in self._blocks)
        return total + sum(float(p.log_prob(values[k])) for k, p in self._independent.items())

    def parts(self) -> dict[str, Prior]:
        """The regularizer of each weight, by path: what `set_priors` puts there."""
        found: dict[str, Prior] = dict(self._independent)
        for block in self._blocks:
            mark = _mark(block)
            for k, (path, shape) in enumerate(zip(block.paths, block.shapes, strict=True)):
                found[path] = JointNormalPart(
                    path, shape, k, mark, None if k else block, block.positive[k]
                )
        return {path: found[path] for path in self.paths}

    def __repr__(self) -> str:
        return f"<JointNormalPrior, {self.structure}, over {', '.join(self.paths)}>"


def _mark(block: NormalBlock) -> str:
    """Tells blocks apart: the same for the same weights and numbers."""
    found = hashlib.blake2b(
        repr((block.kind, block.paths, block.shapes, block.positive)).encode(), digest_size=16
    )
    for array in (block.mean, *block.arrays.values()):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
