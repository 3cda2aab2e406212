"""The weights that an inference is about, as one vector without bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.joint_priors import JointPrior, joint_priors
from keras_priors.functional.scaled_weight import (
    ScaledWeight,
    local_scale_of,
    scale_of,
)
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.utils.export import share


@share
class Positions:
    """Trained weights of a model by path, and the way to a flat vector and back.

    A weight whose prior has a bounded support (low, high) is w = b(z) with a bijector b from the
    real line. A weight whose prior has an unknown scale s is w = loc + s z, and s, which has no
    variable in the model, is one more entry after all weights. Every other weight is z itself.

    Args:
        model: the model.
        expanded: bool. Whether priors that are mixtures of normals over a scale of each element
            (`Prior.local_scale`) are that: then these scales are the last entries, and the weight
            is one with an unknown scale. Its prior is the same. Defaults to False.
    """

    def __init__(self, model: Any, expanded: bool = False) -> None:
        self.weights, self._scaled, self.shown = _with_scales(_trained(model), expanded)
        """How many entries there are without the scales of single elements."""
        self.paths = tuple(w.path for w in self.weights)
        self.shapes = tuple(w.shape for w in self.weights)
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)
        self.size = sum(self.sizes)
        """The number of scalars."""
        self.variables = [w.variable for w in self.weights]
        """Those of the model; for a scale, one of its own, whose value says nothing."""
        self.priors = [w.prior for w in self.weights]
        self._bijectors = [_bijector(w) for w in self.weights]
        self.joint = joint_priors(self.weights)
        """Priors over several weights together, whose entries of `priors` have no density."""
        self._joined = {k for joint in self.joint for k in joint.indices}

    @property
    def bounded(self) -> bool:
        """Whether any weight has bounds or an unknown scale, and so is not z itself."""
        return any(b is not None for b in self._bijectors)

    def is_bounded(self, index: int) -> bool:
        """Whether the weight of this index has bounds."""
        return self._bijectors[index] is not None

    @property
    def scaled(self) -> tuple[ScaledWeight, ...]:
        """The weights whose prior has an unknown scale."""
        return tuple(self._scaled.values())

    def is_scaled(self, index: int) -> bool:
        """Whether the prior of the weight of this index has an unknown scale."""
        return index in self._scaled

    def scaled_of(self, index: int) -> ScaledWeight:
        """That scale."""
        return self._scaled[index]

    def split(self, vector: Any) -> list[Any]:
        """The parts of a vector (D,) in the shapes of the weights."""
        ends = np.cumsum(self.sizes)
        return [
            ops.reshape(vector[end - size : end], shape)
            for end, size, shape in zip(ends, self.sizes, self.shapes, strict=True)
        ]

    def constrain(self, vector: Any) -> tuple[list[Any], Any]:
        """Weights inside their supports, and log|dw/dz| in nats, from an unbounded vector (D,)."""
        parts = self.split(vector)
        values = self._inside(parts)
        return values, self._log_det(parts, values, range(len(parts)))

    def log_det(self, vector: Any, indices: Sequence[int]) -> Any:
        """log|dw/dz| in nats of the weights of these indices alone, at a vector (D,)."""
        parts = self.split(vector)
        return self._log_det(parts, self._inside(parts), indices)

    def log_prior(
        self, vector: Any, jacobian: bool = True, indices: Sequence[int] | None = None
    ) -> Any:
        """Log density in nats of the priors at a vector (D,), a scalar.

        With `jacobian` it is that of z, and of a weight with an unknown scale that of N(0, 1): it
        is not divided by a scale that it was multiplied by. Of the weights of `indices` alone, by
        default of all.
        """
        parts = self.split(vector)
        values = self._inside(parts)
        wanted = range(len(parts)) if indices is None else indices
        total = ops.zeros((), dtype="float32")
        for joint in self.joint_among(wanted):
            total = total + joint.block.log_prob_of_z([parts[k] for k in joint.indices])
            if not jacobian:
                total = total - self._log_det(parts, values, joint.indices)
        for k in wanted:
            if k in self._joined:
                continue
            if k in self._scaled:
                total = total + self._scaled[k].log_prob_of_z(parts[k])
                if not jacobian:
                    total = total - self._scaled[k].log_det(values[self._scaled[k].scale])
                continue
            prior, bijector = self.priors[k], self._bijectors[k]
            if prior is not None:
                total = total + prior.log_prob(values[k])
            if bijector is not None and jacobian:
                total = total + ops.sum(bijector[2](parts[k]))
        return total

    def log_prior_of(self, values: Sequence[Any]) -> Any:
        """Log density in nats of the priors of weights and scales as they are, a scalar."""
        total = ops.zeros((), dtype="float32")
        for joint in self.joint:
            each = [ops.convert_to_tensor(values[k], dtype="float32") for k in joint.indices]
            total = total + joint.block.log_prob(each)
        for k, (prior, value) in enumerate(zip(self.priors, values, strict=True)):
            if k in self._joined:
                continue
            if k in self._scaled:
                scaled, s = self._scaled[k], values[self._scaled[k].scale]
                total = total + scaled.log_prob_of_z(scaled.z_of(value, s)) - scaled.log_det(s)
            elif prior is not None:
                total = total + prior.log_prob(value)
        return total

    def joint_among(self, wanted: Sequence[int]) -> list[JointPrior]:
        """The priors over several weights of which all are wanted; one of a part is refused."""
        found = []
        for joint in self.joint:
            inside = [k for k in joint.indices if k in wanted]
            if inside and len(inside) < len(joint.indices):
                raise ValueError(
                    "The weights of a joint prior move together, or are points together. "
                    f"Received: {[self.paths[k] for k in inside]} that move, of a prior over "
                    f'{list(joint.block.paths)}. Take layers="all"; or a prior of each weight: '
                    '`posterior.as_prior("diagonal")`.'
                )
            if inside:
                found.append(joint)
        return found

    def _inside(self, parts: Sequence[Any]) -> list[Any]:
        values = [
            part if bijector is None else bijector[0](part)
            for part, bijector in zip(parts, self._bijectors, strict=True)
        ]
        for k, scaled in self._scaled.items():
            values[k] = scaled.weight_of(parts[k], values[scaled.scale])
        return values

    def _log_det(self, parts: Sequence[Any], values: Sequence[Any], indices: Sequence[int]) -> Any:
        total = ops.zeros((), dtype="float32")
        for k in indices:
            bijector = self._bijectors[k]
            if k in self._scaled:
                total = total + self._scaled[k].log_det(values[self._scaled[k].scale])
            elif bijector is not None:
                total = total + ops.sum(bijector[2](parts[k]))
        return total

    def join(self, values: Sequence[Any]) -> Any:
        """The vector (D,) of weights as they are, bounds or not."""
        return ops.concatenate(
            [
                ops.reshape(ops.convert_to_tensor(v, dtype="float32"), (size,))
                for v, size in zip(values, self.sizes, strict=True)
            ]
        )

    def unconstrain(self, values: Sequence[Any]) -> Any:
        """The unbounded vector (D,) of weights, which are finite and inside their supports."""
        self.check_finite(values)
        parts = []
        for weight, value, bijector in zip(self.weights, values, self._bijectors, strict=True):
            part = ops.convert_to_tensor(value, dtype="float32")
            if bijector is not None:
                inside = _is_inside(weight.prior, part)
                part = bijector[1](part)
                if not (inside and bool(ops.all(ops.isfinite(part)))):
                    raise ValueError(
                        "A weight must lie inside the support of its prior. Received: "
                        f"{weight.path} with values from {np.min(_numpy(value)):.4g} to "
                        f"{np.max(_numpy(value)):.4g} under {weight.prior!r}. Start the layer "
                        "with `..._initializer=prior.initializer()` and give it "
                        "`..._constraint=prior.constraint()`, or use keras_priors.set_priors."
                    )
            parts.append(part)
        for k, scaled in self._scaled.items():
            s = ops.convert_to_tensor(values[scaled.scale], dtype="float32")
            parts[k] = scaled.z_of(parts[k], s)
        return self.join(parts)

    def check_finite(self, values: Sequence[Any]) -> None:
        """Refuses weights that are NaN or infinite: an inference begins at them."""
        bad = [
            path
            for path, value in zip(self.paths, values, strict=True)
            if not bool(ops.all(ops.isfinite(ops.convert_to_tensor(value))))
        ]
        if bad:
            raise ValueError(
                "The weights must be finite where an inference begins. Received: NaN or infinity "
                f"in {', '.join(bad)}. Give the model fresh or earlier weights; if training lost "
                "them, lower its learning rate and look for NaN in its data."
            )

    def current(self) -> list[Any]:
        """The values that the model's weights have now, as tensors; of a scale, what they suggest.

        A scale is the root mean square of w - loc within its group, but no less than a thousandth
        of the `initial` of its `Learnable`, and that where all weights are at loc.
        """
        values = [ops.stop_gradient(ops.convert_to_tensor(v)) for v in self.variables]
        return self.with_scales(values, 0)

    def with_scales(self, values: Sequence[Any], first: int | None = None) -> list[Any]:
        """The values with all scales from the entry `first` on as the weights suggest them.

        By default those of single elements, which may be left out of `values`.
        """
        first = self.shown if first is None else first
        found = [*values[: self.shown], *self.variables[self.shown :]]
        for k, scaled in self._scaled.items():
            if scaled.scale >= first:
                found[scaled.scale] = ops.convert_to_tensor(scaled.guess(found[k]))
        return found

    def checked(self, position: Mapping[str, Any]) -> list[Any]:
        """The values of a mapping from path to array, in order."""
        missing = [path for path in self.paths if path not in position]
        unknown = [path for path in position if path not in self.paths]
        if missing or unknown:
            raise ValueError(
                f"A position must have one array for each weight: {list(self.paths)}. "
                f"Received: a mapping without {missing} and with the unknown {unknown}."
            )
        values = [ops.convert_to_tensor(position[path], dtype="float32") for path in self.paths]
        for path, shape, value in zip(self.paths, self.shapes, values, strict=True):
            if tuple(value.shape) != shape:
                raise ValueError(
                    f"{path} must have the shape {shape}. Received: shape {tuple(value.shape)}."
                )
        return values

    def named(self, values: Sequence[Any]) -> dict[str, Any]:
        """NumPy arrays by path."""
        return {path: _numpy(v) for path, v in zip(self.paths, values, strict=True)}

    def names(self) -> list[str]:
        """One name for each scalar: the path, and the index in brackets."""
        return [
            path + (f"[{','.join(map(str, index))}]" if index else "")
            for path, shape in zip(self.paths, self.shapes, strict=True)
            for index in np.ndindex(shape)
        ]

    def without_prior(self) -> list[str]:
        """Paths of the weights whose prior is flat because none was given."""
        return [w.path for w in self.weights if w.prior is None]


def _with_scales(
    weights: list[Weight], expanded: bool
) -> tuple[list[Weight], dict[int, ScaledWeight], int]:
    """(all entries, by the index of a weight its unknown scale, entries without local ones)."""
    entries, scaled = list(weights), {}
    found = [(k, weight, scale_of(weight)) for k, weight in enumerate(weights)]
    shown = len(weights) + sum(scale is not None for _, _, scale in found)
    if expanded:
        found += [(k, weight, local_scale_of(weight)) for k, weight in enumerate(weights)]
    for k, weight, scale in found:
        if scale is None:
            continue
        path, shape, latent = scale
        if latent.prior is None:
            raise ValueError(
                "An unknown scale needs a prior where it is inferred with the weights: a flat one "
                "has no posterior, whose mass would lie at the scale 0. Received: "
                f"{weight.prior!r} on {weight.path}. Write `Learnable(..., prior="
                "keras_priors.HalfCauchyPrior(1.0))`. To maximize the evidence by the scale "
                "(type II), give a number, and tune it by `Laplace().fit(...).tune()`; or take a "
                "variational layer."
            )
        latent.prior.check_shape(shape)
        variable = keras.Variable(
            np.full(shape, latent.initial, "float32"), trainable=False, name=latent.name
        )
        variable.regularizer = latent.prior
        scaled[k] = ScaledWeight(k, len(entries), latent, weight.shape, shape)
        entries.append(Weight(path, path, (path,), None, (), variable, None))
    return entries, scaled, shown


def _trained(model: Any) -> list[Weight]:
    weights = [w for w in find_weights(model) if w.variable.trainable]
    if not weights:
        raise ValueError(
            "An inference needs a model with trained weights. "
            f"Received: {model.name}, which has none. Set `trainable = True` on its layers."
        )
    variational = [w.path for w in weights if w.penalty is not None]
    if variational:
        raise ValueError(
            "The log posterior is that of a plain model: posteriors of variational layers have "
            f"taken the place of weights. Received: {model.name} with posteriors over "
            f"{variational}. Use keras_priors.inference.VariationalLayers(), or "
            "keras_priors.to_deterministic(model) and keras_priors.set_priors."
        )
    for weight in weights:
        regularizer = weight.variable.regularizer
        if regularizer is not None and weight.prior is None:
            raise ValueError(
                "A penalty must be a prior to be part of a log posterior. Received: "
                f"{regularizer!r} on {weight.path}. In place of L2(c) write "
                "keras_priors.NormalPrior(0, 1 / sqrt(2 * c * num_data)), of L1(c) "
                "keras_priors.LaplacePrior(0, 1 / (c * num_data))."
            )
        if weight.prior is not None:
            weight.prior.check_shape(weight.shape)
    return weights


def _bijector(weight: Weight) -> Any:
    if weight.prior is None:
        return None
    if not weight.prior.support_is_interval:
        raise ValueError(
            "Inference over the weights needs priors whose support is an interval for each "
            f"element. Received: {weight.prior!r} for {weight.path}. Freeze that layer, or give "
            "it another prior."
        )
    low, high = (np.asarray(bound, "float32") for bound in weight.prior.support)
    finite = [np.isfinite(bound) for bound in (low, high)]
    if not finite[0].any() and not finite[1].any():
        return None
    if any(f.any() and not f.all() for f in finite):
        raise ValueError(
            "A prior is bounded for all elements of a weight or for none. Received: "
            f"{weight.prior!r} for {weight.path}. Give the bounded part a layer of its own."
        )
    bounds = [
        ops.convert_to_tensor(bound) if f.all() else None
        for bound, f in zip((low, high), finite, strict=True)
    ]
    return backend.bijector(*bounds)


def _is_inside(prior: Any, value: Any) -> bool:
    # PyTorch's inverses take what is outside to the nearest point inside.
    low, high = (ops.convert_to_tensor(b, dtype=value.dtype) for b in prior.support)
    return bool(ops.all(ops.logical_and(value > low, value < high)))


def _numpy(value: Any) -> Any:
    return keras.ops.convert_to_numpy(value)
