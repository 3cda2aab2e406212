"""Which weights of a model have one prior together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_priors.priors.joint_normal_part import JointNormalPart
from keras_priors.priors.normal_blocks import NormalBlock
from keras_priors.utils.export import share


@share
@dataclass(frozen=True)
class JointPrior:
    """A normal over some weights."""

    block: NormalBlock
    indices: tuple[int, ...]
    """Of the weights, in the order of the block."""

    def draws(self, number: int, words: Any) -> list[Any]:
        """Draws of each weight in the order of the block, arrays (number, ...), by a seed."""
        random = np.random.default_rng([int(word) for word in np.ravel(words)])
        noise = random.standard_normal((number, self.block.size))
        drawn = self.block.mean + np.stack([self.block.color(each) for each in noise])
        return list(self.block.to_weights(drawn.astype("float32")).values())


@share
def bind_joint_priors(weights: Sequence[Any]) -> None:
    """Tell the parts of joint priors which variables they are over, where all are here."""
    for places in _places(weights).values():
        indices = _complete(weights, places)
        for k in indices:
            weights[k].prior.bind([weights[i].variable for i in indices])


@share
def joint_priors(weights: Sequence[Any]) -> list[JointPrior]:
    """The joint priors among weights, each of which has all of its weights there, once.

    Raises:
        ValueError: a joint prior with a weight that is not among these, or is there twice.
    """
    found = []
    for places in _places(weights).values():
        indices = _complete(weights, places)
        if not indices:
            paths = [weights[k].path for each in places.values() for k in each]
            raise ValueError(
                "A joint prior is over weights that are all trained, each once, and have no other "
                f"prior. Received: one of which only, or more than once, {', '.join(paths)} are "
                "so. Train and freeze its weights together; give all of them another prior, or "
                "the joint one again, by `keras_priors.set_priors`."
            )
        found.append(JointPrior(weights[indices[0]].prior.whole(), indices))
    return found


def _places(weights: Sequence[Any]) -> dict[str, dict[int, list[int]]]:
    """By mark of a joint prior, and by place in its block, the indices of the weights there."""
    found: dict[str, dict[int, list[int]]] = {}
    for k, weight in enumerate(weights):
        if isinstance(weight.prior, JointNormalPart):
            found.setdefault(weight.prior.mark, {}).setdefault(weight.prior.index, []).append(k)
    return found


def _complete(weights: Sequence[Any], places: dict[int, list[int]]) -> tuple[int, ...]:
    """The indices of all weights of a block in its order, or none."""
    block = weights[places[0][0]].prior.block if 0 in places else None
    if block is None or sorted(places) != list(range(len(block.paths))):
        return ()
    once = all(len(each) == 1 for each in places.values())
    return tuple(places[k][0] for k in range(len(places))) if once else ()
