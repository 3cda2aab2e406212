"""Kronecker factors of the two factors of a low-rank adaptation (LoRA)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def heads_of(layer: Any) -> int | None:
    """How many outputs an input of the second factor has of its own; None: it has no factors.

    With kernel = base + s A B, A (inputs, heads, rank) and B (rank, units): 1 of Dense and of
    convolutions; of an EinsumDense the product of its output axes but for the last.
    """
    if not isinstance(layer, keras.layers.EinsumDense):
        return 1
    given, rest = layer.equation.replace(" ", "").split(",")
    kernel, made = rest.split("->")
    summed = [label for label in kernel if label in given]
    own = kernel[len(summed) :]
    plain = (
        own != ""
        and kernel.startswith("".join(summed))
        and given.endswith("".join(summed))
        and made.endswith(own)
        and not any(label in made for label in summed)
    )
    if not plain or len(given) != len(summed) + len(made) - len(own) or "." in given:
        return None
    return int(np.prod(layer.kernel.shape[len(summed) : -1], dtype=int))


def lora_blocks(
    layer: Any, both: tuple[Any, Any], inputs: Any, slopes: Any
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """The pairs of factors, in the order of A and of B.

    With x and g of the whole kernel, h = s A^T x is what B multiplies, and s B g what comes back
    to A: both pairs are known from the two sums that the kernel has.

    Args:
        layer: the layer.
        both: NumPy, the factors A (..., rank) and B (rank, units) at the mode.
        inputs: sum of x x^T over rows and places, (inputs, inputs).
        slopes: the mean of g g^T over places, summed over outputs, (heads units, heads units).
    """
    a, b = both
    rank, units = b.shape
    scale = float(layer.lora_alpha) / rank
    a = scale * a.reshape(len(inputs), -1, rank).astype("float64")
    b = scale * b.astype("float64")
    heads = a.shape[1]
    apart = slopes.astype("float64").reshape(heads, units, heads, units)
    back = np.einsum("ru,numv,sv->nrms", b, apart, b).reshape(heads * rank, heads * rank)
    hidden = np.einsum("inr,ij,jns->rs", a, inputs.astype("float64"), a)
    mean = np.einsum("nunv->uv", apart) / heads
    return (inputs, back), (hidden, mean)
