"""The hot path of a mean-field normal on PyTorch, with the fewest passes over memory."""

from typing import Any

import torch

from keras_priors.backend._noise_torch import standard_normal


def mean_field_sample(loc: Any, rho: Any, seed: Any) -> torch.Tensor:
    """loc + softplus(rho) * noise."""
    loc, rho = _tensor(loc), _tensor(rho)
    noise = standard_normal(tuple(loc.shape), seed, str(loc.dtype).removeprefix("torch."))
    return torch.addcmul(loc, torch.nn.functional.softplus(rho), noise)


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> torch.Tensor:
    """Sum of KL(N(loc, softplus(rho)^2) ‖ N(prior_loc, prior_scale^2)) in nats."""
    loc, rho = _tensor(loc), _tensor(rho)
    prior_loc = torch.as_tensor(prior_loc, dtype=loc.dtype, device=loc.device)
    prior_scale = torch.as_tensor(prior_scale, dtype=loc.dtype, device=loc.device)
    scale = torch.nn.functional.softplus(rho)
    # Below -15, softplus(x) = exp(x) in float32; the clamp keeps the gradient finite.
    log_scale = torch.where(rho < -15.0, rho, torch.log(scale.clamp_min(1e-7)))
    squares = (scale.square() + (loc - prior_loc).square()) / (2.0 * prior_scale.square())
    return (squares - log_scale + (torch.log(prior_scale) - 0.5)).sum()


def _tensor(value: Any) -> torch.Tensor:
    # A Keras variable holds its tensor in `value`.
    return value if isinstance(value, torch.Tensor) else value.value
