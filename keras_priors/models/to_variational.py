# Long: one conversion, whose parts share what a call of it asks for.
"""From a Keras model to a variational one."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.carry_priors import carry_priors
from keras_priors.functional.check_built import check_built
from keras_priors.functional.clone import clone, copy_variables, is_cloneable, own
from keras_priors.functional.copy_of import copy_of
from keras_priors.functional.lost_prior import lost_prior
from keras_priors.layers.variational import Variational
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.models.count_of_loss import check_given
from keras_priors.models.twins import posteriors_by_weight, twins
from keras_priors.models.variational_model import VariationalModel
from keras_priors.posteriors.get import get as get_posterior
from keras_priors.posteriors.posterior import Posterior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.inner_paths import inner_paths
from keras_priors.utils.keras_internals import all_layers, own_weights
from keras_priors.utils.path_matches import path_matches
from keras_priors.utils.warn import warn

_NORMALIZATION = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)


@export("keras_priors")
def to_variational(
    model: keras.Model,
    prior: Prior | Mapping[str, Prior] | None = None,
    posterior: str | Posterior | Mapping[str, Any] = "mean_field",
    estimator: str = "reparameterization",
    layers: Any = None,
    start: str = "pretrained",
    *,
    num_data: int | None = None,
    seed: int | None = None,
) -> keras.Model:
    """A copy of a Keras model with posteriors over its weights.

    A layer that has a variational twin (`Dense`, `EinsumDense`, `Conv2D`, `Embedding`, ...) is
    replaced by it; any other with trainable weights is wrapped by
    `keras_priors.layers.Variational`, and a subclassed model is wrapped as a whole. Topology,
    names, shared layers, `trainable` flags and the compile state are kept, and so are layers that
    are frozen. At the posterior means the new model computes what `model` does. The model itself is
    not changed, and one copy of its weights is made, variable by variable.

    Normalization layers stay points, unless `layers` or a pattern of `prior` or `posterior` names
    them, or their weights have a prior: no density around 0 is meant for a factor that starts at 1.

    Args:
        model: built `keras.Model`: Functional, Sequential, nested, or subclassed with a
            `get_config`.
        prior: a prior for all weights but those whose own prior is bounded, such as the scale of
            `NoiseScale`; or a mapping from a pattern, matched against the whole path
            of a weight or its end, to a prior, where later ones win
            (`keras_priors.pretrained_prior(model)` is such a mapping). Weights without one take
            the prior that they have as regularizer, else N(0, 1): the KL to the flat prior, which
            `Method.fit` takes for such weights, is infinite. Defaults to None.
        posterior: str or posterior, the family; or a mapping from pattern to family, as for
            `prior`, with "mean_field" for the rest. `posteriors.MeanFieldNormal(0.01)` sets the
            scale to start with, "delta" leaves a point. A weight whose prior is on positive
            numbers, such as the noise of `NoiseScale`, takes "log_normal" where no pattern says
            more. Defaults to "mean_field".
        estimator: str, for layers with twins; wrapped layers draw once for each call. Defaults to
            "reparameterization".
        layers: which layers: None for all, `"last"`, a pattern of layer names with wildcards, a
            layer class, a callable from layer to bool, or a sequence of these. Defaults to None.
        start: `"pretrained"` for means at the weights of `model`, `"fresh"` for means from
            the initializers of the layers. Defaults to "pretrained".
        num_data: integer or None; see `keras_priors.set_num_data`. Defaults to None.
        seed: integer or None, seed of the draws of all layers. Defaults to None.

    Returns:
        A new `keras.Model`.

    Warns:
        UserWarning: some weights of the model have priors and others took N(0, 1) for want of one.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: it is not built, has no layer to convert, a pattern matches nothing, Keras
            cannot copy a subclassed model from its `get_config`, or a weight has a regularizer
            that is not a prior and gets no prior here.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([
        ...     keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
        ...     keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> bayesian = kp.to_variational(model, prior=kp.NormalPrior(0, 1), num_data=1000)
        >>> [type(layer).__name__ for layer in bayesian.layers]
        ['VariationalConv2D', 'Flatten', 'VariationalDense']
        >>> x = np.ones((2, 8, 8, 1), "float32")
        >>> same = keras.ops.isclose(bayesian(x), model(x), atol=1e-6)
        >>> bool(keras.ops.all(same))
        True

    References:
        - Krishnan, Subedar and Tickoo, 2020, Specifying weight priors in Bayesian deep neural
          networks with empirical Bayes, arXiv:1906.05323 (means at a trained net's weights).
    """
    check_built("to_variational", model)
    if start not in ("pretrained", "fresh"):
        raise ValueError(f'`start` must be "pretrained" or "fresh". Received: start={start!r}.')
    conversion = _Conversion(model, prior, posterior, estimator, num_data, seed)
    chosen = conversion.choose(layers)
    if is_cloneable(model):
        new, pairs = clone(
            model, lambda layer: conversion.replace(layer) if id(layer) in chosen else None
        )
    else:
        new, pairs = conversion.wrap_model(chosen)
    for old, copy in pairs:
        _copy(old, copy, start)
    conversion.warn_of_defaults()
    check_given(new, num_data)
    return new


class _Conversion:
    """What one call of `to_variational` asks for."""

    def __init__(
        self,
        model: Any,
        prior: Any,
        posterior: Any,
        estimator: str,
        num_data: int | None,
        seed: int | None,
    ) -> None:
        if prior is not None and not isinstance(prior, (Prior, Mapping)):
            raise TypeError(
                "`prior` must be a prior such as keras_priors.NormalPrior(0, 1), a mapping from "
                f"pattern to prior, or None. Received: {prior!r} of type {type(prior).__name__}."
            )
        self.model, self.prior = model, prior
        self.num_data = num_data
        self.estimator = estimator
        self.seed = seed
        self.count = 0
        self._without: list[str] = []
        # Weights that stay as they are within a layer that is wrapped.
        self._points: set[int] = set()
        if isinstance(prior, Mapping):
            for pattern, one in prior.items():
                if not isinstance(one, Prior):
                    raise TypeError(
                        f"The rule for {pattern!r} must be a prior, such as NormalPrior(0, 1). "
                        f"Received: {one!r} of type {type(one).__name__}."
                    )
            self._check_patterns("prior", prior)
        # By pattern, and for all others.
        self.posteriors: dict[str, Posterior] = {}
        self.posterior = get_posterior("mean_field")
        if isinstance(posterior, Mapping) and "class_name" not in posterior:
            self.posteriors = {p: get_posterior(family) for p, family in posterior.items()}
            self._check_patterns("posterior", posterior)
        else:
            self.posterior = get_posterior(posterior)

    def _check_patterns(self, name: str, rules: Mapping[str, Any]) -> None:
        paths = [v.path for v in self.model.trainable_variables]
        for pattern in rules:
            if not any(path_matches(path, pattern) for path in paths):
                raise ValueError(
                    f"A pattern of `{name}` must match the path of a trainable weight of "
                    f"{self.model.name}. Received: {pattern!r}; there are {paths[:8]}"
                    f"{' ...' if len(paths) > 8 else ''}."
                )

    def choose(self, layers: Any) -> set[int]:
        """The ids of the layers to convert."""
        leaves = [x for x in _leaves(self.model) if not isinstance(x, VariationalLayer)]
        candidates = [x for x in leaves if _trained(x)]
        if layers is None:
            self._points = {id(v) for x in candidates for v in self._points_of(x)}
            found = [x for x in candidates if any(id(v) not in self._points for v in _trained(x))]
        else:
            rules = layers if isinstance(layers, (list, tuple)) else [layers]
            found = []
            for rule in rules:
                matched = _chosen_by(rule, candidates)
                if not matched:
                    raise ValueError(
                        f"A rule of `layers` must choose a trainable layer of {self.model.name}. "
                        f"Received: {rule!r}; there are {[x.name for x in candidates]}."
                    )
                found += matched
        if not found:
            raise ValueError(
                f"There must be a layer with trainable weights that is not variational yet. "
                f"Received: {self.model.name} with none. Set `trainable = True` on those that "
                "shall be."
            )
        return {id(layer) for layer in found}

    def replace(self, layer: Any) -> Any:
        """The variational layer that takes the place of this one."""
        twin: Any = twins().get(type(layer))
        names = {} if twin is None else twin.weight_arguments
        weights = _trained(layer)
        # Low-rank adaptation and quantization add weights that no twin has, and no config of a twin
        # says that a weight is frozen by itself: its value would be lost, and trained anew.
        frozen = any(not v.trainable for v in layer.weights if v.name in names)
        if twin is None or frozen or any(v.name not in names for v in weights):
            kept = [v for v in weights if id(v) in self._points]
            return self.wrap(layer, {id(v) for v in weights} - self._points if kept else None)
        config = layer.get_config()
        extra: dict[str, Any] = {"num_data": self.num_data, "seed": self._next_seed()}
        for v in weights:
            name = names[v.name]
            found = self._prior_for(v)
            if found is None:
                found = lost_prior(v.regularizer, getattr(layer, f"{name}_regularizer", None))
            if found is None and not isinstance(v.regularizer, (Prior, type(None))):
                raise ValueError(
                    f"The `{name}_regularizer` of a layer that shall be variational must be a "
                    f"prior: the KL needs its density. Received: {v.regularizer!r} of {v.path}. "
                    f'Give its weight a prior: prior={{"{v.path}": keras_priors.NormalPrior()}}.'
                )
            if found is not None:
                config[f"{name}_regularizer"] = None
                extra[f"{name}_prior"] = found
            extra[f"{name}_posterior"] = self._family_for(v)
        try:
            return twin.from_config({**config, **extra, "estimator": self.estimator})
        except TypeError as error:
            # Keras hides what was wrong behind a print of the config.
            cause = error.__context__
            if not isinstance(cause, (TypeError, ValueError, NotImplementedError)):
                raise
            raise type(cause)(f"{layer.name} cannot be made variational. {cause}") from cause

    def wrap(self, layer: Any, only: set[int] | None = None) -> Variational:
        """The wrapper around a copy of this layer, with the ids of the weights to choose."""
        inner = copy_of("to_variational", layer)
        inner.trainable = True  # what is frozen by itself or within it no config says
        for v, inner_v in zip(layer.variables, inner.variables, strict=True):
            if inner_v.trainable and not v.trainable:
                inner_v.trainable = False
        paths = inner_paths(inner)
        pairs = [
            (v, f"{inner.name}/{paths[id(inner_v)]}")
            for v, inner_v in zip(layer.variables, inner.variables, strict=True)
            if v.trainable and (only is None or id(v) in only)
        ]
        lost = {
            id(v): lost_prior(v.regularizer, inner_v.regularizer)
            for v, inner_v in zip(layer.variables, inner.variables, strict=True)
        }
        priors = {path: self._prior_for(v) or lost[id(v)] for v, path in pairs}
        priors = {path: prior for path, prior in priors.items() if prior is not None}
        families: dict[str, Posterior] = {path: self._family_for(v) for v, path in pairs}
        # One family for all is said as one.
        alike = all(family is self.posterior for family in families.values())
        return Variational(
            inner,
            prior=priors or None,
            posterior=self.posterior if alike else families,
            weights="*" if only is None else [path for _, path in pairs],
            name=layer.name,
            seed=self._next_seed(),
            num_data=self.num_data,
        )

    def wrap_model(self, chosen: set[int]) -> tuple[Any, list[tuple[Any, Any]]]:
        """The wrapper around a copy of a model whose graph Keras does not know."""
        model = self.model
        weights = [v for x in _leaves(model) if id(x) in chosen for v in _trained(x)]
        wrapped = self.wrap(model, {id(v) for v in weights} - self._points)
        wrapped.build()
        new = VariationalModel(wrapped, name=model.name)
        if model.compiled:
            new.compile_from_config(model.get_compile_config())
        return new, [(model, wrapped)]

    def _points_of(self, layer: Any) -> list[Any]:
        """The weights of normalization layers, this or within it, of which no rule speaks."""
        patterns = [*self.posteriors, *(self.prior if isinstance(self.prior, Mapping) else ())]
        found: list[Any] = []
        for inner in all_layers(layer):
            weights = inner.trainable_variables if isinstance(inner, _NORMALIZATION) else []
            if not any(
                isinstance(v.regularizer, Prior) or any(path_matches(v.path, p) for p in patterns)
                for v in weights
            ):
                found += weights
        return found

    def _prior_for(self, variable: Any) -> Prior | None:
        if isinstance(self.prior, Mapping):
            fitting = [
                p for pattern, p in self.prior.items() if path_matches(variable.path, pattern)
            ]
            return fitting[-1] if fitting else None
        own = variable.regularizer
        # One prior for all is meant for all that may be any number: a scale keeps its own.
        if isinstance(own, Prior) and own.constraint() is not None:
            return None
        return self.prior

    def _family_for(self, variable: Any) -> Posterior:
        """The family for a weight that gets a posterior."""
        prior = self._prior_for(variable) or variable.regularizer
        if prior is None:
            self._without.append(variable.path)
        fitting = [
            q for pattern, q in self.posteriors.items() if path_matches(variable.path, pattern)
        ]
        if fitting:
            return fitting[-1]
        if isinstance(prior, Prior) and self.posterior.support == "real":
            low, high = prior.support
            positive = np.all(np.asarray(low) == 0) and np.all(np.isposinf(high))
            inside = bool(np.all(ops.convert_to_numpy(variable) > 0))
            if positive and prior.support_is_interval and inside:
                return get_posterior("log_normal")
        return self.posterior

    def warn_of_defaults(self) -> None:
        """Say which weights took N(0, 1) in a model in which others have priors."""
        without = list(dict.fromkeys(self._without))
        # A scale has a prior without anyone having said so.
        given = isinstance(self.prior, Mapping) or any(
            isinstance(v.regularizer, Prior) and v.regularizer.constraint() is None
            for v in self.model.trainable_variables
        )
        if without and given:
            warn(
                "A weight needs a prior for a KL. Received: "
                f"{self.model.name} with none for {', '.join(without[:8])}"
                f"{' ...' if len(without) > 8 else ''}, which took NormalPrior(0, 1) here and have "
                "a flat prior in `Method.fit`. Give them one, as in "
                f'prior={{"{without[0]}": keras_priors.NormalPrior(0, 10)}}, or leave them points: '
                f'posterior={{"{without[0]}": "delta"}}.',
            )

    def _next_seed(self) -> int | None:
        if self.seed is None:
            return None
        self.count += 1
        return int(np.random.SeedSequence([self.seed, self.count]).generate_state(1)[0] >> 1)


def _copy(old: Any, new: Any, start: str) -> None:
    if isinstance(new, Variational) and not isinstance(old, Variational):
        if not new.built:
            new.build()
        if start == "fresh":
            return
        by_loc = {id(q.loc): q for q in new.posteriors.values()}
        for source, target in zip(old.variables, new.layer.variables, strict=True):
            if id(target) in by_loc:
                by_loc[id(target)].assign_mean(own(source))
            else:
                target.assign(own(source))
    elif type(new) is type(old):
        copy_variables(old, new)
        carry_priors(old, new)
    elif start == "pretrained":
        found = posteriors_by_weight(new)
        for source in old.trainable_variables:
            found[source.name].assign_mean(own(source))


def _trained(layer: Any) -> list[Any]:
    # As Keras trains them: a layer within one that is frozen can be set free again.
    return [v for v in layer.variables if v.trainable]


def _leaves(model: Any) -> list[Any]:
    """The layers that `clone` offers for replacement: those that are not models with a graph."""
    if not is_cloneable(model):
        return [x for x in all_layers(model, include_self=False) if own_weights(x)]
    leaves: dict[int, Any] = {}
    for layer in model.layers:
        inner = _leaves(layer) if is_cloneable(layer) else [layer]
        leaves.update({id(x): x for x in inner})
    return list(leaves.values())


def _chosen_by(rule: Any, layers: Sequence[Any]) -> list[Any]:
    if rule == "last":
        return list(layers[-1:])
    if isinstance(rule, str):
        return [x for x in layers if fnmatch.fnmatchcase(x.name, rule)]
    if isinstance(rule, type):
        return [x for x in layers if isinstance(x, rule)]
    if callable(rule):
        return [x for x in layers if rule(x)]
    raise TypeError(
        '`layers` must be None, "last", a pattern of layer names, a layer class, a callable, or a '
        f"sequence of these. Received: {rule!r} of type {type(rule).__name__}."
    )
