"""Seeds on PyTorch: on the host, where its generators are keyed.

A `torch.Generator` takes a Python int. A seed on an accelerator has to be fetched for that, and the
host then waits until the accelerator has done all that was asked of it before: once a draw, several
times a step. So seeds are tensors of the CPU here, and what is known of the state of a
`keras.random.SeedGenerator` is noted beside it, and moved on with it.
"""

from collections.abc import MutableMapping
from typing import Any

import keras
import numpy as np
import torch
from torch.utils.weak import WeakTensorKeyDictionary

from keras_priors.backend.seeds import given_words, spawned, stream_words

# For the state of a generator on an accelerator: its words, and which version of it they are of.
# PyTorch counts what is written to a tensor: after `load_weights`, `assign` or the broadcast of
# `DistributedDataParallel` the number is another one, and the words are read again.
_KNOWN: MutableMapping[torch.Tensor, list[int]] = WeakTensorKeyDictionary()
# The same for what counts the steps of an optimizer.
_COUNTS: MutableMapping[torch.Tensor, tuple[int, int]] = WeakTensorKeyDictionary()


# Dynamo would take the words for constants, and compile each step anew.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def next_seed(generator: keras.random.SeedGenerator) -> Any:
    state = generator.state.value
    if state.is_meta:  # Keras infers shapes
        return generator.next()
    first, second = words = _words(state)
    # [0, 1], made over there: to send a constant is to wait, too.
    generator.state.assign(state + torch.arange(2, dtype=state.dtype, device=state.device))
    # In a `keras.StatelessScope` it is another tensor, and the old one stays as it was.
    _note(generator.state.value, first, (second + 1 + 2**31) % 2**32 - 2**31)
    return torch.tensor(words, dtype=state.dtype)


def as_seed(seed: Any = None) -> Any:
    if isinstance(seed, keras.random.SeedGenerator):
        return next_seed(seed)
    words = given_words(seed)
    return _on_host(seed if words is None else words).to(torch.int64)


def fold_in(seed: Any, stream: int) -> Any:
    if stream == 0:
        return seed
    pair = _on_host(seed)
    return pair if pair.is_meta else pair + _on_host(stream_words(stream))


def spawn_seeds(seed: Any, count: int) -> Any:
    return spawned(as_seed(seed).tolist(), count)


# A tensor of the CPU: Dynamo would compile each step anew for a number.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def host_step(iterations: Any) -> Any:
    if not isinstance(iterations, keras.Variable):
        return iterations.detach().cpu()
    count = iterations.value
    if count.is_cpu or count.is_meta:
        return count.detach().clone()
    known = _COUNTS.get(count)
    if known is None or known[0] != count._version:
        known = _COUNTS[count] = count._version, int(count)
    return torch.tensor(known[1], dtype=count.dtype)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def step_taken(iterations: Any) -> None:
    if not isinstance(iterations, keras.Variable):
        return
    count = iterations.value
    known = _COUNTS.get(count)
    if known is not None and count._version == known[0] + 1:
        _COUNTS[count] = count._version, known[1] + 1


def seed_of_step(seed: Any, step: Any) -> Any:
    seed = _on_host(seed)
    if seed.is_meta or step.is_meta:
        return seed
    return seed + torch.stack([torch.zeros_like(step), step]).to(seed.dtype)


def _words(state: torch.Tensor) -> list[int]:
    known = None if state.is_cpu or state.is_inference() else _KNOWN.get(state)
    if known is None or known[0] != state._version:
        found: list[int] = state.tolist()
        return found
    return known[1:]


def _note(state: torch.Tensor, *words: int) -> None:
    # The CPU is read without waiting; an inference tensor does not count what is written to it.
    if not state.is_cpu and not state.is_inference():
        _KNOWN[state] = [state._version, *words]


def _on_host(seed: Any) -> torch.Tensor:
    if isinstance(seed, keras.Variable):
        seed = seed.value
    if isinstance(seed, torch.Tensor):
        return seed if seed.is_meta else seed.cpu()
    return torch.from_numpy(np.asarray(seed).astype("int64"))
