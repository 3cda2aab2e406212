"""The last layer of a network: everything before it is computed once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.layer_calls import captured
from keras_priors.inference.laplace.precision import (
    DiagonalPrecision,
    FullPrecision,
    KroneckerPrecision,
    Precision,
)
from keras_priors.inference.laplace.sum_over_blocks import SumOverBlocks
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.utils.keras_internals import functional_graph, maker_of

_ROWS = 32


class LastLayer:
    """s = a W + b of the last Dense layer, and f = g(s), what comes after it.

    The curvature is that of s: with features a = (a, 1) and H_s = g'^T H g',

        sum_i (a_i a_i^T) (x) H_s,i

    Args:
        rows: the network, of which only the weights of this layer move.
    """

    def __init__(self, rows: LaplaceRows) -> None:
        self.rows = rows
        self.layer, self._tail = last_dense(rows.model)
        if any(rows.positions.is_bounded(k) for k in rows.moved):
            raise ValueError(
                'Laplace(layers="last") takes weights without bounds. Received: '
                f"{[rows.positions.paths[k] for k in rows.moved]} with a prior of bounded "
                'support. Use layers="all".'
            )

    def _features(self, values: Any, fixed: Any, x: Any) -> tuple[Any, Any, Any]:
        """(a (R, F) with ones at its end, s (R, C), outputs)."""
        with captured([self.layer], None) as seen:
            outputs = self.rows.outputs(values, fixed, x)
        (inputs, s), *more = seen[0]
        if more or len(s.shape) != 2:
            raise ValueError(
                'Laplace(layers="last") takes one vector of features for each row. Received: '
                f"{self.layer.name}, which is called {len(seen[0])} times and gives outputs of "
                f'shape {tuple(s.shape)}. Use layers="all".'
            )
        a = ops.cast(inputs, "float32")
        if self.layer.use_bias:
            a = ops.concatenate([a, ops.ones_like(a[:, :1])], axis=1)
        return a, ops.cast(s, "float32"), outputs

    def _after(self, s: Any) -> Any:
        """f (K,) of one s (C,)."""
        outputs = ops.expand_dims(s, 0)
        if self.layer.activation is not None:
            outputs = self.layer.activation(outputs)
        for layer in self._tail:
            outputs = layer(outputs, training=False)
        return self.rows.natural.forward(outputs)[0]

    def _slopes(self, s: Any) -> Any:
        """df/ds (R, K, C)."""
        plain = self.layer.activation in (None, keras.activations.linear) and not self._tail
        if plain and not self.rows.natural.linked:
            return ops.broadcast_to(ops.eye(s.shape[1])[None], (s.shape[0], *2 * (s.shape[1],)))
        return backend.vectorize(backend.jacobian(self._after))(s)

    def jacobian_of_outputs(self, part: Any, z: Any, fixed: Any, x: Any) -> tuple[Any, Any]:
        """(f (R, K), df/dpart (R, K, D))."""
        a, s, outputs = self._features(self.rows.values_of(part, z), fixed, x)
        slopes = self._slopes(s)
        jacobian = a[:, None, :, None] * slopes[:, :, None, :]
        return self.rows.natural.forward(outputs), ops.reshape(
            jacobian, (*slopes.shape[:2], self.rows.size)
        )

    def _of_block(self, z: Any, fixed: Any, block: Any) -> tuple[Any, Any]:
        """((a (R, F), H_s (R, C, C), weights (R,)), [log p(y | f), its slope in W])."""
        x, y, weight = block
        rows, natural = self.rows, self.rows.natural
        a, s, outputs = self._features(rows.positions.constrain(z)[0], fixed, x)
        slopes, f = self._slopes(s), natural.forward(outputs)
        counted = natural.counted(outputs, weight)

        def total(f: Any) -> Any:
            densities = natural.densities(ops.reshape(f, (-1, *rows.shape)), y)
            terms = ops.where(counted == 0, ops.zeros_like(densities), densities)
            return ops.sum(terms * counted), ops.sum(terms)

        value = total(f)[0]
        down = backend.value_and_gradient(lambda f: total(f)[1])(f)[1]
        down = ops.einsum("rk,rkc->rc", down, slopes)
        known = [value, ops.transpose(a) @ (down * weight[:, None])]
        if rows.fisher:
            curvature = down[:, :, None] * down[:, None, :] * weight[:, None, None]
        else:
            curvature = natural.curvature(f, y, counted, rows.shape)
            curvature = ops.transpose(slopes, (0, 2, 1)) @ curvature @ slopes
        return (a, curvature, weight), [*known, *rows.residuals_of(outputs, y, weight)]

    def precision(
        self, structure: str, log_posterior: LogPosterior, z: Any, prior: Any, verbose: Any
    ) -> tuple[Precision, float, Any, Any]:
        """(precision, log p(y | f), its slope (D,), residuals), from one pass over the rows."""
        parts = {"full": self._full, "diagonal": self._diagonal, "kronecker": self._kronecker}

        def of_block(z: Any, fixed: Any, block: Any) -> Any:
            given, known = self._of_block(z, fixed, block)
            return [*known, *parts[structure](*given)]

        # Nothing goes back through the net: what Keras' own `predict` bears, memory does.
        observations = log_posterior.observations
        size = max(log_posterior._block, min(_ROWS, observations.count))
        sums = SumOverBlocks(of_block, observations, size, verbose)
        value, slope, *found = sums(z, self.rows.fixed())
        residuals = None
        if self.rows.has_residuals:
            count, squares, *found = found
            residuals = float(count), float(squares)
        known = float(value), slope.reshape(-1), residuals
        if structure == "full":
            return FullPrecision(self._arranged(found[0]), prior), *known
        if structure == "diagonal":
            return DiagonalPrecision(found[0].reshape(-1), prior), *known
        return KroneckerPrecision([(0, found[0], found[1] / found[2])], prior), *known

    def _full(self, a: Any, curvature: Any, weight: Any) -> list[Any]:
        del weight
        units = curvature.shape[1]
        pairs = [(c, d) for c in range(units) for d in range(c + 1)]
        columns = ops.stack([curvature[:, c, d] for c, d in pairs])
        return [backend.map_draws(lambda h: ops.transpose(a * h[:, None]) @ a, columns)]

    def _diagonal(self, a: Any, curvature: Any, weight: Any) -> list[Any]:
        del weight
        return [ops.transpose(ops.square(a)) @ ops.diagonal(curvature, axis1=1, axis2=2)]

    def _kronecker(self, a: Any, curvature: Any, weight: Any) -> list[Any]:
        left = ops.transpose(a * weight[:, None]) @ a
        return [left, ops.sum(curvature, axis=0), ops.sum(weight)]

    def _arranged(self, pairs: Any) -> Any:
        """(D, D) from blocks (F, F) of the pairs of units."""
        size, units = pairs.shape[1], self.layer.units
        matrix = np.empty((size, units, size, units), pairs.dtype)
        index = 0
        for c in range(units):
            for d in range(c + 1):
                matrix[:, c, :, d] = matrix[:, d, :, c] = pairs[index]
                index += 1
        return matrix.reshape(size * units, size * units)


def last_dense(model: Any) -> tuple[Any, list[Any]]:
    """(the last Dense layer, the layers without weights after it)."""
    graph = functional_graph(model)
    tail: list[Any] = []
    if graph is not None:
        outputs = keras.tree.flatten(graph.outputs)
        tensor = outputs[0] if len(outputs) == 1 else None
        while tensor is not None:
            layer, inputs = maker_of(tensor)
            if isinstance(layer, keras.layers.Dense):
                return layer, tail[::-1]
            if not isinstance(layer, keras.Layer) or layer.weights or len(inputs) != 1:
                break
            tail.append(layer)
            tensor = inputs[0]
    raise ValueError(
        'Laplace(layers="last") takes a Sequential or Functional model with one output that ends '
        "with a Dense layer, and after it at most layers without weights. Received: "
        f'{model.name} of type {type(model).__name__}. Use layers="all".'
    )


def last_layer_weights(model: Any, positions: Positions) -> list[int]:
    """Indices of the weights of the last Dense layer."""
    layer, _ = last_dense(model)
    found = [k for k, w in enumerate(positions.weights) if w.owner is layer]
    wanted = [layer.kernel, layer.bias] if layer.use_bias else [layer.kernel]
    if [id(positions.variables[k]) for k in found] != [id(v) for v in wanted]:
        raise ValueError(
            'Laplace(layers="last") moves the kernel and the bias of the last layer. Received: '
            f"{layer.name}, of which the weights {[positions.paths[k] for k in found]} are "
            'trained. Set `trainable = True` on it, or use layers="all".'
        )
    return found
