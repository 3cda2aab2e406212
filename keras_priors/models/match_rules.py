"""Which weights a rule of `set_priors` is about."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_priors.functional.weights import Weight
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.path_matches import path_matches, tails

KINDS = (
    'a weight\'s path with wildcards ("encoder/*/kernel"), a layer, a layer class, or a '
    "callable(layer, variable) that returns a boolean"
)


def match(weights: Sequence[Weight], rules: Any) -> dict[int, Prior | None]:
    """For the index of each trained weight that a rule matches, what the last such rule says."""
    if isinstance(rules, JointNormalPrior):
        return _match_joint(weights, rules)
    if isinstance(rules, Prior):
        rules = {"*": rules}
    if not isinstance(rules, Mapping):
        raise TypeError(
            "`rules` must be a prior, or a mapping from pattern to a prior or None. "
            f"Received: {rules!r} of type {type(rules).__name__}. For one prior on all weights "
            "write keras_priors.NormalPrior(0, 1)."
        )
    if not rules:
        raise ValueError("`rules` must hold at least one pattern. Received: an empty mapping.")
    matched: dict[int, Prior | None] = {}
    for pattern, prior in rules.items():
        _check_prior(pattern, prior)
        test = _test(pattern)
        found = [i for i, weight in enumerate(weights) if test(weight)]
        trained = [i for i in found if weights[i].variable.trainable]
        if not trained:
            raise ValueError(_nothing(pattern, [weights[i] for i in found], weights))
        if prior is not None:
            _check_scale(pattern, prior, [weights[i] for i in trained])
        matched.update(dict.fromkeys(trained, prior))
    return matched


def _match_joint(weights: Sequence[Weight], joint: JointNormalPrior) -> dict[int, Prior | None]:
    """Each weight that a joint prior names, once."""
    matched: dict[int, Prior | None] = {}
    named_by: dict[int, str] = {}
    for path, part in joint.parts().items():
        named = [
            i
            for i, weight in enumerate(weights)
            if weight.variable.trainable and any(path in tails(name) for name in weight.names)
        ]
        # A weight whose whole path it is comes before those that end in it.
        found = [i for i in named if weights[i].path == path] or named
        if len(found) != 1:
            raise ValueError(
                "A joint prior names each of its weights by a path that one trained weight of the "
                f"model has. Received: {path}, which {len(found)} have, of "
                f"{_listed([w.path for w in weights if w.variable.trainable])}. Give it to the "
                "model that it comes from, or to one whose layers have the same names, as a "
                "`keras.models.clone_model` has; and train the weights that it names."
            )
        if found[0] in matched:
            raise ValueError(
                "Each path of a joint prior must name another weight. Received: "
                f"{named_by[found[0]]} and {path}, both of {weights[found[0]].path}. Write the "
                "whole paths, as in `keras_priors.get_priors`."
            )
        matched[found[0]], named_by[found[0]] = part, path
    return matched


def _check_prior(pattern: Any, prior: Any) -> None:
    if prior is not None and not isinstance(prior, Prior):
        raise TypeError(
            f"The rule for {_shown(pattern)} must be a prior, or None to remove one. "
            f"Received: {prior!r} of type {type(prior).__name__}. "
            "In place of L2 write keras_priors.NormalPrior(0, scale), of L1 a LaplacePrior."
        )


def _check_scale(pattern: Any, prior: Prior, weights: Sequence[Weight]) -> None:
    """Refuses an unknown scale for the posterior of a layer that is built."""
    variational = [w.path for w in weights if w.penalty is not None]
    if prior.latent_scale is not None and variational:
        raise ValueError(
            "A scale that is learned needs a variable of a variational layer, which one that is "
            f"built cannot gain. Received: {prior!r} for {_shown(pattern)}, which matches "
            f"{_listed(variational)}. Give it where such "
            "layers are made: VariationalDense(10, kernel_prior=...), or "
            "keras_priors.to_variational(model, prior=...); or give a number as scale."
        )


def _test(pattern: Any) -> Callable[[Weight], bool]:
    if isinstance(pattern, str):
        return lambda weight: any(path_matches(name, pattern) for name in weight.names)
    if isinstance(pattern, type):
        if not issubclass(pattern, keras.layers.Layer):
            raise TypeError(
                f"A class as a pattern must be a layer class. Received: {pattern.__name__}. "
                "Write keras.layers.Dense, or another subclass of keras.layers.Layer."
            )
        return lambda weight: any(isinstance(layer, pattern) for layer in weight.above)
    if isinstance(pattern, keras.layers.Layer):  # callable, but its call is another
        return lambda weight: any(layer is pattern for layer in weight.above)
    if callable(pattern):
        return lambda weight: bool(pattern(weight.owner, weight.variable))
    raise TypeError(
        f"A pattern must be {KINDS}. Received: {pattern!r} of type {type(pattern).__name__}."
    )


def _shown(pattern: Any) -> str:
    if isinstance(pattern, str):
        return repr(pattern)
    if isinstance(pattern, keras.layers.Layer):
        return f"{pattern.name} ({type(pattern).__name__})"
    return str(getattr(pattern, "__name__", repr(pattern)))


def _nothing(pattern: Any, frozen: Sequence[Weight], weights: Sequence[Weight]) -> str:
    rule = "A pattern of `set_priors` must match a trainable weight. "
    if frozen:
        paths = _listed([weight.path for weight in frozen])
        return (
            f"{rule}Received: {_shown(pattern)}, which matches frozen weights alone: {paths}. "
            "No penalty of theirs enters the loss. Set `trainable = True` on their layer first."
        )
    trained = [weight for weight in weights if weight.variable.trainable]
    if not trained:
        return f"{rule}Received: {_shown(pattern)}, and a model without trainable weights."
    if isinstance(pattern, type):
        classes = sorted({type(layer).__name__ for w in trained for layer in w.above})
        return (
            f"{rule}Received: {pattern.__name__}, and a model whose layers with trainable weights "
            f"are of {', '.join(classes)}."
        )
    if isinstance(pattern, keras.layers.Layer):
        layers = list(dict.fromkeys(layer.name for w in trained for layer in w.above))
        return (
            f"{rule}Received: {_shown(pattern)}, a layer that is not within this model or has no "
            f"trainable weight there. Its layers with some are: {_listed(layers)}. A wrapper "
            'copies the layer it is given: take its own. For all weights write "*".'
        )
    near = [weight.path for weight in trained]
    if isinstance(pattern, str):
        ends = {tail: w.path for w in trained for name in w.names for tail in tails(name)}
        close = difflib.get_close_matches(pattern, list(ends), n=5, cutoff=0.5)
        near = list(dict.fromkeys(ends[tail] for tail in close)) or near
    return f"{rule}Received: {_shown(pattern)}. Near it are: {_listed(near)}."


def _listed(paths: Sequence[str], most: int = 5) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
