"""The hot path of a mean-field normal on PyTorch, with the fewest passes over memory.

Each operation is a pass; autograd would keep and reread most of the intermediate results. A
softplus costs ten passes, its derivative too: a training step takes each once, for its KL finds
the scale of its draw.
"""

import functools
import math
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from torch.utils.weak import WeakTensorKeyDictionary

from keras_priors.backend.torch.elementwise import is_plain, square

# Below, log softplus(x) = x and its slope is 1, also where softplus underflows.
_TAIL = -75.0
_SMALLEST = math.exp(_TAIL)

_scales = WeakTensorKeyDictionary()


def mean_field_scale(rho: Any) -> torch.Tensor:
    rho = _tensor(rho)
    if not (_is_kept(rho) and torch.is_grad_enabled()):
        return softplus(rho)
    _keep_freed_memory()
    scale: torch.Tensor = _Scale.apply(rho)
    # With the version that every change in place counts up. `mean_field_kl` takes it away.
    _scales[rho] = rho._version, scale
    return scale


def mean_field_perturbation(rho: Any, noise: torch.Tensor) -> torch.Tensor:
    return mean_field_scale(rho) * noise


def mean_field_transform(loc: Any, rho: Any, noise: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(_tensor(loc), mean_field_scale(rho), noise)


def mean_field_variance(rho: Any) -> torch.Tensor:
    return square(mean_field_scale(rho))


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> torch.Tensor:
    loc, rho = _tensor(loc), _tensor(rho)
    weights: Any
    if isinstance(prior_scale, float):
        log_scale, weights = math.log(prior_scale), prior_scale**-2
    else:
        prior_scale = np.asarray(prior_scale, "float64")
        log_scale, weights = float(np.log(prior_scale).mean()), _like(prior_scale**-2, loc)
    # A number goes along with the subtraction; as a tensor it would be sent, and waited for.
    mean = prior_loc if isinstance(prior_loc, float) else _like(prior_loc, loc)
    centred = loc if isinstance(mean, float) and not mean else loc - mean
    scale = _kept_scale(rho)
    divergence: torch.Tensor = (
        _KL.apply(centred, rho, weights)[0]
        if scale is None
        else _KLOfScale.apply(centred, scale, weights)
    )
    return divergence + loc.numel() * (log_scale - 0.5)


# The functions of a variable have no `setup_context`, for which PyTorch would inspect their
# signatures at each call; they are never used within transformations, which need one.


class _Scale(torch.autograd.Function):
    """softplus(rho), for a variable.

    Its node stays whole after a backward pass: the losses of a model may be differentiated after
    its outputs, and the KL hangs on the node of the draw.
    """

    @staticmethod
    def forward(ctx: Any, rho: torch.Tensor) -> torch.Tensor:
        ctx.rho, ctx.version = rho, rho._version
        return softplus(rho)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        if ctx.rho._version != ctx.version:
            raise RuntimeError(
                "A variable of a posterior was changed between the forward pass and the backward "
                "pass, which then has no gradient. Call backward() first, then the optimizer."
            )
        _scales.pop(ctx.rho, None)  # of a divergence without closed form, which did not take it
        if torch.is_grad_enabled():  # this is to be differentiated again
            return upstream * torch.sigmoid(ctx.rho)
        return torch.ops.aten.softplus_backward(upstream, ctx.rho, 1.0, 20.0)


class _KLOfScale(torch.autograd.Function):
    """Sum of (weights (scale^2 + centred^2)) / 2 - log scale, for scales above `_SMALLEST`."""

    @staticmethod
    def forward(ctx: Any, centred: torch.Tensor, scale: torch.Tensor, weights: Any) -> torch.Tensor:
        ctx.weights = weights
        ctx.save_for_backward(centred, scale)
        squares = _weighted_squares(scale, weights) + _weighted_squares(centred, weights)
        return 0.5 * squares - scale.log().sum()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        centred, scale = ctx.saved_tensors
        weights = upstream * ctx.weights
        if torch.is_grad_enabled():
            return weights * centred, weights * scale - upstream / scale, None
        return weights * centred, torch.div(-upstream, scale).addcmul_(scale, weights), None


class _KL(torch.autograd.Function):
    """Sum of (weights (scale^2 + centred^2)) / 2 - log scale, for scale = softplus(rho)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(centred: torch.Tensor, rho: torch.Tensor, weights: Any) -> Any:
        clamped = rho.clamp_min(_TAIL)
        scale = softplus(clamped)
        # Where nothing was clamped, the two sums are the same and go out exactly.
        log_scale = scale.log().sum() + (rho.sum() - clamped.sum())
        squares = _weighted_squares(scale, weights) + _weighted_squares(centred, weights)
        return 0.5 * squares - log_scale, scale, clamped

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        centred, rho, ctx.weights = inputs
        _, scale, clamped = output
        ctx.mark_non_differentiable(scale, clamped)
        ctx.set_materialize_grads(False)  # else zeros are written for these two
        ctx.save_for_backward(centred, rho, scale, clamped)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *_: Any) -> Any:
        if upstream is None:
            return None, None, None
        centred, rho, scale, clamped = ctx.saved_tensors
        weights = upstream * ctx.weights
        if torch.is_grad_enabled():  # these operations are to be differentiated again
            clamped = rho.clamp_min(_TAIL)
            scale = softplus(clamped)
            slope = weights * scale - upstream / scale
            return weights * centred, slope * torch.sigmoid(clamped), None
        slope = torch.div(-upstream, scale).addcmul_(scale, weights)
        by_rho = torch.ops.aten.softplus_backward(slope, clamped, 1.0, 20.0)
        return weights * centred, by_rho, None


def _weighted_squares(x: torch.Tensor, weights: Any) -> torch.Tensor:
    # Dot products: no square is written out.
    flat = x.flatten()
    if isinstance(weights, float):
        return torch.dot(flat, flat) * weights
    return torch.dot(flat, (x * weights).flatten())


def _is_kept(rho: torch.Tensor) -> bool:
    # The value of a variable itself, outside of what is compiled or transformed (`torch.func`).
    # Only on the CPU: `_kept_scale` looks at values, for which an accelerator would be waited for.
    return (
        type(rho) is torch.nn.Parameter
        and rho.device.type == "cpu"
        and rho.requires_grad
        and is_plain()
    )


def _kept_scale(rho: torch.Tensor) -> torch.Tensor | None:
    """softplus(rho) from this step's draw, if there was one and its logarithm is exact."""
    if not _is_kept(rho):
        return None
    version, scale = _scales.pop(rho, (None, None))
    return scale if version == rho._version and scale.amin() >= _SMALLEST else None


@functools.cache
def _keep_freed_memory() -> None:
    """Keep glibc from returning a step's memory to the system, to ask for it again in the next.

    It returns what lies free on top of its heap beyond a threshold, and by itself raises that to
    twice the largest block it has seen freed, up to blocks of 32 MiB. The variational step of a
    small net frees more at its end than a plain one, and thousands of page faults were a tenth to
    a fifth of its time. So this frees one large block, never written to; a user's own
    `MALLOC_TRIM_THRESHOLD_` stays in force, and other allocators do not care.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def _like(value: Any, loc: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(value, dtype=loc.dtype, device=loc.device)


def _tensor(value: Any) -> torch.Tensor:
    # A Keras variable holds its tensor in `value`.
    return value if isinstance(value, torch.Tensor) else value.value
