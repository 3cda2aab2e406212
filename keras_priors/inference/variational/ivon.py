"""Variational inference with independent normals, by natural gradients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.variational_inference import VariationalInference
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between

# Steps that the curvature of the start counts for.
_EARLY = 10.0


@export("keras_priors.inference")
class IVON(VariationalInference):
    """Variational inference with independent normals, by natural gradients.

        q(z) = prod_i N(z_i | m_i, 1 / P_i),      g = -d log p(z | x, y) / dz at z = m + s * eps
        P = P + r (Phat - P) + r^2 (Phat - P)^2 / (2 P),    Phat = mean of g eps / s over draws
        v = beta_1 v + (1 - beta_1) mean of g,    m = m - rate v / ((1 - beta_1^t) P)

    with s^2 = 1 / P and r = 1 - beta_2, or 1 / (t + 10) where that is more. It climbs the ELBO of
    `MeanField` to the same q: a step is one of Newton's method with the curvature that draws have
    found, so that no learning rate of standard deviations is to be chosen, and stiff weights and
    flat ones move alike. P is too large by about r var(Phat) / (2 P^2) of itself while the rate is
    high; r falls with the rate. z is the vector of all weights, without bounds. For training by
    plain `fit` there is `IVONOptimizer`.

    Args:
        num_steps: integer, steps, over which the rate falls to 0 along a cosine. Defaults to None:
            as in `MeanField`, until the ELBO no longer rises, at most 40000.
        learning_rate: float, the first rate; 1 would be the whole of Newton's step. Defaults to
            0.1.
        num_samples: integer, draws for each step, in antithetic pairs. Defaults to 4.
        batch_size: integer, rows for each step; None takes all. Defaults to 512.
        initial_scale: float, the standard deviation to start with, around the weights that the
            model has. Defaults to None: as in `MeanField`, by the curvature there.
        beta_1: float in [0, 1), how much of the momentum stays in a step. Defaults to 0.9.
        beta_2: float in (0, 1), how much of P stays in a step at first. Defaults to 0.99.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; in `fit`, an ELBO that is not finite, or that ends
            far below its start.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> posterior = kp.inference.IVON(num_steps=500, num_samples=16).fit(
        ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0),
        ...     seed=0, verbose=0)
        >>> abs(posterior.mean()["line/kernel"].item() - 0.75) < 0.01     # 3 / (3 + 1)
        True
        >>> abs(posterior.stddev()["line/kernel"].item() - 0.5) < 0.02    # 1 / sqrt(3 + 1)
        True

    References:
        - Shen et al., 2024, Variational learning is effective for large deep networks,
          arXiv:2402.17641, algorithm 1.
        - Khan and Rue, 2023, The Bayesian learning rule, arXiv:2107.04562, section 4.
    """

    _parameters = (*VariationalInference._parameters, "beta_1", "beta_2")

    def __init__(
        self,
        num_steps: int | None = None,
        learning_rate: float = 0.1,
        num_samples: int = 4,
        batch_size: int | None = 512,
        initial_scale: float | None = None,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
    ) -> None:
        super().__init__(num_steps, learning_rate, num_samples, batch_size, initial_scale)
        self.beta_1 = beta_1 if beta_1 == 0 else number_between("IVON", "beta_1", beta_1, 0.0, 1.0)
        self.beta_2 = number_between("IVON", "beta_2", beta_2, 0.0, 1.0)

    def _family(self, size: int) -> Any:
        return MeanFieldNormal(self.initial_scale or 0.05)

    def _optimizer(self, family: NormalFamily) -> Any:
        precision = ops.convert_to_tensor((family.stddev() ** -2.0).astype("float32"))
        return _State([precision, ops.zeros_like(precision), ops.zeros((), "float32")])

    def _step_of(
        self,
        log_posterior: LogPosterior,
        family: NormalFamily,
        optimizer: Any,
        scale: float,
        groups: int = 1,
    ) -> Any:
        """A pure function: one step on the ELBO of one batch of rows."""

        def log_probs(z: Any, fixed: Any, batch: Any) -> Any:
            factor = ops.convert_to_tensor(scale, dtype="float32")
            return ops.sum(
                backend.vectorize(
                    lambda each: log_posterior.batch_log_prob(each, fixed, batch, factor)
                )(z)
            )

        climb = backend.value_and_gradient(log_probs)
        constant = 0.5 * math.log(2.0 * math.pi)

        def step(state: Any, fixed: Any, data: Any, units: Any, element: Any) -> Any:
            (loc, _), (precision, momentum, count), _ = state
            seed, indices, rate = element
            batch = keras.tree.map_structure(lambda leaf: ops.take(leaf, indices, axis=0), data)
            noise = family.noise(seed, self.num_samples)
            scale = ops.rsqrt(precision)
            total, slopes = climb(loc + scale * noise, fixed, batch)
            log_q = ops.sum(-0.5 * ops.square(noise) - constant) / self.num_samples
            elbo = total / self.num_samples - log_q - 0.5 * ops.sum(ops.log(precision))
            # Phat / P = -slope eps s. Its rate falls with that of the mean, and the noise of both
            # with it; first it is that of a mean of all steps, which forgets the start.
            ratio = -ops.mean(slopes * noise, axis=0) * scale
            learned = ops.maximum(1.0 - self.beta_2, 1.0 / (_EARLY + count))
            learned = learned * (rate / self.learning_rate)
            # P + r (Phat - P) + r^2 (Phat - P)^2 / (2 P), without cancellation.
            precision = precision * (0.5 + 0.5 * ops.square(1.0 - learned + learned * ratio))
            momentum = self.beta_1 * momentum - (1.0 - self.beta_1) * ops.mean(slopes, axis=0)
            count = count + 1.0
            debiased = 1.0 - ops.power(ops.cast(self.beta_1, "float32"), count)
            loc = loc - rate / debiased * (momentum / precision)
            return [loc, _rho(ops.rsqrt(precision))], [precision, momentum, count], elbo

        return step


class _State(NamedTuple):
    """What a step carries along besides the family's variables."""

    variables: list[Any]


def _rho(scale: Any) -> Any:
    """The rho with softplus(rho) = scale."""
    return scale + ops.log(-ops.expm1(-scale))
