"""The outputs of a model that has several, as one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.inference.laplace.natural_outputs import NaturalOutputs


class JointOutputs:
    """f, the natural outputs side by side, and H, whose blocks are those of each.

        log p(y | f) = sum_o log p(y_o | f_o),    f (R, K) with K = sum_o K_o

    As `NaturalOutputs` is for one output. Shapes are those of `measure`.

    Args:
        likelihoods: the likelihoods of all outputs.
        name: that of the model, for messages.
    """

    is_classes = False
    """Whether all of it is classes, for the probit approximation."""

    def __init__(self, likelihoods: Likelihoods, name: str) -> None:
        self.likelihood = likelihoods.structure
        self._likelihoods, self._name = likelihoods, name
        self._parts: list[NaturalOutputs] = []
        self._shapes: list[tuple[int, ...]] = []
        self._names: list[str] | None = None

    def measure(self, outputs: Any) -> tuple[int, ...]:
        """(K,), from a row of the outputs."""
        found = self._likelihoods.each(outputs, outputs)
        if len(found) < len(outputs):
            raise ValueError(
                "A Laplace approximation predicts all outputs, each by its likelihood. Received: "
                f"{self._name} with {len(outputs)} outputs, of which {len(outputs) - len(found)} "
                "have none. Give each one, or make a model of the others."
            )
        self._names = list(outputs) if isinstance(outputs, dict) else None
        self._parts = [NaturalOutputs(likelihood) for likelihood, _, _ in found]
        self._shapes = [tuple(output.shape[1:]) for _, _, output in found]
        return (sum(self._widths),)

    @property
    def _widths(self) -> list[int]:
        return [int(np.prod(shape, dtype=int)) for shape in self._shapes]

    def _of(self, structure: Any) -> list[Any]:
        """What a structure like the outputs has for each of them, in one order for all."""
        names = range(len(structure)) if self._names is None else self._names
        return [structure[name] for name in names]

    def _split(self, f: Any) -> list[Any]:
        """The columns of f (..., K) of each output."""
        ends = np.cumsum(self._widths)
        pairs = zip(ends, self._widths, strict=True)
        return [f[..., int(end - width) : int(end)] for end, width in pairs]

    def forward(self, outputs: Any) -> Any:
        """f (R, K) of the structure of outputs (R, ...)."""
        pairs = zip(self._parts, self._of(outputs), strict=True)
        return ops.concatenate([part.forward(output) for part, output in pairs], axis=1)

    def outputs(self, draws: Any, shape: tuple[int, ...]) -> Any:
        """The structure of the outputs (S, N, ...) of draws of f (S, N, K), NumPy."""
        each = zip(self._parts, self._split(draws), self._shapes, strict=True)
        return self._structure([part.outputs(piece, own) for part, piece, own in each])

    def predictive(self, outputs: Any) -> Any:
        """The structure of the outputs with a `Predictive` at each."""
        each = zip(self._parts, self._of(outputs), strict=True)
        return self._structure([part.predictive(own) for part, own in each])

    def _structure(self, found: list[Any]) -> Any:
        """What each output has, in the structure of the outputs."""
        return found if self._names is None else dict(zip(self._names, found, strict=True))

    def moments(self, f: Any, shape: tuple[int, ...]) -> list[tuple[Any, Any]]:
        """(mean, variance) of y, NumPy, flat, at f (R, K), NumPy, for each output."""
        each = zip(self._parts, self._split(f), self._shapes, strict=True)
        return [found for part, piece, own in each for found in part.moments(piece, own)]

    def row_densities(self, outputs: Any, y: Any) -> Any:
        """log p(y | f) of each row (R,), with masks and without sample weights."""
        each = zip(self._parts, self._of(outputs), self._of(y), strict=True)
        return sum(part.row_densities(output, target) for part, output, target in each)

    def counted(self, outputs: Any, weight: Any) -> list[Any]:
        """The weight of each observation of each output, masks included."""
        pairs = zip(self._parts, self._of(outputs), strict=True)
        return [part.counted(output, weight) for part, output in pairs]

    def curvature(self, f: Any, y: Any, counted: Any, shape: tuple[int, ...]) -> Any:
        """H (R, K, K), with the weights in it; arguments as those of one output."""
        each = zip(self._parts, self._split(f), self._of(y), counted, self._shapes, strict=True)
        return self._blocks([part.curvature(*arguments) for part, *arguments in each])

    def factor(self, f: Any, y: Any, counted: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
        """(S (R, K, K) with S S^T = H, the least eigenvalue of any H)."""
        each = zip(self._parts, self._split(f), self._of(y), counted, self._shapes, strict=True)
        factors, least = zip(*[part.factor(*arguments) for part, *arguments in each], strict=True)
        return self._blocks(factors), ops.min(ops.stack(least))

    def _blocks(self, blocks: Any) -> Any:
        """One matrix (R, K, K) with these on its diagonal."""
        total, start, size = [], 0, sum(self._widths)
        for block, width in zip(blocks, self._widths, strict=True):
            around = (start, size - start - width)
            total.append(ops.pad(block, ((0, 0), around, around)))
            start += width
        return sum(total)
