"""The share of one weight in a normal over several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from keras import ops

from keras_priors.priors.log_normal_prior import LogNormalPrior
from keras_priors.priors.normal_blocks import NormalBlock
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import register, share


@share
@register
class JointNormalPart(Prior):
    """What one weight has of a `JointNormalPrior`: the regularizer through which Keras asks it.

    The first weight of a block stands for the density of all of them, the others add nothing: so
    it is in the loss once, and kept once in the config of a model. There is no density of one
    weight alone, and `log_prob` refuses; who has the values of all takes `block.log_prob`.

    The first reads the other weights where they are, as variables, of which no config knows: they
    are bound to it by whoever looks at the weights of a model (`functional.find_weights`).

    Args:
        path: str, the path of the weight in the `JointNormalPrior`.
        shape: its shape.
        index: integer, its place in the block.
        mark: str, the same for all weights of the block, and of no other.
        block: the `NormalBlock`, or its config, of the first weight; None of the others.
        positive: bool, whether the normal is of the logarithm of the weight. Defaults to False.
        num_data: as of every prior.
    """

    _parameters = ("path",)

    def __init__(
        self,
        path: str,
        shape: Sequence[int],
        index: int,
        mark: str,
        block: NormalBlock | Mapping[str, Any] | None = None,
        positive: bool = False,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        self.path, self.mark, self.index = str(path), str(mark), int(index)
        self.shape, self.positive = tuple(int(n) for n in shape), bool(positive)
        self.block = NormalBlock.from_config(block) if isinstance(block, Mapping) else block
        # A function, because Keras walks over what an attribute holds when it saves.
        self._mates: Any = None

    @property
    def support(self) -> tuple[Any, Any]:
        """(0, inf) of a positive weight."""
        return (0.0 if self.positive else -np.inf), np.inf

    @property
    def factorized(self) -> bool:
        """False: elements are correlated, also with those of other weights."""
        return False

    def bind(self, variables: Sequence[Any]) -> None:
        """Says which variables the weights of the block are, in its order."""
        mates = tuple(variables)
        self._mates = lambda: mates

    def whole(self) -> NormalBlock:
        """The block, which the first weight holds."""
        block = self.block if self.index == 0 else self._bound()[0].regularizer.block
        if block is None:
            raise ValueError(
                f"The first weight of a joint prior holds its density. Received: {self.path} "
                "without one. Set it again by `keras_priors.set_priors`."
            )
        return block

    def marginal(self) -> NormalPrior | LogNormalPrior:
        """What the joint prior says of this weight alone, correlations left out."""
        block = self.whole()
        mean, variance = (block.split(v)[self.path] for v in (block.mean, block.variance()))
        of_one = LogNormalPrior if self.positive else NormalPrior
        return of_one(mean, np.sqrt(variance), num_data=self.num_data)

    def in_loss(self, w: Any) -> Any:
        """Log density in nats of all weights of the block, at the first of them; 0 at others."""
        w = self._as_weight(w)
        mates = self._bound()
        frozen = [v.path for v in mates if not v.trainable]
        if frozen:
            raise ValueError(
                "The weights of a joint prior are trained together, or frozen together. "
                f"Received: {', '.join(frozen)} frozen, and {mates[self.index].path} trained. "
                "Freeze all of them or none, or take "
                '`posterior.as_prior("diagonal")`, which has a prior for each weight.'
            )
        return ops.zeros((), dtype=w.dtype) if self.index else self.together(w)

    def together(self, w: Any) -> Any:
        """Log density in nats of all weights of the block, asked of the first, whose value w is."""
        others = [self._as_weight(v) for v in self._bound()[1:]]
        return self.whole().log_prob([self._as_weight(w), *others])

    def log_prob(self, w: Any) -> NoReturn:
        """Refused: of one weight alone there is no density."""
        raise NotImplementedError(self._together("a density for each weight"))

    def distribution(self, shape: Any) -> NoReturn:
        """Refused: weights are drawn together."""
        raise NotImplementedError(self._together("a distribution for each weight"))

    def sample(self, shape: Any, seed: Any = None) -> NoReturn:
        """Refused: weights are drawn together."""
        raise NotImplementedError(self._together("draws of each weight"))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where the weight has another shape."""
        if tuple(shape) != self.shape:
            raise ValueError(
                f"A joint prior is over weights of the shapes that it was made with. Received: "
                f"{self.path} of shape {tuple(shape)}, not {self.shape}."
            )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        return {
            "path": self.path,
            "shape": list(self.shape),
            "index": self.index,
            "mark": self.mark,
            "block": None if self.block is None else self.block.config(),
            "positive": self.positive,
            "num_data": self.num_data,
        }

    def __repr__(self) -> str:
        return f"JointNormalPart({self.path!r}, num_data={self.num_data})"

    def _bound(self) -> tuple[Any, ...]:
        mates: tuple[Any, ...] = () if self._mates is None else self._mates()
        for k, mate in enumerate(mates):
            part = mate.regularizer
            if not isinstance(part, JointNormalPart) or (part.mark, part.index) != (self.mark, k):
                raise ValueError(
                    "The weights of a joint prior have one density together. Received: "
                    f"{self.path} with its part of one, and {mate.path} with {part!r}. Give "
                    "all of them another prior, or the joint one again, by "
                    "`keras_priors.set_priors`."
                )
        if not mates or mates[self.index].regularizer is not self:
            raise ValueError(
                "A joint prior must know the weights that it is over, which no file and no copy "
                f"of a model says. Received: {self.path} in a model that was loaded or copied. "
                "Write `keras_priors.set_num_data(model, x_train)` before `fit` or `evaluate`, or "
                "`keras_priors.get_priors(model)`."
            )
        return mates

    def _together(self, what: str) -> str:
        return (
            f"A JointNormalPrior has one density for several weights, and not {what}. Received: "
            f"{self.path} of one. Plain `fit`, `inference.LogPosterior` and the methods on it but "
            "`RandomizedMAP`, and `sample_prior` take it; elsewhere take "
            '`posterior.as_prior("diagonal")`.'
        )
