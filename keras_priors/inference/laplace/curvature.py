"""Curvature of the log likelihood, summed over the rows: what each structure keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.layer_calls import captured
from keras_priors.inference.laplace.lora_blocks import heads_of, lora_blocks
from keras_priors.inference.laplace.low_rank_precision import LowRankPrecision
from keras_priors.inference.laplace.precision import (
    DiagonalPrecision,
    FullPrecision,
    KroneckerPrecision,
    Precision,
    not_positive,
)
from keras_priors.inference.laplace.sum_over_blocks import SumOverBlocks
from keras_priors.inference.log_posterior import LogPosterior


def full(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, verbose: Any
) -> Precision:
    """H = sum_i J_i^T H_i J_i, dense."""

    def of_block(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        jacobian, curvature = rows.of_block(part, z, fixed, block)
        left = ops.reshape(jacobian, (-1, rows.size))
        return ops.transpose(left) @ ops.reshape(curvature @ jacobian, (-1, rows.size))

    return FullPrecision(_summed("full", of_block, rows, log_posterior, z, verbose), prior)


def diagonal(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, verbose: Any
) -> Precision:
    """The diagonal of H alone."""
    return DiagonalPrecision(diagonal_sum(rows, log_posterior, z, verbose), prior)


def diagonal_sum(rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any) -> Any:
    """diag sum_i J_i^T H_i J_i, NumPy (D,)."""

    def of_block(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        jacobian, curvature = rows.of_block(part, z, fixed, block)
        return ops.sum(jacobian * (curvature @ jacobian), axis=(0, 1))

    return _summed("diagonal", of_block, rows, log_posterior, z, verbose)


def hessian(rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any) -> Any:
    """-d2 log p(y | x, w) / dz2, NumPy (D, D): all of the curvature, that of the net included."""

    def loss(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        return -log_posterior.log_likelihood_of(rows.values_of(part, z), fixed, block)

    return _summed("hessian", backend.hessian(loss), rows, log_posterior, z, verbose)


def _summed(
    name: str, of_block: Any, rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any
) -> Any:
    observations = log_posterior.observations
    size = rows.block_rows(observations.count)
    sums = rows.once(name, lambda: SumOverBlocks(of_block, observations, size, verbose))
    return sums(rows.take(z), z, rows.fixed())


# Patches, inputs and slopes of a block of rows stay within it.
_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Entry:
    """A layer whose block is a Kronecker product."""

    layer: Any
    first: int
    """The index of its kernel, after which comes the bias; or of the first factor of LoRA."""
    rows: int
    """Inputs of one output, the bias among them."""
    units: int
    lora: bool = False
    """Whether two factors move, and the kernel and the bias do not move with them."""


def entries_of(positions: Positions) -> tuple[list[Entry], list[int]]:
    """(layers with Kronecker factors, indices of all other weights)."""
    entries, others, k = [], [], 0
    while k < len(positions.paths):
        layer = positions.weights[k].owner
        lora = _is_lora(layer)
        wanted = [layer.lora_kernel_a, layer.lora_kernel_b] if lora else _wanted(layer)
        here = positions.variables[k : k + len(wanted)]
        bounded = any(
            positions.is_bounded(j) for j in range(k, min(k + len(wanted), len(positions.paths)))
        )
        if wanted and [id(v) for v in here] == [id(v) for v in wanted] and not bounded:
            units, inputs = wanted[0].shape[-1], int(np.prod(wanted[0].shape[:-1]))
            if lora:
                heads = heads_of(layer) or 1
                entries.append(Entry(layer, k, inputs // heads, heads * wanted[1].shape[1], True))
            else:
                entries.append(Entry(layer, k, inputs + len(wanted) - 1, units))
            k += len(wanted)
        else:
            others.append(k)
            k += 1
    return entries, others


def kronecker(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, verbose: Any
) -> KroneckerPrecision:
    """A (x) G of every layer that has factors, and the diagonal of the other weights.

        A = sum_i w_i a_i a_i^T,   G = sum_i g_i g_i^T / (sum_i w_i * places)

    with inputs a and back-propagated factors g of H, both summed over the places of a convolution.
    Of a layer with LoRA each of the two factors has its own such pair.
    """
    positions, observations = rows.positions, log_posterior.observations
    entries, others = entries_of(positions)
    x, _, _ = observations.batch([0])
    pre, entries, repeated = _shapes(rows, entries, x)
    others = sorted({*others, *repeated})
    starts = np.cumsum([0, *positions.sizes])
    blocks: list[Any] = []
    if entries:
        per_row = 8 * sum(
            int(np.prod(shape)) // e.units * (e.rows + e.units)
            for e, shape in zip(entries, pre, strict=True)
        )
        size = int(np.clip(_BYTES // per_row, 1, 4096))
        size = -(-observations.count // -(-observations.count // size))
        of_block = _of_block(rows, entries)
        sums = rows.once("kronecker", lambda: SumOverBlocks(of_block, observations, size, verbose))
        left, right, total, least = sums(z, rows.fixed())
        if float(least) < -1e-3 * float(total):
            raise ValueError(not_positive("curvature in the outputs that is not", float(least)))
        for e, shape, a, g in zip(entries, pre, left, right, strict=True):
            g = g / (float(total) * (int(np.prod(shape)) // e.units))
            pairs: Any = [(a, g)]
            if e.lora:
                first, second = positions.constrain(z)[0][e.first : e.first + 2]
                both = ops.convert_to_numpy(first), ops.convert_to_numpy(second)
                pairs = lora_blocks(e.layer, both, a, g)
            blocks += [(int(starts[e.first + k]), *pair) for k, pair in enumerate(pairs)]
    if others:
        rest = rows.once(
            "rest",
            lambda: LaplaceRows(
                rows.model, positions, rows.natural.likelihood, rows.fisher, others
            ),
        )
        rest.measure(x)
        values = diagonal_sum(rest, log_posterior, z, verbose)
        low = 0
        for k in others:
            size = positions.sizes[k]
            blocks.append((int(starts[k]), values[low : low + size], None))
            low += size
    return KroneckerPrecision(sorted(blocks, key=lambda block: block[0]), prior)


def _wanted(layer: Any) -> list[Any]:
    if not _has_patches(layer) or not isinstance(layer.kernel, keras.Variable):
        return []
    return [layer.kernel, layer.bias] if layer.use_bias else [layer.kernel]


def _is_lora(layer: Any) -> bool:
    einsum = isinstance(layer, keras.layers.EinsumDense)
    if not (einsum or _has_patches(layer)) or not layer.lora_enabled:
        return False
    return heads_of(layer) is not None


def _has_patches(layer: Any) -> bool:
    """Whether a kernel multiplies the inputs, or patches of them, as a matrix."""
    if isinstance(layer, keras.layers.Dense):
        return True
    conv = isinstance(layer, (keras.layers.Conv1D, keras.layers.Conv2D)) and not isinstance(
        layer, (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose)
    )
    return (
        conv
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and layer.padding in ("same", "valid")
    )


def _shapes(rows: LaplaceRows, entries: list[Entry], x: Any) -> tuple[Any, list[Entry], list[int]]:
    """Shapes of one row before the activation; layers that are called once; weights of others."""
    with captured([e.layer for e in entries], None) as seen:
        tensors = keras.tree.map_structure(ops.convert_to_tensor, x)
        rows.outputs(rows.positions.current(), rows.fixed(), tensors)
    once = [k for k, calls in enumerate(seen) if len(calls) == 1]
    repeated = [
        j
        for k, e in enumerate(entries)
        if k not in once
        for j, w in enumerate(rows.positions.weights)
        if w.owner is e.layer
    ]
    shapes = [tuple(seen[k][0][1].shape[1:]) for k in once]
    return shapes, [entries[k] for k in once], repeated


def _of_block(rows: LaplaceRows, entries: list[Entry]) -> Any:
    layers = [e.layer for e in entries]
    natural = rows.natural

    def outputs_of(x: Any, values: Any, fixed: Any, perturbations: Any) -> tuple[Any, Any]:
        with captured(layers, perturbations) as seen:
            return rows.outputs(values, fixed, x), seen

    def of_block(z: Any, fixed: Any, block: Any) -> Any:
        x, y, weight = block
        values = rows.positions.constrain(z)[0]
        outputs, seen = outputs_of(x, values, fixed, None)
        zeros = [ops.zeros_like(calls[0][1]) for calls in seen]
        inputs = [_inputs(e, calls[0][0]) for e, calls in zip(entries, seen, strict=True)]
        left = [
            ops.transpose(_flat(a * weight[:, None, None], e.rows)) @ _flat(a, e.rows)
            for a, e in zip(inputs, entries, strict=True)
        ]
        if rows.fisher:
            factor, least = ops.sqrt(weight)[:, None, None], ops.zeros(())
        else:
            counted = natural.counted(outputs, weight)
            f = natural.forward(outputs)
            factor, least = natural.factor(f, y, counted, rows.shape)

        def projected(perturbations: Any, column: Any) -> Any:
            outputs, _ = outputs_of(x, values, fixed, perturbations)
            if rows.fisher:
                return ops.sum(column[:, 0] * rows.natural.row_densities(outputs, y))
            return ops.sum(column * natural.forward(outputs))

        slopes = backend.value_and_gradient(projected)

        def of_column(column: Any) -> list[Any]:
            found = [
                _flat(g, e.units) for g, e in zip(slopes(zeros, column)[1], entries, strict=True)
            ]
            return [ops.transpose(g) @ g for g in found]

        columns = ops.stop_gradient(ops.transpose(factor, (2, 0, 1)))
        right = backend.sum_over(of_column, columns)
        return left, right, ops.sum(weight), ops.minimum(least, 0.0)

    return of_block


def _flat(value: Any, size: int) -> Any:
    return ops.cast(ops.reshape(value, (-1, size)), "float32")


def _inputs(entry: Entry, inputs: Any) -> Any:
    """(R, places, rows of the kernel), with ones for the bias."""
    layer, bias = entry.layer, entry.layer.bias is not None and not entry.lora
    if isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense)):
        a = ops.reshape(inputs, (inputs.shape[0], -1, entry.rows - bias))
    else:
        one = isinstance(layer, keras.layers.Conv1D)
        image = ops.expand_dims(inputs, 1) if one else inputs

        def pair(value: Any) -> tuple[int, int]:
            value = tuple(value)
            return (1, *value) if one else value

        strides, dilation = pair(layer.strides), pair(layer.dilation_rate)
        patches = ops.image.extract_patches(
            image,
            pair(layer.kernel_size),
            strides=strides,
            dilation_rate=dilation if max(dilation) > 1 else 1,
            padding=layer.padding,
            data_format="channels_last",
        )
        a = ops.reshape(patches, (inputs.shape[0], -1, patches.shape[-1]))
    a = ops.cast(a, "float32")
    return ops.concatenate([a, ops.ones_like(a[..., :1])], axis=-1) if bias else a


_OVERSAMPLING = 10
_ITERATIONS = 2


def low_rank(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, rank: int, verbose: Any
) -> LowRankPrecision:
    """Randomized subspace iteration (Halko et al., 2011, algorithm 4.4), then Rayleigh-Ritz."""
    product = _products(rows, log_posterior, z, verbose)
    width = min(rank + _OVERSAMPLING, rows.size)
    basis = np.random.default_rng(0).standard_normal((rows.size, width))
    basis, _ = np.linalg.qr(basis)
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(product(basis))
    small = basis.T @ product(basis)
    values, rotation = np.linalg.eigh(0.5 * (small + small.T))
    kept = slice(-min(rank, width), None)
    return LowRankPrecision(basis @ rotation[:, kept], np.maximum(values[kept], 0.0), prior)


def _products(rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any) -> Any:
    """H V for V (D, r), by J v forward and J^T back, never J itself."""
    part = rows.take(z)

    def f_of(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        x, y, _ = block
        outputs = rows.outputs(rows.values_of(part, z), fixed, x)
        if rows.fisher:
            return rows.natural.row_densities(outputs, y)[:, None]
        return rows.natural.forward(outputs)

    forward = backend.jacobian_vector_product(f_of)

    def of_block(vectors: Any, part: Any, z: Any, fixed: Any, block: Any) -> Any:
        weight = block[2]
        if rows.fisher:
            curvature = ops.reshape(weight, (-1, 1, 1))
        else:
            curvature = rows.curvature_of(rows.values_of(part, z), fixed, block)

        def one(v: Any) -> Any:
            up = forward(part, v, z, fixed, block)
            bent = ops.stop_gradient(ops.squeeze(curvature @ up[:, :, None], axis=-1))
            back = backend.value_and_gradient(
                lambda part: ops.sum(bent * f_of(part, z, fixed, block))
            )
            return back(part)[1]

        return backend.map_draws(one, vectors)

    # Each product is over all rows: those of a part would not be of one matrix.
    observations, size = log_posterior.observations, log_posterior._block
    total = rows.once(
        "low_rank", lambda: SumOverBlocks(of_block, observations, size, verbose, partial=False)
    )

    def product(basis: Any) -> Any:
        vectors = ops.convert_to_tensor(basis.T.astype("float32"))
        return total(vectors, part, z, rows.fixed()).T.astype("float64")

    return product
