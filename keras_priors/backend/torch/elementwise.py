"""Elementwise operations of the estimators on PyTorch, with the fewest passes over memory.

Autograd finds the gradient of a square and of a noise by three passes each, and writes each out.
"""

from typing import Any

import torch

# Keeps the gradient of a square root finite at zero; far below any variance.
TINY = 1e-30


def square(x: torch.Tensor) -> torch.Tensor:
    if not is_plain():
        return x * x
    result: torch.Tensor = _Square.apply(x)
    return result


def add_noise(y: torch.Tensor, variance: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    if y.dtype == variance.dtype == noise.dtype and y.shape == variance.shape and is_plain():
        result: torch.Tensor = _AddNoise.apply(y, variance, noise)
        return result
    return y + (torch.sqrt(variance.clamp_min(TINY)) * noise).to(y.dtype)


def ivon_step(
    state: Any,
    gradient: torch.Tensor,
    noise: torch.Tensor,
    step: Any,
    still: Any,
    rate: Any,
    settings: tuple[float, ...],
) -> Any:
    # Each line is a pass or two over memory; a dozen operations of Keras cost as much again.
    value, mean, total, momentum = state
    beta_1, beta_2, size, decay, floor = settings
    # Of numbers of the CPU, like `step` and `still`: nothing here waits for an accelerator.
    start = torch.tensor(beta_1, dtype=value.dtype, device="cpu")
    debiased = float(1.0 - start ** (step.to(value.dtype) + 1.0))
    momentum = torch.lerp(momentum, gradient, 1.0 - beta_1)
    if bool(step != still):
        learned = 1.0 - beta_2
        turned = (value - mean).mul_(gradient).mul_(learned * size).add_(1.0 - learned)
        if decay:
            turned.add_(torch.reciprocal(total), alpha=learned * decay)
        total = turned.square_().add_(1.0).mul_(total).mul_(0.5)
    else:
        mean = value
    slope = torch.add(momentum, mean, alpha=debiased * decay) if decay else momentum
    bounded = total.clamp_min(floor) if floor else total
    if rate.is_cpu:
        mean = torch.addcdiv(mean, slope, bounded, value=-float(rate) / debiased)
    else:  # of a schedule, it is found there
        mean = torch.addcdiv(mean, slope * rate, bounded, value=-1.0 / debiased)
    return torch.addcdiv(mean, noise, total.sqrt(), value=size**-0.5), mean, total, momentum


def is_plain() -> bool:
    """Whether this runs at once: not while PyTorch compiles or transforms (`torch.func`)."""
    return not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active()


# The functions have no `setup_context`, for which PyTorch would inspect their signatures at each
# call. Only transformations need one.


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return torch.addcmul(upstream.new_zeros(()), upstream, x, value=2.0)


class _AddNoise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, y: torch.Tensor, variance: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(variance, noise)
        return torch.addcmul(y, variance.clamp_min(TINY).sqrt_(), noise)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        variance, noise = ctx.saved_tensors
        if torch.is_grad_enabled():  # these operations are to be differentiated again
            by_variance = 0.5 * upstream * noise * torch.rsqrt(variance.clamp_min(TINY))
        else:
            slope = variance.clamp_min(TINY).rsqrt_().mul_(noise)
            by_variance = slope.mul_(upstream).mul_(0.5)
        return upstream, by_variance, None
