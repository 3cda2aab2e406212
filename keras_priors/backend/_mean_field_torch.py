"""The hot path of a mean-field normal on PyTorch, with the fewest passes over memory.

Each operation is a pass; autograd would keep and reread most of the intermediate results. A
softplus costs ten passes: a training step takes it once, and its KL finds that of its draw.
"""

import math
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from torch.utils.weak import WeakTensorKeyDictionary

# Below, log softplus(x) = x and its slope is 1, also where softplus underflows.
_TAIL = -75.0
_SMALLEST = math.exp(_TAIL)

_scales = WeakTensorKeyDictionary()


def mean_field_scale(rho: Any) -> torch.Tensor:
    """softplus(rho)."""
    rho = _tensor(rho)
    scale = softplus(rho)
    if scale.requires_grad and _is_kept(rho):
        # With the version that every change in place counts up. `mean_field_kl` takes it away.
        _scales[rho] = rho._version, scale.detach()
    return scale


def mean_field_perturbation(rho: Any, noise: torch.Tensor) -> torch.Tensor:
    """softplus(rho) * noise."""
    return mean_field_scale(rho) * noise


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> torch.Tensor:
    """Sum of KL(N(loc, softplus(rho)^2) ‖ N(prior_loc, prior_scale^2)) in nats."""
    loc, rho = _tensor(loc), _tensor(rho)
    prior_scale = np.asarray(prior_scale, "float64")
    log_scales = np.log(prior_scale).sum() * (math.prod(loc.shape) / prior_scale.size)
    precision = 1.0 / prior_scale**2
    weights: Any = float(precision) if precision.ndim == 0 else _like(precision, loc)
    centred = loc if np.ndim(prior_loc) == 0 and prior_loc == 0.0 else loc - _like(prior_loc, loc)
    divergence: torch.Tensor = _KL.apply(centred, rho, _kept_scale(rho), weights)[0]
    return divergence + float(log_scales - 0.5 * math.prod(loc.shape))


class _KL(torch.autograd.Function):
    """Sum of (weights (scale^2 + centred^2)) / 2 - log scale, for scale = softplus(rho)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        centred: torch.Tensor, rho: torch.Tensor, scale: torch.Tensor | None, weights: Any
    ) -> Any:
        clamped = rho.clamp_min(_TAIL)
        scale = softplus(clamped) if scale is None else scale.clamp_min(_SMALLEST)
        # Where nothing was clamped, the two sums are the same and go out exactly.
        log_scale = scale.log().sum() + (rho.sum() - clamped.sum())
        squares = _weighted_squares(scale, weights) + _weighted_squares(centred, weights)
        return 0.5 * squares - log_scale, scale, clamped

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        centred, _, _, ctx.weights = inputs
        _, scale, clamped = output
        ctx.mark_non_differentiable(scale, clamped)
        ctx.set_materialize_grads(False)  # else zeros are written for these two
        ctx.save_for_backward(centred, inputs[1], scale, clamped)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *_: Any) -> Any:
        if upstream is None:
            return None, None, None, None
        centred, rho, scale, clamped = ctx.saved_tensors
        weights = upstream * ctx.weights
        if torch.is_grad_enabled():  # these operations are to be differentiated again
            clamped = rho.clamp_min(_TAIL)
            scale = softplus(clamped)
            slope = weights * scale - upstream / scale
            return weights * centred, slope * torch.sigmoid(clamped), None, None
        slope = torch.div(-upstream, scale).addcmul_(scale, weights)
        by_rho = torch.ops.aten.softplus_backward(slope, clamped, 1.0, 20.0)
        return weights * centred, by_rho, None, None


def _weighted_squares(x: torch.Tensor, weights: Any) -> torch.Tensor:
    # Dot products: no square is written out.
    flat = x.flatten()
    if isinstance(weights, float):
        return torch.dot(flat, flat) * weights
    return torch.dot(flat, (x * weights).flatten())


def _is_kept(rho: torch.Tensor) -> bool:
    # The value of a variable itself: no tensor of a transformation, nothing that is compiled.
    return type(rho) is torch.nn.Parameter and not torch.compiler.is_compiling()


def _kept_scale(rho: torch.Tensor) -> torch.Tensor | None:
    """softplus(rho) from this step's draw, if there was one."""
    if not _is_kept(rho):
        return None
    version, scale = _scales.pop(rho, (None, None))
    return scale if version == rho._version else None


def _like(value: Any, loc: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(value, dtype=loc.dtype, device=loc.device)


def _tensor(value: Any) -> torch.Tensor:
    # A Keras variable holds its tensor in `value`.
    return value if isinstance(value, torch.Tensor) else value.value
