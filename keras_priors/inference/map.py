"""The maximum a posteriori weights."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.inference.check_noise import check_noise_remains
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import maximize
from keras_priors.inference.method import Method
from keras_priors.inference.point_posterior import PointPosterior
from keras_priors.utils.export import export
from keras_priors.utils.warn import warn

# Two scales so small that a density which still rises from the first to the second has no end.
_TINY = (1e-24, 1e-30)


@export()
class MAP(Method):
    """The weights with the highest posterior density, by L-BFGS on all rows.

        w = argmax sum_i log p(y_i | f(x_i; w)) + log p(w)        (nats)

    From the weights that the model has: train it by `fit` first where it is large. The density is
    that of the weights as they are: no Jacobian of the map that keeps them inside bounded supports,
    so that the MAP is the one that `fit` with `constraint()` finds.

    Where the scale of a prior is unknown, the density is that of weights and scale together, which
    has a highest point only where the prior of the scale outweighs s^-n at s = 0, for its n
    weights, as `InverseGammaPrior` and `LogNormalPrior` do; others are refused.

    Args:
        max_iterations: integer of at least 0; 0 takes the weights as they are, as the MAP that
            `fit` has found. Defaults to 1000.
        tolerance: float, largest element of the gradient of the mean log posterior (nats per row)
            at which it stops. Where float32 shows no higher point before, Newton's method takes
            over; a mode is then where it is within a tenth of a posterior standard deviation.
            Defaults to 1e-5.

    Raises:
        TypeError: `max_iterations` is not an integer.
        ValueError: a negative `max_iterations`, a `tolerance` that is not positive; in `fit`, a
            start where the log posterior is not finite, or an unknown scale by which it is
            unbounded.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> posterior = kp.inference.MAP().fit(
        ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0))
        >>> posterior.mean()["line/kernel"].round(3).tolist()     # 3 / (3 + 1)
        [[0.75]]

    References:
        - Liu and Nocedal, 1989, On the limited memory BFGS method for large scale optimization.
    """

    tempers = False
    checkpoints = True

    _parameters = ("max_iterations", "tolerance")

    def __init__(self, max_iterations: int = 1000, tolerance: float = 1e-5) -> None:
        if isinstance(max_iterations, bool) or not isinstance(max_iterations, int):
            raise TypeError(
                "`max_iterations` of MAP must be an integer of at least 0. Received: "
                f"max_iterations={max_iterations!r}."
            )
        if max_iterations < 0 or not tolerance > 0:
            raise ValueError(
                "`max_iterations` of MAP must be at least 0 and `tolerance` greater than 0. "
                f"Received: max_iterations={max_iterations}, tolerance={tolerance!r}."
            )
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> PointPosterior:
        _check_bounded(log_posterior)
        start = log_posterior.positions.unconstrain(log_posterior.positions.current())
        position, value, converged = maximize(
            log_posterior, start, self.max_iterations, self.tolerance, verbose=verbose
        )
        if self.max_iterations:
            check_noise_remains("MAP", log_posterior, position)
        if not converged and self.max_iterations:
            warn(
                f"MAP stopped before it converged, after at most {self.max_iterations} "
                "iterations. Train the model by `fit` first, standardise its inputs, or give more "
                "iterations or a larger tolerance.",
            )
        return PointPosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            log_posterior.positions.constrain(position)[0],
            log_posterior=value,
            observations=log_posterior.observations,
        )


def _check_bounded(log_posterior: LogPosterior) -> None:
    """Refuses p(s) s^-n that grows without bound as s goes to 0: there is no highest point."""
    positions = log_posterior.positions
    for scaled in positions.scaled:
        # s^-n is as steep at each s; what p(s) is like shows where s is small.
        heights = []
        for tiny in _TINY:
            s = ops.convert_to_tensor(np.full(scaled.scale_shape, tiny, "float32"))
            heights.append(float(scaled.latent.prior.log_prob(s)) - float(scaled.log_det(s)))
        if heights[1] > heights[0]:
            raise ValueError(
                "MAP needs a log posterior with a highest point. Received: "
                f"{positions.priors[scaled.weight]!r} on {positions.paths[scaled.weight]}, under "
                "which p(scale) scale^-n, the density where the weights are at their mean, grows "
                f"without bound as the scale of n = {scaled.repeats:.0f} weights goes to 0. Use "
                'NUTS, HMC, SGLD, SGHMC, MeanField, LowRank, FullRank or Laplace("full"), which '
                "are of the density of (w - loc) / scale; or InverseGammaPrior over the scale; or "
                "a number, which `Laplace().fit(...).tune()` finds."
            )
