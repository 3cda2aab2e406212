"""The weights of a model that can have a prior, and the names under which they are found."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras

from keras_priors.functional.joint_priors import bind_joint_priors
from keras_priors.layers.kl_penalty import KLPenalty
from keras_priors.layers.variational import Variational
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import share
from keras_priors.utils.inner_paths import descend
from keras_priors.utils.keras_internals import all_layers, own_weights


@share
@dataclass(frozen=True, eq=False)
class Weight:
    """A variable of a plain layer, or what one posterior of a variational layer stands for."""

    path: str
    """The names of the layers on the first way down to it, and its own.

    Not `variable.path`, which has no names of nested models, begins with that of a Sequential, and
    after `load_model` has lost those of wrappers. The name of a `Variational` that is that of the
    layer within it, as `to_variational` gives it, stands there once, so that a weight has the path
    that it has in the plain model.
    """
    whole_path: str
    """The path with such a name twice, as files of before have it."""
    names: tuple[str, ...]
    """The paths, the same by other ways (of a shared layer), and `variable.path`."""
    owner: Any
    """The layer that made it."""
    above: tuple[Any, ...]
    """The layers on the ways down to it, the owner among them, the model not."""
    variable: Any
    """The variable; of a posterior its first one."""
    penalty: KLPenalty | None
    """The KL of the posterior; None for a plain layer."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight."""
        of = self.variable if self.penalty is None else self.penalty.posterior
        return tuple(of.shape)

    @property
    def prior(self) -> Prior | None:
        """The prior that it has now."""
        if self.penalty is not None:
            return self.penalty.prior
        regularizer = self.variable.regularizer
        return regularizer if isinstance(regularizer, Prior) else None


@share
def find_weights(model: Any) -> list[Weight]:
    """All weights of a built model, trained or frozen, each once, in the order of its layers."""
    ways = _ways(model)
    penalties = {
        id(penalty): (layer, penalty)
        for layer in all_layers(model)
        if isinstance(layer, VariationalLayer)
        for penalty in layer._kl_penalties
    }
    # A posterior's variables are not weights by themselves, nor is what else its layer makes.
    taken = {
        id(v)
        for _, penalty in penalties.values()
        for v in vars(penalty.posterior).values()
        if isinstance(v, keras.Variable)
    }
    found: dict[int, tuple[Any, Any, KLPenalty | None]] = {}
    for layer, _ in descend(model):
        if isinstance(layer, VariationalLayer):
            for penalty in layer._kl_penalties:
                found[id(penalty)] = (layer, penalty.posterior.loc, penalty)
        else:
            for variable in own_weights(layer):
                if id(variable) not in taken:
                    found.setdefault(id(variable), (layer, variable, None))
    seen: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    weights = [_weight(*entry, ways[id(entry[1])], seen) for entry in found.values()]
    bind_joint_priors(weights)
    return weights


def _weight(
    owner: Any,
    variable: Any,
    penalty: KLPenalty | None,
    ways: list[tuple[Any, ...]],
    seen: tuple[Counter[str], Counter[str]],
) -> Weight:
    last = _without_loc(owner, variable, variable.name)
    addresses = ["/".join([*_names(way), last]) for way in ways]
    whole = ["/".join([*(layer.name for layer in way), last]) for way in ways]
    path, whole_path = (_counted(a[0], s) for a, s in zip((addresses, whole), seen, strict=True))
    above = {id(layer): layer for way in ways for layer in way}
    above.setdefault(id(owner), owner)
    return Weight(
        path=path,
        whole_path=whole_path,
        names=tuple(
            dict.fromkeys([path, *addresses, *whole, _without_loc(owner, variable, variable.path)])
        ),
        owner=owner,
        above=tuple(above.values()),
        variable=variable,
        penalty=penalty,
    )


def _names(way: tuple[Any, ...]) -> list[str]:
    """The names on a way, that of a wrapper only where the layer within it has another."""
    return [
        layer.name
        for layer, below in zip(way, (*way[1:], None), strict=True)
        if not (isinstance(layer, Variational) and below and below.name == layer.name)
    ]


def _counted(path: str, seen: Counter[str]) -> str:
    # Within a subclassed model or an RNN two layers may have one name.
    seen[path] += 1
    return path if seen[path] == 1 else f"{path}#{seen[path]}"


def _without_loc(owner: Any, variable: Any, name: str) -> str:
    # "dense/kernel_loc" stands for the weight "dense/kernel"; the wrapper keeps a layer's own name.
    own = isinstance(owner, VariationalLayer) and any(variable is v for v in own_weights(owner))
    return name.removesuffix("_loc") if own else name


def _ways(model: Any) -> dict[int, list[tuple[Any, ...]]]:
    """For each variable, by id, the layers on each way from the model down to it."""
    ways: dict[int, list[tuple[Any, ...]]] = {}
    for layer, way in descend(model):
        for variable in own_weights(layer):
            ways.setdefault(id(variable), []).append(way)
    return ways
