"""The last layer of a network, and its noise: everything before it is computed once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.functional.row_blocks import chunk_rows
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
from keras_priors.layers.noise_scale import NoiseScale
from keras_priors.utils.keras_internals import functional_graph, maker_of

_ROWS = 32


class LastLayer:
    """s = a W + b of the last Dense layer, and f = g(s, t), what comes after it.

    The curvature is that of s: with features a = (a, 1) and H_s = g'^T H g',

        sum_i (a_i a_i^T) (x) H_s,i

    t are the scales of `NoiseScale` after it. Those that are trained move beside W and b, as their
    z without bounds: with t in the place of s, of the one feature 1.

    Args:
        rows: the network, of which only the weights of this layer and its noise move.
    """

    def __init__(self, rows: LaplaceRows) -> None:
        self.rows = rows
        self.layer, self.tail = last_dense(rows.model)
        positions = rows.positions
        own = [k for k in rows.moved if positions.weights[k].owner is self.layer]
        self._noise = rows.moved[len(own) :]
        """Indices of the scales of noise that move."""
        if any(positions.is_bounded(k) for k in own):
            raise ValueError(
                'Laplace(layers="last") takes weights without bounds. Received: '
                f"{[positions.paths[k] for k in own]} with a prior of bounded "
                'support. Use layers="all".'
            )
        # All that the tail has, with their places among the values of all variables: frozen ones
        # are after the trained ones.
        places = {
            id(v): k for k, v in enumerate([*positions.variables, *rows.outputs.fixed_variables])
        }
        scales = [layer.scale for layer in self.tail if isinstance(layer, NoiseScale)]
        self._scales = sorted(((places[id(v)], v) for v in scales), key=lambda each: each[0])
        self._known = sum(positions.sizes[k] for k in own)

    def features(self, observations: Observations) -> Any:
        """What the layer is called on, of all rows: NumPy (N, F)."""

        def of_block(z: Any, fixed: Any, x: Any) -> Any:
            a = self._features(self.rows.positions.constrain(z)[0], fixed, x)[0]
            return a[:, :-1] if self.layer.use_bias else a

        compiled = backend.compile_function(of_block)
        z = self.rows.positions.unconstrain(self.rows.positions.current())
        x, found = observations.x, []
        size = chunk_rows(self.rows.model, x, observations.count, None, bucketed=False)
        for k in range(-(-observations.count // size)):
            x = observations.block(k, size)[0]
            found.append(ops.convert_to_numpy(compiled(z, self.rows.fixed(), x)))
        return np.concatenate(found)[: observations.count]

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

    def _after(self, inputs: Any) -> Any:
        """f (K,) of s (C,) and all scales of noise, as one vector."""
        start = self.layer.units
        outputs, mapping = ops.expand_dims(inputs[:start], 0), []
        for _, variable in self._scales:
            end = start + int(np.prod(variable.shape))
            mapping.append((variable, ops.reshape(inputs[start:end], variable.shape)))
            start = end
        if self.layer.activation is not None:
            outputs = self.layer.activation(outputs)
        with keras.StatelessScope(state_mapping=mapping):
            for layer in self.tail:
                outputs = layer(outputs, training=False)
        return self.rows.natural.forward(outputs)[0]

    def _slopes(self, s: Any, z: Any, fixed: Any) -> Any:
        """df/ds (R, K, C), and behind it df/dz of the noise that moves."""
        plain = self.layer.activation in (None, keras.activations.linear) and not self.tail
        if plain and not self.rows.natural.linked:
            return ops.broadcast_to(ops.eye(s.shape[1])[None], (s.shape[0], *2 * (s.shape[1],)))
        slopes = backend.vectorize(backend.jacobian(self._after))
        if not self._scales:
            return slopes(s)
        values = [*self.rows.positions.constrain(z)[0], *fixed]
        parts = [
            ops.cast(ops.reshape(values[place], (-1,)), "float32") for place, _ in self._scales
        ]
        scales = ops.concatenate(parts)
        scales = ops.broadcast_to(scales[None], (s.shape[0], scales.shape[0]))
        found = slopes(ops.concatenate([s, scales], axis=1))
        if not self._noise:
            return found[:, :, : s.shape[1]]
        # Of a trained one w = b(z), element by element; frozen ones are behind them.
        rates = backend.value_and_gradient(
            lambda z: sum(ops.sum(self.rows.positions.constrain(z)[0][k]) for k in self._noise)
        )(z)[1]
        rates = self.rows.take(rates)[self._known :]
        end = s.shape[1] + rates.shape[0]
        return ops.concatenate(
            [found[:, :, : s.shape[1]], found[:, :, s.shape[1] : end] * rates], axis=2
        )

    def jacobian_of_outputs(self, part: Any, z: Any, fixed: Any, x: Any) -> tuple[Any, Any]:
        """(f (R, K), df/dpart (R, K, D))."""
        z = self.rows.put(z, part)
        a, s, outputs = self._features(self.rows.positions.constrain(z)[0], fixed, x)
        slopes = self._slopes(s, z, fixed)
        jacobian = a[:, None, :, None] * slopes[:, :, None, : s.shape[1]]
        jacobian = ops.reshape(jacobian, (*slopes.shape[:2], self._known))
        if self._noise:
            jacobian = ops.concatenate([jacobian, slopes[:, :, s.shape[1] :]], axis=2)
        return self.rows.natural.forward(outputs), jacobian

    def _of_block(self, z: Any, fixed: Any, block: Any) -> tuple[Any, Any]:
        """((a (R, F), H_s (R, C, C), weights (R,)), [log p(y | f), its slope (D,)])."""
        x, y, weight = block
        rows, natural = self.rows, self.rows.natural
        a, s, outputs = self._features(rows.positions.constrain(z)[0], fixed, x)
        slopes, f = self._slopes(s, z, fixed), natural.forward(outputs)
        counted = natural.counted(outputs, weight)

        def total(f: Any) -> Any:
            densities = natural.densities(ops.reshape(f, (-1, *rows.shape)), y)
            terms = ops.where(counted == 0, ops.zeros_like(densities), densities)
            return ops.sum(terms * counted), ops.sum(terms)

        value = total(f)[0]
        down = backend.value_and_gradient(lambda f: total(f)[1])(f)[1]
        down = ops.einsum("rk,rkc->rc", down, slopes)
        own = ops.transpose(a) @ (down[:, : s.shape[1]] * weight[:, None])
        slope = ops.reshape(own, (-1,))
        if self._noise:
            of_noise = ops.sum(down[:, s.shape[1] :] * weight[:, None], axis=0)
            slope = ops.concatenate([slope, of_noise])
        known = [value, slope]
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
        sums = self.rows.once(
            f"last {structure}", lambda: SumOverBlocks(of_block, observations, size, verbose)
        )
        value, slope, *found = sums(z, self.rows.fixed())
        residuals = None
        if self.rows.noise is not None:
            count, squares, *found = found
            residuals = float(count), float(squares)
        known = float(value), slope, residuals
        if structure == "full":
            return FullPrecision(self._arranged(*found), prior), *known
        if structure == "diagonal":
            found = np.concatenate([part.reshape(-1) for part in found])
            return DiagonalPrecision(found, prior), *known
        left, right, total, *of_noise = found
        blocks: list[Any] = [(0, left, right / total)]
        blocks += [(self._known, diagonal, None) for diagonal in of_noise]
        return KroneckerPrecision(blocks, prior), *known

    def _full(self, a: Any, curvature: Any, weight: Any) -> list[Any]:
        del weight
        units = self.layer.units
        pairs = [(c, d) for c in range(units) for d in range(c + 1)]
        columns = ops.stack([curvature[:, c, d] for c, d in pairs])
        own = [backend.map_draws(lambda h: ops.transpose(a * h[:, None]) @ a, columns)]
        if not self._noise:
            return own
        beside = ops.einsum("rf,rcn->fcn", a, curvature[:, :units, units:])
        return [*own, beside, ops.sum(curvature[:, units:, units:], axis=0)]

    def _diagonal(self, a: Any, curvature: Any, weight: Any) -> list[Any]:
        del weight
        units, diagonal = self.layer.units, ops.diagonal(curvature, axis1=1, axis2=2)
        own = [ops.transpose(ops.square(a)) @ diagonal[:, :units]]
        return [*own, ops.sum(diagonal[:, units:], axis=0)] if self._noise else own

    def _kronecker(self, a: Any, curvature: Any, weight: Any) -> list[Any]:
        left = ops.transpose(a * weight[:, None]) @ a
        units, whole = self.layer.units, ops.sum(curvature, axis=0)
        own = [left, whole[:units, :units], ops.sum(weight)]
        return [*own, ops.diagonal(whole[units:, units:])] if self._noise else own

    def _arranged(self, pairs: Any, beside: Any = None, of_noise: Any = None) -> Any:
        """(D, D) from blocks (F, F) of the pairs of units, and from those with the noise."""
        size, units = pairs.shape[1], self.layer.units
        matrix = np.empty((size, units, size, units), pairs.dtype)
        index = 0
        for c in range(units):
            for d in range(c + 1):
                matrix[:, c, :, d] = matrix[:, d, :, c] = pairs[index]
                index += 1
        matrix = matrix.reshape(size * units, size * units)
        if of_noise is None:
            return matrix
        beside = beside.reshape(size * units, -1)
        return np.block([[matrix, beside], [beside.T, of_noise]])


def last_dense(model: Any) -> tuple[Any, list[Any]]:
    """(the last Dense layer, the layers after it: without weights, or `NoiseScale`)."""
    graph = functional_graph(model)
    tail: list[Any] = []
    if graph is not None:
        outputs = keras.tree.flatten(graph.outputs)
        tensor = outputs[0] if len(outputs) == 1 else None
        while tensor is not None:
            layer, inputs = maker_of(tensor)
            if isinstance(layer, keras.layers.Dense):
                return layer, tail[::-1]
            if not isinstance(layer, keras.Layer) or len(inputs) != 1:
                break
            if layer.weights and not isinstance(layer, NoiseScale):
                break
            tail.append(layer)
            tensor = inputs[0]
    raise ValueError(
        'Laplace(layers="last") takes a Sequential or Functional model with one output that ends '
        "with a Dense layer, and after it at most NoiseScale and layers without weights. Received: "
        f'{model.name} of type {type(model).__name__}. Use layers="all".'
    )


def last_layer_weights(model: Any, positions: Positions) -> list[int]:
    """Indices of the weights of the last Dense layer, and of the noise after it where trained."""
    layer, tail = last_dense(model)
    found = [k for k, w in enumerate(positions.weights) if w.owner is layer]
    wanted = [layer.kernel, layer.bias] if layer.use_bias else [layer.kernel]
    if [id(positions.variables[k]) for k in found] != [id(v) for v in wanted]:
        raise ValueError(
            'Laplace(layers="last") moves the kernel and the bias of the last layer. Received: '
            f"{layer.name}, of which the weights {[positions.paths[k] for k in found]} are "
            'trained. Set `trainable = True` on it, or use layers="all".'
        )
    # A layer stands behind those that it is called on: so do its weights.
    noise = [id(each.scale) for each in tail if isinstance(each, NoiseScale)]
    return found + [k for k, v in enumerate(positions.variables) if id(v) in noise]


def is_linear(rows: LaplaceRows) -> bool:
    """Whether all that moves is a last layer without an activation, under normal noise.

    Then the log likelihood is a quadratic.
    """
    try:
        layer, tail = last_dense(rows.model)
    except ValueError:
        return False
    own = all(rows.positions.weights[k].owner is layer for k in rows.moved)
    # Of LoRA the kernel is a product of what moves.
    plain = layer.activation in (None, keras.activations.linear) and not layer.lora_enabled
    after = all(isinstance(each, NoiseScale) for each in tail)
    return own and plain and after and rows.noise is not None
