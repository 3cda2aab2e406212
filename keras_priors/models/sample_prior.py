"""Draws of a model's weights from their priors."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.check_built import check_built
from keras_priors.functional.joint_priors import joint_priors
from keras_priors.functional.scaled_weight import scale_of
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors")
def sample_prior(model: keras.Model, num_samples: int = 100, seed: Any = None) -> dict[str, Any]:
    """Draw every trained weight of a model from its prior.

    Args:
        model: built `keras.Model`, all of whose trained weights have a prior. Of a variational
            layer it is the prior of its KL.
        num_samples: integer, number S of draws. Defaults to 100.
        seed: integer, `keras.random.SeedGenerator` or None for a fresh one.

    Returns:
        A mapping from the path of each weight, as in `keras_priors.get_priors`, to a NumPy array
        (S, ...). Of a plain layer whose prior has an unknown scale, that too, as
        "dense/kernel/prior_scale": it is drawn first.

    Raises:
        TypeError: `model` is not a model.
        ValueError: it is not built, or a weight has no prior (a flat one cannot be drawn from) or
            one whose scale is learned (by a variational layer, or without a prior of its own).

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0, 2)
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(
        ...     2, use_bias=False, kernel_regularizer=prior, name="dense")])
        >>> kp.sample_prior(model, 5, seed=0)["dense/kernel"].shape
        (5, 3, 2)
    """
    check_built("sample_prior", model)
    num_samples = whole_number("sample_prior", "num_samples", num_samples)
    weights = _with_priors(model)
    seeds = backend.spawn_seeds(seed, num_samples * len(weights))
    seeds = seeds.reshape(num_samples, len(weights), 2)
    drawn: dict[str, Any] = {}
    scales: dict[str, Any] = {}
    joint = {k: each for each in joint_priors(weights) for k in each.indices}
    for k, weight in enumerate(weights):
        if k in joint:
            if k == joint[k].indices[0]:
                together = joint[k].draws(num_samples, seeds[:, k])
                paths = [weights[i].path for i in joint[k].indices]
                drawn |= dict(zip(paths, together, strict=True))
            continue
        drawn[weight.path], scale = _draws(
            weight, ops.convert_to_tensor(seeds[:, k], dtype="uint32")
        )
        scales |= scale
    return {weight.path: drawn[weight.path] for weight in weights} | scales


def _with_priors(model: keras.Model) -> list[Weight]:
    weights = [w for w in find_weights(model) if w.variable.trainable]
    flat = [w.path for w in weights if w.prior is None]
    if flat:
        raise ValueError(
            "A weight without a prior has a flat one, which cannot be drawn from. Received: "
            f"{model.name} with {', '.join(flat)}. Give them a prior, as in "
            f'keras_priors.set_priors(model, {{"{flat[0]}": keras_priors.NormalPrior(0, 1)}}), or '
            "freeze them."
        )
    learned = [w.path for w in weights if _is_learned(w)]
    if learned:
        raise ValueError(
            "A prior whose scale is learned is not one that can be drawn from before the data are "
            f"seen. Received: {model.name} with a learned scale for {', '.join(learned)}. Give the "
            "layers a fixed one, such as keras_priors.NormalPrior(0, 1), or give a plain layer a "
            "prior over the scale; what a variational layer has learned is "
            "`layer.prior_scales[name].mean()`."
        )
    return weights


def _is_learned(weight: Weight) -> bool:
    """Whether the scale of its prior is one that cannot be drawn."""
    latent = None if weight.prior is None else weight.prior.latent_scale
    return latent is not None and (latent.prior is None or weight.penalty is not None)


def _draws(weight: Weight, seeds: Any) -> tuple[Any, dict[str, Any]]:
    """Draws of the weight, and by path of the scale of its prior where that is unknown."""
    prior: Any = weight.prior
    found = scale_of(weight)

    def one(seed: Any) -> list[Any]:
        if found is None:
            return [prior.sample(weight.shape, seed)]
        _, shape, latent = found
        s = latent.prior.sample(shape, backend.fold_in(seed, 1))
        z = backend.standard_normal(weight.shape, backend.fold_in(seed, 2))
        loc = ops.convert_to_tensor(np.asarray(latent.loc, "float32"))
        return [loc + latent.scale_of(s) * z, s]

    drawn = backend.compile_function(lambda each: backend.map_draws(one, each))(seeds)
    values = [ops.convert_to_numpy(v) for v in drawn]
    return values[0], {} if found is None else {found[0]: values[1]}
