"""How a draw from the posterior of kernel and bias enters a linear layer.

A shared draw and flipout give each observation a true draw of the weights, so both are unbiased for
the expected loss. So is local reparameterization where an observation uses each weight once.
Where it uses one at several positions (time steps, tokens, pixels), local reparameterization is an
approximation over positions: it draws each by itself, each with the right mean and variance, and
leaves out their covariance. With equal inputs at T positions, the variance of an output averaged or
summed over them is 1/T of the right one, and the expected loss is as wrong where positions are
pooled or attended.

They differ in cost and in the variance of the loss's gradient. A shared draw needs one normal for
each weight; local reparameterization one for each output and a second product; flipout one for
each weight, a sign for each observation and input or output unit, and a second product. Local
reparameterization lowers the variance for means and scales. So does flipout
while the errors come from the data; where they come from the noise itself, late in a fit with large
scales, it lowers it for the means alone: a scale then meets the square of the one perturbation that
all rows share, which no sign changes.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.layers.linear_maps import LinearOp
from keras_priors.posteriors.posterior import Posterior

Estimate = Callable[[LinearOp, Any, Posterior, Posterior | None, Any], Any]


def reparameterization(
    op: LinearOp, x: Any, kernel: Posterior, bias: Posterior | None, seed: Any
) -> Any:
    """One draw of the weights for all rows (Kingma and Welling, 2014; Blundell et al., 2015)."""
    noise, bias_noise = _noise(kernel, bias, seed)
    y = op(x, kernel.transform(noise))
    return y if bias is None else y + _shaped(op, bias.transform(bias_noise), y)


def local_reparameterization(
    op: LinearOp, x: Any, kernel: Posterior, bias: Posterior | None, seed: Any
) -> Any:
    """A draw of each row's outputs (Kingma, Salimans and Welling, 2015, equation 6).

    An approximation over positions, which it takes for rows of their own.
    """
    y = op(x, kernel.mean())
    if bias is None:
        return kernel.output_draw(op, y, x, seed)
    y = y + _shaped(op, bias.mean(), y)
    if kernel.independent and bias.independent:
        # Variances of independent normals add up: one noise does for both.
        return op.local_draw(y, x, kernel.variance(), seed, bias.variance())
    y = kernel.output_draw(op, y, x, seed)
    bias_noise = backend.standard_normal(bias.noise_shape, backend.fold_in(seed, 64), bias.dtype)
    return y + _shaped(op, bias.perturbation(bias_noise), y)


def flipout(op: LinearOp, x: Any, kernel: Posterior, bias: Posterior | None, seed: Any) -> Any:
    """One draw, its signs flipped by observation (Wen et al., 2018, equation 4)."""
    y = op(x, kernel.mean())
    signs = backend.random_signs(op.output_signs_shape(y), backend.fold_in(seed, 66), op.dtype(x))
    noise, bias_noise = _noise(kernel, bias, seed)
    perturbation = op.flipped(x, kernel.perturbation(noise), backend.fold_in(seed, 65))
    if bias is None:
        return y + perturbation * signs
    y = y + _shaped(op, bias.mean(), y)
    bias_perturbation = _shaped(op, bias.perturbation(bias_noise), y)
    if bias.sign_symmetric:
        return y + (perturbation + bias_perturbation) * signs
    return y + perturbation * signs + bias_perturbation


def _shaped(op: LinearOp, bias: Any, y: Any) -> Any:
    return op.bias(ops.cast(bias, y.dtype))


def _noise(kernel: Posterior, bias: Posterior | None, seed: Any) -> Any:
    """The standard normals of kernel and bias, by one call: for small layers calls cost most."""
    shapes = [kernel.noise_shape] if bias is None else [kernel.noise_shape, bias.noise_shape]
    noise = backend.standard_normals(shapes, seed, kernel.dtype)
    return (noise[0], None) if bias is None else noise


ESTIMATORS: dict[str, Estimate] = {
    "reparameterization": reparameterization,
    "local_reparameterization": local_reparameterization,
    "flipout": flipout,
}


def check_estimator(owner: str, name: Any) -> str:
    """`name` if it is an estimator."""
    if name not in ESTIMATORS:
        raise ValueError(
            f"`estimator` of {owner} must be one of {sorted(ESTIMATORS)}. "
            f"Received: estimator={name!r}."
        )
    return str(name)


def check_family(owner: str, estimator: str, kernel: Posterior) -> None:
    """Refuse an estimator that the kernel's posterior family does not have."""
    if estimator == "local_reparameterization" and not kernel.has_output_draw:
        raise ValueError(
            f'estimator="local_reparameterization" of {owner} needs a posterior whose outputs '
            "are cheap to draw: MeanFieldNormal, LowRankNormal, MatrixNormal or Delta. "
            f'Received: {kernel!r}. Use estimator="reparameterization" with it.'
        )
    if estimator == "flipout" and not kernel.sign_symmetric:
        raise ValueError(
            f'estimator="flipout" of {owner} needs a posterior that is unchanged when signs are '
            "flipped element by element: MeanFieldNormal or Delta. "
            f'Received: {kernel!r}. Use estimator="reparameterization" with it.'
        )
