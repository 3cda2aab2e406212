"""The log density of a described distribution, -inf outside of its support."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.native_description import rebuild
from keras_priors.utils.parameters import tensor

_MIXTURES = {
    # The component that is chosen, and the components.
    "MixtureSameFamily": ("mixture_distribution", "components_distribution"),
    "Mixture": ("cat", "components"),
}
# Distributions that are another one, with other axes.
_WRAPPERS = ("Independent", "Sample", "BatchBroadcast")


class NativeDensity:
    """A tree of distributions; those at its leaves are the library's own.

    Sums over events and mixtures are taken here, so that each part is asked within its own
    support only: outside, the libraries' densities may be NaN, and may be finite.

    Args:
        description: what `native_description.describe` gave.

    Attributes:
        native: the whole distribution, in float32.
        low: array of the shape of batch and event, the lower ends of the smallest box that holds
            the support; infinite for none.
        high: the upper ends.
        is_box: bool, whether the support is that whole box.

    Raises:
        ValueError: the distribution is discrete, or its library does not say where its support is.
    """

    low: Any
    high: Any
    is_box: bool

    def __init__(self, description: dict[str, Any]) -> None:
        self.native = rebuild(description, "float32")
        self._description = description
        self._name: str = description["distribution"]
        self._rank = len(self.native.event_shape)
        self._shape = (*self.native.batch_shape, *self.native.event_shape)
        self._log_weights: Any = None
        if self._name in _MIXTURES:
            self._read_mixture(*_MIXTURES[self._name])
        elif self._name in _WRAPPERS:
            self._read_wrapped()
        else:
            self._parts: list[NativeDensity] = []
            self._read_support()

    def _read_mixture(self, chosen: str, components: str) -> None:
        parameters = self._description["parameters"]
        self._log_weights = _log_weights(self._name, parameters[chosen])
        together = self._name == "MixtureSameFamily"
        parts = [parameters[components]] if together else parameters[components]
        self._parts = [NativeDensity(part) for part in parts]
        if together:
            bounds = (self._parts[0].low, self._parts[0].high)
            low, high = (np.moveaxis(bound, -1 - self._rank, -1) for bound in bounds)
        else:
            low = np.stack([np.broadcast_to(part.low, self._shape) for part in self._parts], -1)
            high = np.stack([np.broadcast_to(part.high, self._shape) for part in self._parts], -1)
        self.low, self.high = low.min(-1), high.max(-1)
        same = bool((low == low[..., :1]).all() and (high == high[..., :1]).all())
        # Whether the components leave no gap. Events of several elements are a union of boxes.
        whole = same or (self._rank == 0 and _without_gap(low, high))
        self.is_box = whole and all(part.is_box for part in self._parts)

    def _read_wrapped(self) -> None:
        part = NativeDensity(self._description["parameters"]["distribution"])
        self._parts, self.is_box = [part], part.is_box
        axes = self._shape
        if self._name == "Sample":
            # The axes of the sample stand between those of batch and event.
            batch = len(self.native.batch_shape)
            more = len(self._shape) - len(part._shape)
            axes = (*part._shape[:batch], *([1] * more), *part._shape[batch:])
            low, high = np.reshape(part.low, axes), np.reshape(part.high, axes)
        else:
            low, high = part.low, part.high
        self.low, self.high = (np.broadcast_to(bound, self._shape) for bound in (low, high))

    def _read_support(self) -> None:
        try:
            support = backend.support(self.native)
        except NotImplementedError as error:
            raise ValueError(
                "DistributionPrior takes distributions of which the library says where their "
                f"density is not zero. Received: {self._name}: {error}. Write a "
                "`keras_priors.Prior` of your own for it."
            ) from error
        if support is None:
            raise ValueError(
                "DistributionPrior takes distributions over real numbers. "
                f"Received: {self.native!r}, which is discrete (or a point, or partly one)."
            )
        self.low, self.high = (
            np.broadcast_to(bound, self._shape) for bound in (support.low, support.high)
        )
        self.is_box, self._contains = support.contains is None, support.contains
        self._bounded = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        self._point = _between(self.low, self.high) if self.is_box else support.point
        self._closed = [self._holds(bound) for bound in (self.low, self.high)]

    def _holds(self, bound: Any) -> Any:
        """Whether the density is finite at a bound itself: a bool, or an array of them."""
        if not self.is_box or not np.isfinite(bound).any():
            return True
        w = ops.convert_to_tensor(np.where(np.isfinite(bound), bound, self._point), "float32")
        finite = np.isfinite(ops.convert_to_numpy(self.native.log_prob(w)))
        finite = np.reshape(finite, (*finite.shape, *([1] * self._rank)))
        return bool(finite.all()) if finite.all() or not finite.any() else finite

    def log_prob(self, w: Any) -> Any:
        """Log density of each event of a weight, in nats."""
        if self._log_weights is not None:
            return self._mixture_log_prob(w)
        if self._parts:
            return self._wrapped_log_prob(w)
        outside = self._outside(w)
        if outside is None:
            return self._inner_log_prob(w, w)
        point = tensor(self._point, w.dtype)
        if self._contains is not None:
            # Events are inside or outside as a whole.
            whole = ops.reshape(outside, (*outside.shape, *([1] * self._rank)))
            safe = ops.where(whole, point, w)
        else:
            safe = ops.where(outside, point, w)
            outside = self._over_event(ops.any, outside)
        density = self._inner_log_prob(safe, w)
        return ops.where(outside, ops.cast(-np.inf, density.dtype), density)

    def _outside(self, w: Any) -> Any:
        if self._contains is not None:
            # A weight that is NaN is not outside: it stays NaN.
            unknown = self._over_event(ops.any, ops.isnan(w))
            return ops.logical_not(ops.logical_or(self._contains(w), unknown))
        if not self._bounded:
            return None
        low, high = (tensor(b, w.dtype) for b in (self.low, self.high))
        below = _either(self._closed[0], w < low, w <= low)
        above = _either(self._closed[1], w > high, w >= high)
        return ops.logical_or(below, above)

    def _inner_log_prob(self, safe: Any, w: Any) -> Any:
        native = self._in(w.dtype)
        # The zero ties the value to the weight: the density of torch's uniform has no gradient.
        # (Not of an infinite weight, whose zero-fold is NaN.)
        bounded = ops.where(ops.isinf(safe), ops.zeros_like(safe), safe)
        value = native.log_prob(safe) + self._over_event(ops.sum, 0.0 * bounded)
        # A density that overflows on its way to 0. (That of torch's inverse gamma ends at +inf,
        # which would be a loss of -inf.)
        overflown = ops.logical_or(ops.isnan(value), ops.isposinf(value))
        known = self._over_event(ops.all, ops.logical_not(ops.isnan(w)))
        lost = ops.logical_and(overflown, known)
        return ops.where(lost, ops.cast(-np.inf, value.dtype), value)

    def _in(self, dtype: Any) -> Any:
        name = keras.backend.standardize_dtype(dtype)
        return self.native if name == "float32" else rebuild(self._description, name)

    def _over_event(self, reduce: Any, x: Any) -> Any:
        return reduce(x, tuple(range(-self._rank, 0))) if self._rank else x

    def _mixture_log_prob(self, w: Any) -> Any:
        if self._name == "MixtureSameFamily":
            terms = self._parts[0].log_prob(ops.expand_dims(w, -1 - self._rank))
        else:
            terms = ops.stack([part.log_prob(w) for part in self._parts], -1)
        return _log_sum_exp(terms + tensor(self._log_weights, terms.dtype))

    def _wrapped_log_prob(self, w: Any) -> Any:
        part = self._parts[0]
        if self._name != "Sample":
            density = part.log_prob(w)
            axes = self._rank - part._rank
            return ops.sum(density, tuple(range(-axes, 0))) if axes else density
        # The axes of the sample go to the front: the part's batch is aligned from the right.
        more = self._rank - part._rank
        first = len(w.shape) - self._rank
        moved = ops.moveaxis(w, tuple(range(first, first + more)), tuple(range(more)))
        return ops.sum(part.log_prob(moved), tuple(range(more)))


def _log_weights(name: str, chosen: dict[str, Any]) -> Any:
    if chosen["distribution"] != "Categorical":
        raise ValueError(
            f"A {name} in DistributionPrior must choose its components by a Categorical. "
            f"Received: {chosen['distribution']}."
        )
    parameters = chosen["parameters"]
    with np.errstate(divide="ignore"):  # a component may have no weight
        logits = (
            np.asarray(parameters["logits"], "float64")
            if "logits" in parameters
            else np.log(np.asarray(parameters["probs"], "float64"))
        )
    return logits - np.logaddexp.reduce(logits, -1, keepdims=True)


def _log_sum_exp(terms: Any) -> Any:
    """Over the last axis; -inf, with gradients of 0, where all terms are -inf."""
    largest = ops.stop_gradient(ops.max(terms, -1, keepdims=True))
    nothing = ops.isneginf(largest)
    largest = ops.where(nothing, ops.zeros_like(largest), largest)
    total = ops.sum(ops.exp(terms - largest), -1, keepdims=True)
    total = ops.where(nothing, ops.ones_like(total), total)
    value = largest + ops.log(total)
    return ops.where(nothing, ops.cast(-np.inf, value.dtype), value)[..., 0]


def _without_gap(low: Any, high: Any) -> bool:
    """Whether the intervals along the last axis overlap or touch, one after the other."""
    order = np.argsort(low, -1)
    low, high = np.take_along_axis(low, order, -1), np.take_along_axis(high, order, -1)
    return bool((low[..., 1:] <= np.maximum.accumulate(high, -1)[..., :-1]).all())


def _between(low: Any, high: Any) -> Any:
    """A point strictly inside, well away from the bounds."""
    finite_low, finite_high = np.isfinite(low), np.isfinite(high)
    a, b = np.where(finite_low, low, 0.0), np.where(finite_high, high, 0.0)
    one = np.where(finite_low, a + 1.0 + np.abs(a), np.where(finite_high, b - 1.0 - np.abs(b), 0.0))
    return np.where(finite_low & finite_high, 0.5 * (a + b), one)


def _either(closed: Any, beyond: Any, at_or_beyond: Any) -> Any:
    if isinstance(closed, bool):
        return beyond if closed else at_or_beyond
    return ops.where(ops.convert_to_tensor(closed), beyond, at_or_beyond)
