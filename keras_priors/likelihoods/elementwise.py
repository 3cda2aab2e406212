"""The base class of likelihoods whose elements are independent given the outputs."""

from abc import abstractmethod
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.likelihood import Likelihood


class ElementwiseLikelihood(Likelihood):
    """log p(y | outputs) = sum_d log p(y_d | outputs), over the last axis. Abstract.

    A subclass gives `_log_density`, `_distribution`, `mean` and `variance`; where its support is
    not the real line, `_inside_support` too, and `_interior_point` where 0 is outside.
    """

    @abstractmethod
    def _log_density(self, y: Any, outputs: Any) -> Any:
        """Log density of each element of a target that is inside the support."""

    @abstractmethod
    def _distribution(self, outputs: Any) -> Any:
        """The native distribution of each element of the target."""

    def distribution(self, outputs: Any) -> Any:
        """A native `Independent`: its batch is the observations, its event one target."""
        each = self._distribution(self._checked(outputs))
        return backend.distribution("Independent", distribution=each, ndims=1)

    def _inside_support(self, y: Any) -> Any:
        """Which elements of the target have a density: real numbers, by default."""
        return ops.isfinite(y)

    def _interior_point(self) -> float:
        """A target inside the support."""
        return 0.0

    def _aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        width = outputs.shape[-1] // self._outputs_per_target
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        y = align(
            type(self).__name__, y, outputs, [(width,), ()] if width == 1 else [(width,)], draws
        )
        return y if len(y.shape) == len(outputs.shape) else ops.expand_dims(y, axis=-1)

    def _joint_log_density(self, y: Any, outputs: Any) -> Any:
        inside = self._inside_support(y)
        # Outside, the density is taken at a point inside, so that neither it nor its gradient
        # can be NaN before it is replaced.
        safe = ops.where(inside, y, ops.cast(self._interior_point(), y.dtype))
        density = self._log_density(safe, outputs)
        return ops.sum(ops.where(inside, density, ops.cast(-np.inf, y.dtype)), axis=-1)
