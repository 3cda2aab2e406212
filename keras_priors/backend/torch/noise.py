"""Standard normals and random signs on PyTorch: its own generators, keyed by a hash of the seed.

A counter hash of our own would be some fifty passes over memory here. `keras.random` seeds its
generators with the sum of the two words of a seed, so that layers with the seeds 1 and 2 repeat
each other's draws one step later; a hash of both words does not.

Seeds lie on the CPU (`seeds.py`), and draws where Keras makes its tensors. Of a seed that lies
elsewhere draws lie beside it, and each waits for the device, to read it.
"""

import math
from collections.abc import Sequence

import torch
from keras import ops

_NORMAL_STREAM = 0
_SIGN_STREAM = 1


# Dynamo cannot trace a `torch.Generator` (pytorch issue 88576).
@torch.compiler.disable  # type: ignore[untyped-decorator]
def standard_normal(
    shape: tuple[int, ...], seed: torch.Tensor, dtype: str = "float32"
) -> torch.Tensor:
    result = _empty(shape, seed, dtype)
    if result.is_meta:  # Keras infers shapes there
        return result
    return result.normal_(generator=_generator(seed, _NORMAL_STREAM, result.device))


def standard_normals(
    shapes: Sequence[tuple[int, ...]], seed: torch.Tensor, dtype: str = "float32"
) -> list[torch.Tensor]:
    sizes = [math.prod(shape) for shape in shapes]
    parts = standard_normal((sum(sizes),), seed, dtype).split(sizes)
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def random_signs(
    shape: tuple[int, ...], seed: torch.Tensor, dtype: str = "float32"
) -> torch.Tensor:
    result = _empty(shape, seed, dtype)
    if result.is_meta:
        return result
    device = result.device
    words = torch.empty((result.numel() + 31) // 32, 1, dtype=torch.int32, device=device)
    words.random_(-(2**31), 2**31, generator=_generator(seed, _SIGN_STREAM, device))
    # Bit k of every word becomes the sign bit of 1.0.
    shifts = torch.arange(32, dtype=torch.int32, device=device)
    signs = (words << shifts).bitwise_and_(-(2**31)).bitwise_or_(0x3F800000).view(torch.float32)
    return signs.view(-1)[: result.numel()].view(tuple(shape)).to(result.dtype)


def _empty(shape: tuple[int, ...], seed: torch.Tensor, dtype: str) -> torch.Tensor:
    kind = _dtype(dtype)
    # Keras alone knows where it makes tensors, by `keras.device` or the environment.
    device = ops.empty((0,)).device if seed.is_cpu else seed.device
    return torch.empty(tuple(shape), dtype=kind, device=device)


def _generator(seed: torch.Tensor, stream: int, device: torch.device) -> torch.Generator:
    first, second = seed.tolist()
    # Two rounds of the finalizer of SplitMix64, so that the low 32 bits depend on all of the seed:
    # PyTorch's CPU generator takes no others.
    key = _mix(_mix(first & 0xFFFFFFFF | stream << 32) ^ second & 0xFFFFFFFF)
    return torch.Generator(device=device).manual_seed(key)


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 31


def _dtype(name: str) -> torch.dtype:
    dtype = vars(torch)[name]
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"`dtype` must name a dtype of PyTorch. Received: dtype={name!r}.")
    return dtype
