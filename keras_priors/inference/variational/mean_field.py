"""Automatic variational inference with independent normals."""

from typing import Any

import keras

from keras_priors import backend
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.variational_inference import VariationalInference
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.utils.export import export

# Groups of rows, the fewest rows of one, and the most numbers that the draws of a step may be.
_GROUPS, _FEWEST_ROWS, _MOST_NUMBERS = 8, 8, 2**26


@export("keras_priors.inference")
class MeanField(VariationalInference):
    """Variational inference with independent normals: q(z) = prod_i N(z_i | m_i, s_i^2).

        ELBO(q) = E_q[log p(y | x, w) + log p(w) + log|dw/dz|] + H(q)        (nats)

    is at most log p(y | x), and higher by as much as KL(q‖posterior) is lower. Each step takes
    draws of z and a batch of rows, N / n times their log likelihood, and the path derivative,
    which has no noise where q is the posterior. The rows of a batch are dealt anew in each step
    to up to 8 groups of 8 rows or more, each with draws of its own: as much work for the network,
    and far less noise. z is the vector of all weights, without bounds.
    Means come out well; standard deviations are those with all other weights held, too small
    where weights are correlated.

    Args:
        num_steps: integer, steps of Adam. The rate falls to 0 over them, along a cosine, so that
            the noise dies out. Defaults to None: at the first rate until the ELBO no longer rises
            (looked at after 1000 steps or 10 passes over the data, and whenever they have
            doubled), then as many steps with a falling rate, and as many again from the first
            rate down while the ELBO rises; at most 40000.
        learning_rate: float, the first rate, of log standard deviations. That of means is, in
            units of z, as high, and lower by 50 s where a starting standard deviation s is below
            0.02, by at most 10; that of a row of a factor is lower by s. Defaults to 0.01.
        num_samples: integer, draws for each row and step, in antithetic pairs. Defaults to 2.
        batch_size: integer, rows for each step; None takes all. Those that do not go into groups
            of one size, fewer than 8, are others in each step. Defaults to 512.
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
        >>> method = kp.inference.MeanField(num_steps=500, learning_rate=0.05)
        >>> posterior = method.fit(
        ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0),
        ...     seed=0, verbose=0)
        >>> abs(posterior.mean()["line/kernel"].item() - 0.75) < 0.01     # 3 / (3 + 1)
        True
        >>> abs(posterior.stddev()["line/kernel"].item() - 0.5) < 0.01    # 1 / sqrt(3 + 1)
        True

    References:
        - Kucukelbir et al., 2017, Automatic differentiation variational inference,
          arXiv:1603.00788, section 2.4, equation 6.
        - Roeder, Wu and Duvenaud, 2017, Sticking the landing, arXiv:1703.09194, algorithm 1.
    """

    def __init__(
        self,
        num_steps: int | None = None,
        learning_rate: float = 0.01,
        num_samples: int = 2,
        batch_size: int | None = 512,
        initial_scale: float | None = None,
    ) -> None:
        super().__init__(num_steps, learning_rate, num_samples, batch_size, initial_scale)

    def _family(self, size: int) -> Any:
        return MeanFieldNormal(self.initial_scale or 0.05)

    def _groups(self, batch: int, size: int) -> int:
        fit = min(_GROUPS, batch // _FEWEST_ROWS, _MOST_NUMBERS // (self.num_samples * size))
        return max(1, fit)

    def _optimizer(self, family: NormalFamily) -> Any:
        # Squares of slopes from when the means were far off must not hold the scales for long.
        optimizer = backend.stateless(keras.optimizers.Adam(1.0, beta_2=0.99))
        optimizer.build(family.variables)
        return optimizer
