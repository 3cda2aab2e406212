"""Automatic variational inference with a covariance of low rank plus diagonal."""

from typing import Any

from keras_priors.inference.variational.variational_inference import VariationalInference
from keras_priors.posteriors.low_rank_normal import LowRankNormal
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.inference")
class LowRank(VariationalInference):
    """Variational inference with q(z) = N(z | m, diag(s^2) + B Bᵀ), B of few columns.

        ELBO(q) = E_q[log p(y | x, w) + log p(w) + log|dw/dz|] + H(q)        (nats)

    is at most log p(y | x), and higher by as much as KL(q‖posterior) is lower. Each step takes
    draws of z and a batch of rows, N / n times their log likelihood, and the path derivative,
    which has no noise where q is the posterior. z is the vector of all weights, without bounds.
    Between MeanField and FullRank, at a cost that is linear in the number of weights.

    Args:
        rank: integer, columns of B. Defaults to 10.
        num_steps: integer, steps of Adam. The rate falls to 0 over them, along a cosine, so that
            the noise dies out. Defaults to None: at the first rate until the ELBO no longer rises
            (looked at after 1000 steps or 10 passes over the data, and whenever they have
            doubled), then as many steps with a falling rate, and as many again from the first
            rate down while the ELBO rises; at most 40000.
        learning_rate: float, the first rate, of log standard deviations. That of means is, in
            units of z, as high, and lower by 50 s where a starting standard deviation s is below
            0.02, by at most 10; that of a row of a factor is lower by s. Defaults to 0.01.
        num_samples: integer, draws for each step, in antithetic pairs. Defaults to 4.
        batch_size: integer, rows for each step; None takes all. Defaults to 512.
        initial_scale: float, the standard deviation to start with, around the weights that the
            model has. Defaults to None: s_i = c (F_ii + P_ii)^-1/2 of each element, with the Fisher
            information F and the prior's curvature P there and one factor c, at most 1, at which
            the ELBO is highest.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument that is not positive; in `fit`, an ELBO that is not finite,
            or that ends far below its start.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> method = kp.inference.LowRank(rank=1, num_steps=500, learning_rate=0.05)
        >>> posterior = method.fit(
        ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0),
        ...     seed=0, verbose=0)
        >>> abs(posterior.mean()["line/kernel"].item() - 0.75) < 0.01     # 3 / (3 + 1)
        True
        >>> abs(posterior.stddev()["line/kernel"].item() - 0.5) < 0.01    # 1 / sqrt(3 + 1)
        True

    References:
        - Kucukelbir et al., 2017, Automatic differentiation variational inference,
          arXiv:1603.00788, section 2.4.
        - Roeder, Wu and Duvenaud, 2017, Sticking the landing, arXiv:1703.09194, algorithm 1.
        - Ong, Nott and Smith, 2018, Gaussian variational approximation with a factor covariance
          structure, arXiv:1701.03208.
    """

    _parameters = ("rank", *VariationalInference._parameters)

    def __init__(
        self,
        rank: int = 10,
        num_steps: int | None = None,
        learning_rate: float = 0.01,
        num_samples: int = 4,
        batch_size: int | None = 512,
        initial_scale: float | None = None,
    ) -> None:
        super().__init__(num_steps, learning_rate, num_samples, batch_size, initial_scale)
        self.rank = whole_number("LowRank", "rank", rank)

    def _family(self, size: int) -> Any:
        return LowRankNormal(min(self.rank, size), self.initial_scale or 0.05)
