"""The hot path of a mean-field normal on PyTorch, with the fewest passes over memory.

Each operation is a pass, and autograd would keep and reread most of the intermediate results:
value and gradient are written out and computed together.
"""

from typing import Any

import torch
from torch.nn.functional import softplus


def mean_field_scale(rho: Any) -> torch.Tensor:
    """softplus(rho)."""
    return softplus(_tensor(rho))


def mean_field_perturbation(rho: Any, noise: torch.Tensor) -> torch.Tensor:
    """softplus(rho) * noise."""
    result: torch.Tensor = _Perturbation.apply(_tensor(rho), noise)
    return result


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> torch.Tensor:
    """Sum of KL(N(loc, softplus(rho)^2) ‖ N(prior_loc, prior_scale^2)) in nats."""
    loc, rho = _tensor(loc), _tensor(rho)
    prior_loc = torch.as_tensor(prior_loc, dtype=loc.dtype, device=loc.device)
    prior_scale = torch.as_tensor(prior_scale, dtype=loc.dtype, device=loc.device)
    result: torch.Tensor = _KL.apply(loc, rho, prior_loc, prior_scale)[0]
    return result


class _Perturbation(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(rho: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return softplus(rho) * noise

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        rho, noise = ctx.saved_tensors
        by_noise = upstream * softplus(rho) if ctx.needs_input_grad[1] else None
        return torch.sigmoid(rho) * noise * upstream, by_noise


class _KL(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        loc: torch.Tensor, rho: torch.Tensor, prior_loc: torch.Tensor, prior_scale: torch.Tensor
    ) -> Any:
        precision = prior_scale.square().reciprocal()
        # Below -80, where exp underflows, log softplus(x) = x, and its slope is 1 as at -80.
        clamped = rho.clamp_min(-80.0)
        scale, slope = softplus(clamped), torch.sigmoid(clamped)
        log_scale = torch.log(scale).sum() + (rho.sum() - clamped.sum())
        scaled = scale * precision
        centred = loc - prior_loc
        by_loc = centred * precision
        # Dot products: no square is written out.
        squares = torch.dot(scale.flatten(), scaled.flatten())
        squares = squares + torch.dot(centred.flatten(), by_loc.flatten())
        repeats = loc.numel() // prior_scale.numel()
        constant = repeats * torch.log(prior_scale).sum() - 0.5 * loc.numel()
        return 0.5 * squares - log_scale + constant, by_loc, scaled * slope - slope / scale

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, by_loc, by_rho = output
        ctx.mark_non_differentiable(by_loc, by_rho)
        ctx.set_materialize_grads(False)  # else zeros are written for these two
        ctx.save_for_backward(by_loc, by_rho)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *_: Any) -> Any:
        by_loc, by_rho = ctx.saved_tensors
        if upstream is None:
            return None, None, None, None
        return upstream * by_loc, upstream * by_rho, None, None


def _tensor(value: Any) -> torch.Tensor:
    # A Keras variable holds its tensor in `value`.
    return value if isinstance(value, torch.Tensor) else value.value
