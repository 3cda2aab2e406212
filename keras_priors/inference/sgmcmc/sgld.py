"""Stochastic-gradient Langevin dynamics."""

from __future__ import annotations

from keras_priors.inference.sgmcmc.stochastic_gradient import StochasticGradientMethod
from keras_priors.utils.export import export


@export("keras_priors.inference")
class SGLD(StochasticGradientMethod):
    """Stochastic-gradient Langevin dynamics: gradient descent on minibatches, with noise.

        z = z - rate * G g + sqrt(2 rate * G / N) * N(0, 1)

    in the unbounded vector z of all weights (see `LogPosterior`), with the Jacobian. g is an
    estimate of the gradient of the negative log posterior per observation (nats), by one batch
    of n of the N rows. The step of Welling and Teh, on the log posterior of all rows, is
    2 rate / N: `learning_rate` is that of SGD on the mean loss, whatever N is, and has the same
    meaning in `SGLDOptimizer`.

    Small steps are right and slow, large ones are biased: where the mean loss has curvature h and
    G = 1, a chain forgets in about 1 / (rate h) steps, and its variances are too large by about
    rate h N / (2 n) of themselves, by the noise of the batches, if rows scatter as the model says.

    "rmsprop" divides by the root of the running second moment of g. It is learned in burn-in and
    then kept, so that the chain has the right stationary distribution without the term Gamma of
    Li et al., which is the derivative of G by z, here 0. Where a batch is a part of the rows, and
    half the second moment of the last hundred steps exceeds the kept one, it takes its place: the
    posterior is stiffer there than where G was learned, and the kept G would throw the chain off.
    Where the noise of batches is most of a gradient that does not happen by chance; of one normal
    weight of 200 rows, in batches of 128, it makes the variance 4% larger, of 1000 rows 0%.

    Four chains are the default, and are compared in what they predict, see `SGHMC`.

    Args:
        learning_rate: float above 0. Defaults to 1e-3.
        batch_size: integer, rows of a step. Defaults to 128; all, if there are fewer.
        num_burnin: integer of at least 0, steps before the first draw. Defaults to 5000.
        num_samples: integer, draws of each chain. Defaults to 125.
        thinning: integer, steps between draws. Defaults to 80.
        num_chains: integer, chains side by side, each with batches of its own, on JAX over the
            devices of `keras.distribution`. Defaults to 4.
        preconditioner: "rmsprop" (the default) or None, G = 1.
        schedule: "constant" (the default); "polynomial", rate (1 + t / num_burnin)^-decay at step
            t, whose draws have equal weights here; "cyclical", rate (cos(pi k / K) + 1) / 2 at
            step k of the K of a cycle, where the first part of a cycle is without noise and draws
            are taken in the rest.
        num_cycles: integer, for "cyclical". Divides `num_samples`. Defaults to 4.
        exploration: float in (0, 1), the part of a cycle without noise. Defaults to 0.8.
        decay: float in (0, 1], for "polynomial". Defaults to 0.55.
        start: "model" (the default), the weights that it has; "prior", a draw for each chain.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; in `fit`, a log posterior that is not finite at the
            start, or steps so large that the chain leaves the finite numbers.

    Warns:
        UserWarning: chains that predict differently (R-hat above 1.05), or whose draws say little
            of predictions (bulk ESS below 100, of all chains). See `SamplePosterior.diagnose`.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> sgld = kp.inference.SGLD(0.05, num_burnin=200, num_samples=100, thinning=20)
        >>> posterior = sgld.fit(
        ...     model, np.ones((8, 1)), np.ones((8, 1)), kp.likelihoods.Normal(1.0), seed=0,
        ...     verbose=0)
        >>> posterior.draws()["line/kernel"].shape
        (400, 1, 1)

    References:
        - Welling and Teh, 2011, Bayesian learning via stochastic gradient Langevin dynamics,
          equation 4.
        - Li et al., 2016, Preconditioned SGLD, arXiv:1512.07666, equations 4 and 5.
        - Zhang et al., 2020, Cyclical stochastic gradient MCMC, arXiv:1902.03932, equation 1.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        num_burnin: int = 5000,
        num_samples: int = 125,
        thinning: int = 80,
        num_chains: int = 4,
        preconditioner: str | None = "rmsprop",
        schedule: str = "constant",
        num_cycles: int = 4,
        exploration: float = 0.8,
        decay: float = 0.55,
        start: str = "model",
    ) -> None:
        super().__init__(
            learning_rate,
            batch_size,
            num_burnin,
            num_samples,
            thinning,
            num_chains,
            preconditioner,
            schedule,
            num_cycles,
            exploration,
            decay,
            start,
        )
