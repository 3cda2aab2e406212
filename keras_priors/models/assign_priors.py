"""Puts priors on weights, where Keras saves them: all of them, or none."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_priors.functional.weights import Weight
from keras_priors.layers.kernel_layer import KernelLayer
from keras_priors.layers.variational import Variational
from keras_priors.models.rebuild import rebuild
from keras_priors.models.regularizer_places import Places, aligned
from keras_priors.priors.joint_normal_part import JointNormalPart
from keras_priors.priors.prior import Prior

WAY_OUT = (
    "Leave the weight out; or let the layer take `..._regularizer` and `..._constraint` as "
    "arguments, hand them to `add_weight` and return them from `get_config`, and let a subclassed "
    "model around it return its layers. To train with priors that are not saved, and are to be set "
    "again after each load: `set_priors(model, rules, saved=False)`."
)


def assign(
    model: keras.Model,
    weights: Sequence[Weight],
    chosen: Mapping[int, Prior | None],
    saved: bool = True,
) -> None:
    """Give the weights with these indices a copy each of these priors; None removes.

    All is set, then the model is made once of its config and compared. Where something does not
    hold, an error is raised and the model is as it was. Unless they are to be saved, the variables
    alone get them.
    """
    chosen = {i: p for i, p in chosen.items() if not _is_bare(weights[i], p)}
    _check_joint(weights, chosen)
    for index, prior in chosen.items():
        _check(weights[index], prior)
    changes = _Changes()
    try:
        if saved:
            _assign_plain(model, weights, chosen, changes)
        else:
            _assign_variables(weights, chosen, changes)
        for index, prior in chosen.items():
            if weights[index].penalty is not None:
                _assign_variational(weights[index], prior, changes)
        if chosen and saved:
            _verify(model, weights, chosen, changes)
    except BaseException:
        changes.undo()
        raise


class _Changes:
    """Attributes that were set, and what they were before."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._seen: set[tuple[int, str]] = set()

    def put(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        self._undo.append(lambda: setattr(owner, name, before))
        self._seen.add((id(owner), name))
        setattr(owner, name, value)

    def has(self, owner: Any, name: str) -> bool:
        return (id(owner), name) in self._seen

    def undo(self) -> None:
        for step in reversed(self._undo):
            step()


def _check_joint(weights: Sequence[Weight], chosen: Mapping[int, Prior | None]) -> None:
    """Refuses another prior for one weight of a joint one, while others keep theirs."""
    marks = {i: w.prior.mark for i, w in enumerate(weights) if isinstance(w.prior, JointNormalPart)}
    parted = {marks[i] for i in chosen if i in marks}
    left = [weights[i].path for i, mark in marks.items() if mark in parted and i not in chosen]
    if left:
        raise ValueError(
            "The weights of a joint prior have one density together: give all of them another "
            f"prior, or none. Received: one for {', '.join(weights[i].path for i in chosen)}, "
            f"and none for {', '.join(left)}."
        )


def _is_bare(weight: Weight, prior: Prior | None) -> bool:
    return prior is None and weight.penalty is None and weight.variable.regularizer is None


def _check(weight: Weight, prior: Prior | None) -> None:
    if weight.penalty is not None and weight.penalty.learned is not None:
        raise ValueError(
            "A prior whose scale is learned has a variable in its layer, which one that is built "
            f"cannot lose. Received: {prior!r} for {weight.path} of {weight.owner.name}, which has "
            f"{weight.prior!r}. Give the other prior where the layer is made, or leave this weight "
            "out."
        )
    if prior is None:
        if weight.penalty is not None:
            raise ValueError(
                "A posterior needs a prior: the KL is taken to it. "
                f"Received: None for {weight.path} of {weight.owner.name}. Write a wide prior, "
                "such as keras_priors.NormalPrior(0, 10), or leave this weight out."
            )
        return
    try:
        prior.check_shape(weight.shape)
        if weight.penalty is not None:
            weight.penalty.posterior.check_support(prior)
    except ValueError as error:
        raise ValueError(f"A prior does not fit {weight.path}. {error}") from error


def _assign_plain(
    model: keras.Model,
    weights: Sequence[Weight],
    chosen: Mapping[int, Prior | None],
    changes: _Changes,
) -> None:
    plain = {i: p for i, p in chosen.items() if weights[i].penalty is None}
    if not plain:
        return
    places = Places(model, weights)
    _assign_variables(weights, plain, changes)
    for kind, of in places.of.items():
        set_now = [i for i in plain if changes.has(weights[i].variable, kind)]
        homeless = [weights[i] for i in set_now if of[i] is None]
        if homeless:
            raise ValueError(_no_place(model, homeless, kind))
        for index in set_now:
            weight, place = weights[index], of[index]
            sharers = [w for w, other in zip(weights, of, strict=True) if other == place]
            attributes = places.attributes(place)
            _check_sharers(sharers, weight, kind, attributes)
            for layer, name in attributes:
                changes.put(layer, name, _copy(getattr(weight.variable, kind)))


def _assign_variables(
    weights: Sequence[Weight], chosen: Mapping[int, Prior | None], changes: _Changes
) -> None:
    for index, prior in chosen.items():
        if weights[index].penalty is None:
            _put_constraint(weights[index], prior, changes)
            changes.put(weights[index].variable, "regularizer", _copy(prior))


def _put_constraint(weight: Weight, prior: Prior | None, changes: _Changes) -> None:
    present = weight.variable.constraint
    brought = None if weight.prior is None else weight.prior.constraint()
    wanted = None if prior is None else prior.constraint()
    if _config(wanted) == _config(present):
        return
    if present is not None and _config(present) != _config(brought):
        if wanted is None:
            return
        raise ValueError(
            f"A prior with bounded support keeps its weight there by a constraint, and "
            f"{weight.path} of {weight.owner.name} has another one. Received: {prior!r} and "
            f"{type(present).__name__} with {_config(present)['config']}. Take that constraint "
            "from the layer, or give a prior on the whole line."
        )
    changes.put(weight.variable, "constraint", wanted)


def _check_sharers(
    sharers: Sequence[Weight], weight: Weight, kind: str, attributes: Sequence[tuple[Any, str]]
) -> None:
    wanted = _config(getattr(weight.variable, kind))
    other = [
        w for w in sharers if w.variable.trainable and _config(getattr(w.variable, kind)) != wanted
    ]
    if other:
        layer, name = attributes[0] if attributes else (weight.owner, kind)
        raise ValueError(
            f"{layer.name} ({type(layer).__name__}) keeps one `{name.lstrip('_')}` for "
            f"{', '.join(w.path for w in sharers)}: these weights must have the same prior. "
            f"Received: {getattr(weight.variable, kind)!r} for {weight.path}, and "
            f"{getattr(other[0].variable, kind)!r} for {other[0].path}. Give all of them the same, "
            "by a pattern that matches all."
        )


def _assign_variational(weight: Weight, prior: Prior | None, changes: _Changes) -> None:
    if weight.penalty is None or prior is None:
        return
    if weight.penalty.posterior.support == "point":
        _put_constraint(weight, prior, changes)
    owner, before, copy = weight.owner, weight.penalty.prior, _copy(prior)
    if isinstance(owner, Variational):
        changes.put(weight.penalty, "prior", copy)
        paths = {owner._weight_name(p.posterior): p.prior for p in owner._kl_penalties}
        # Later patterns win there, and one matches longer paths that end in it.
        changes.put(owner, "prior", dict(sorted(paths.items(), key=lambda item: len(item[0]))))
        return
    holders = [name for name, value in vars(owner).items() if value is before]
    if len(holders) > 1:
        # One object was given for several weights; `kernel_prior` is the one of the kernel.
        name = weight.variable.name.removesuffix("_loc")
        if isinstance(owner, KernelLayer):
            name = owner.weight_arguments.get(name, name)
        holders = [f"{name}_prior"]
    changes.put(weight.penalty, "prior", copy)
    for name in holders:
        changes.put(owner, name, copy)


def _verify(
    model: keras.Model,
    weights: Sequence[Weight],
    chosen: Mapping[int, Prior | None],
    changes: _Changes,
) -> None:
    others = aligned(model, weights, rebuild(model))
    for kind in ("regularizer", "constraint"):
        lost = [
            weights[i]
            for i in chosen
            if kind == "regularizer" or changes.has(weights[i].variable, "constraint")
            if _config(_kept(weights[i], kind)) != _config(_kept(others[i], kind))
        ]
        if lost:
            raise ValueError(_no_place(model, lost, kind))


def _kept(weight: Weight, kind: str) -> Any:
    if kind == "regularizer" and weight.penalty is not None:
        return weight.penalty.prior
    return getattr(weight.variable, kind)


def _no_place(model: keras.Model, lost: Sequence[Weight], kind: str) -> str:
    weight = lost[0]
    around = [layer.name for layer in weight.above if layer is not weight.owner]
    what = "the constraint of its prior" if kind == "constraint" else "a prior"
    more = f" (and {len(lost) - 1} more weights)" if len(lost) > 1 else ""
    return (
        "`set_priors` sets a prior only where `model.save` keeps it. Received: "
        f"{what} for {weight.path} of {weight.owner.name} ({type(weight.owner).__name__}){more}; "
        f"that layer, or what is around it ({', '.join([*around, model.name])}), does not return "
        f"its {kind} from `get_config`, or does not use what it is given. {WAY_OUT}"
    )


def _copy(value: Any) -> Any:
    """An object of its own: Keras saves no sharing of a regularizer, so there is none before."""
    return None if value is None else type(value).from_config(value.get_config())


def _config(value: Any) -> Any:
    return None if value is None else keras.saving.serialize_keras_object(value)
