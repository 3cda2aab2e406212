"""Priors by rule, on a model that exists."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_priors.functional.check_built import check_built
from keras_priors.functional.joint_priors import bind_joint_priors
from keras_priors.functional.traversal import find_owners
from keras_priors.functional.weights import find_weights
from keras_priors.models.assign_priors import assign
from keras_priors.models.match_rules import match
from keras_priors.models.move_inside import move_inside
from keras_priors.models.remake_functions import remake_functions
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export


@export("keras_priors")
def set_priors(
    model: keras.Model,
    rules: Prior | JointNormalPrior | Mapping[Any, Prior | None],
    *,
    saved: bool = True,
) -> dict[str, Prior | None]:
    """Put priors on the weights of a model that exists.

    Afterwards the loss that `fit` minimizes holds, for each weight w with a prior p, the penalty

        -log p(w) / num_data        (plain layers)
        kl_weight * KL(q‖p) / num_data        (variational layers)

    in nats per observation. Give `num_data` with the prior, or call `keras_priors.set_num_data`
    before or next: a prior without a number of its own takes the one that all others of the model
    have, where they agree.

    It reaches functional, sequential, nested and subclassed models, the layers within wrappers
    (`Bidirectional`, `TimeDistributed`), the cells of recurrent layers, the projections of
    attention layers, and the posteriors of variational layers. Each weight gets a copy of its own
    of the prior. A regularizer that was there before is replaced.

    A prior is set where `model.save` keeps it, and nowhere else: on the layer that returns it from
    its `get_config`. To know where that is, the model is made twice of its config, with zeros for
    weights (memory: one more copy of the weights meanwhile). Where nothing keeps it, as for a
    weight that a custom layer makes without a regularizer of its own, or the layers that a
    subclassed model makes in its `__init__` without returning them from `get_config`, the call is
    refused. It sets all or nothing. With `saved=False` it sets the priors of the variables alone,
    which train and infer as others do: for models that are made by code and not from their config,
    where `set_priors` belongs into that code, after each load.

    A prior with bounded support (`HalfNormalPrior`) brings its constraint, as
    `kernel_constraint`. Values outside the support are moved inside, with a warning. With such a
    prior its constraint is removed too.

    Args:
        model: a built `keras.Model`, compiled or not; functions that are traced already are made
            anew, also those of the models within it.
        rules: a prior for every trainable weight (kernels, biases, the gamma of a normalization,
            and so on); or a `JointNormalPrior`, of `posterior.as_prior()`, for the weights that it
            names; or a mapping from pattern to a prior, or to None, which removes the prior
            or other regularizer. Where several patterns match a weight the last one wins. A
            pattern is one of
            - str, the path of a weight with the wildcards `*`, `?` and `[...]`. `*` also matches
              "/". A path is the names of the nested models and layers on the way to the weight, and
              its own, joined by "/"; names at its beginning may be left out: "dense/kernel" and
              "kernel" match "encoder/dense/kernel". `variable.path` is matched too;
            - a layer or nested model of the model: all its weights, and those of the layers within;
            - a subclass of `keras.layers.Layer`: all weights of such layers, and of the layers
              within them;
            - a callable of (layer, variable) that returns a boolean, called with the layer that
              made the variable. Of a posterior it is called with its first variable.
        saved: bool, whether each prior must be one that `model.save` keeps. Defaults to True.

    Returns:
        A dict: the path of each weight that a rule matched, and the prior that it has now, or None
        where it was removed.

    Raises:
        TypeError: `model` is not a model, a pattern is none of the above, or a rule is no prior.
        ValueError: the model is not built; a pattern matches no trainable weight; the prior does
            not fit the shape of a weight, or the support of a posterior; the layer has another
            constraint; None for a posterior; or the prior would be lost at save, or be given at
            load to other weights too (`MultiHeadAttention` keeps one `kernel_regularizer` for all
            its kernels).

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([
        ...     keras.Input((4,)),
        ...     keras.layers.Dense(8, name="hidden"),
        ...     keras.layers.Dense(1, name="out"),
        ... ])
        >>> matched = kp.set_priors(model, {
        ...     "*": kp.NormalPrior(0, 1),
        ...     "hidden/kernel": kp.LaplacePrior(0, 0.5),
        ...     "*bias": None,
        ... })
        >>> [path for path, prior in matched.items() if prior is not None]
        ['hidden/kernel', 'out/kernel']
        >>> model.get_layer("hidden").kernel_regularizer
        LaplacePrior(loc=0.0, scale=0.5, num_data=None)
    """
    check_built("set_priors", model)
    weights = find_weights(model)
    chosen = match(weights, rules)
    owners = find_owners(model)
    assign(model, weights, chosen, saved)
    bind_joint_priors(weights)
    _carry_on(owners, find_owners(model))
    remake_functions(model)
    touched = [weights[index] for index in sorted(chosen)]
    move_inside(touched)
    return {weight.path: weight.prior for weight in touched}


def _carry_on(before: list[Any], now: list[Any]) -> None:
    """Give priors that came without `num_data` the one that the model had."""
    had = {owner.num_data for owner in before} - {None}
    if len(had) != 1:
        return
    check = next((owner._num_data_check for owner in before if owner._num_data_check), None)
    for owner in now:
        if owner.num_data is None:
            (owner.num_data,) = had
            owner._num_data_check = check
