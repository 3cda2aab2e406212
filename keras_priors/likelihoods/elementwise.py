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

    _with_noise_scale = ""
    """How to write the likelihood whose scale is an output, where there is one."""

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

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        width = outputs.shape[-1] // self._outputs_per_target
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        suffixes: list[Any] = [(width,), ()] if width == 1 else [(width,)]
        advice = self._advice(tuple(y.shape), tuple(outputs.shape))
        y = align(type(self).__name__, y, outputs, suffixes, draws, advice)
        return y if len(y.shape) == len(outputs.shape) else ops.expand_dims(y, axis=-1)

    def _advice(self, y: tuple[Any, ...], outputs: tuple[Any, ...]) -> str:
        """What to write where each target has two outputs, as after `NoiseScale`."""
        if self._outputs_per_target > 1 or not self._with_noise_scale:
            return ""
        twice = outputs[-1] == 2 * y[-1] if len(y) > 1 and y[-1] else outputs[-1] == 2
        return (
            "Outputs twice as many as targets, as of NoiseScale, are locations and scales: take "
            f"keras_priors.likelihoods.{self._with_noise_scale}."
            if twice
            else ""
        )

    def _halves(self, outputs: Any, least: float = 1e-6) -> tuple[Any, Any]:
        """The first half of the outputs, and least + softplus(rho) with rho the second half.

        As `layers.NoiseScale` gives them. Below `least` neither a loss nor its gradient is sure
        not to overflow.
        """
        width = outputs.shape[-1] // 2
        return outputs[..., :width], least + ops.softplus(outputs[..., width:])

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        inside = self._inside_support(y)
        # Outside, the density is taken at a point inside, so that neither it nor its gradient
        # can be NaN before it is replaced.
        safe = ops.where(inside, y, ops.cast(self._interior_point(), y.dtype))
        density = self._log_density(safe, outputs)
        return ops.sum(ops.where(inside, density, ops.cast(-np.inf, y.dtype)), axis=-1)
