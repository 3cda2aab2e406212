"""Counts with more zeros than their likelihood has."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.binomial import Binomial
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.get import get
from keras_priors.likelihoods.negative_binomial import NegativeBinomial
from keras_priors.likelihoods.poisson import Poisson
from keras_priors.utils.export import export


@export()
class ZeroInflated(ElementwiseLikelihood):
    """Counts that are 0 with the probability sigmoid(g), and else those of a likelihood.

        log p(0 | f, g) = log( pi + (1 - pi) p_0(0 | f) ),     pi = sigmoid(g)
        log p(y | f, g) = log(1 - pi) + log p_0(y | f)         for y > 0      (nats)

    summed over targets: customers who never buy beside those who buy at a rate. The last axis of
    the outputs holds first what the likelihood p_0 takes, then the logits g of a sure zero, one
    for each target.

    One class for all counts, because what is added is the same for each. The curvature of one row
    may be negative: `keras_priors.inference.Laplace` then refuses "kronecker".

    Args:
        likelihood: `Poisson`, `NegativeBinomial`, or `Binomial` with a `total_count`.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., 2 d), or (n, ..., 3 d) of `NegativeBinomial(None)`; targets (n, ..., d),
        or (n, ...) where d is 1. A target that is no count has no density: the loss is +inf.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: another likelihood than those above, outputs or a target that do not fit, or
            `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.ZeroInflated(kp.likelihoods.Poisson())
        >>> outputs = np.array([[0.0, 0.0]])           # rate 1, and half of all zero in any case
        >>> round(float(likelihood(np.array([0]), outputs)), 4)   # -log(1/2 + 1/(2 e))
        0.3799

    References:
        - Lambert, 1992, Zero-inflated Poisson regression, Technometrics 34(1), section 2.
    """

    is_discrete = True
    _parameters = ("likelihood",)

    def __init__(
        self,
        likelihood: Any,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        likelihood = get(likelihood)
        counts = isinstance(likelihood, (Poisson, NegativeBinomial, Binomial))
        if not counts or (isinstance(likelihood, Binomial) and likelihood.total_count is None):
            raise ValueError(
                "ZeroInflated takes a likelihood of counts: Poisson, NegativeBinomial, or "
                f"Binomial with a `total_count`. Received: {likelihood!r}. Take one of these."
            )
        self.likelihood = likelihood
        self._outputs_per_target = likelihood._outputs_per_target + 1

    def mean(self, outputs: Any) -> Any:
        """(1 - pi) m, with m the mean of the likelihood."""
        f, g = self._parts(self._checked(outputs))
        return ops.sigmoid(-g) * self.likelihood.mean(f)

    def variance(self, outputs: Any) -> Any:
        """(1 - pi) (v + pi m^2), with m and v those of the likelihood."""
        f, g = self._parts(self._checked(outputs))
        mean, variance = self.likelihood.mean(f), self.likelihood.variance(f)
        return ops.sigmoid(-g) * (variance + ops.sigmoid(g) * ops.square(mean))

    def _parts(self, outputs: Any) -> tuple[Any, Any]:
        width = outputs.shape[-1] // self._outputs_per_target
        return outputs[..., :-width], outputs[..., -width:]

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        super()._check_outputs(shape)
        width = (shape[-1] or 0) // self._outputs_per_target
        self.likelihood._check_outputs((*shape[:-1], (shape[-1] or 0) - width))

    def _inside_support(self, y: Any) -> Any:
        return self.likelihood._inside_support(y)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        f, g = self._parts(outputs)
        counted = self.likelihood._log_density(y, f) - ops.softplus(g)
        sure = -ops.softplus(-g)
        # Not `ops.logaddexp`, whose gradient is NaN where a term is -inf, nor `ops.maximum`, which
        # on PyTorch rounds float64 to float32.
        swap = counted < sure
        larger, smaller = ops.where(swap, sure, counted), ops.where(swap, counted, sure)
        finite = smaller > -np.inf
        apart = ops.where(finite, smaller - larger, 0.0)
        more = ops.where(finite, ops.log1p(ops.exp(apart)), 0.0)
        return ops.where(y == 0.0, larger + more, counted)

    def _distribution(self, outputs: Any) -> Any:
        f, g = self._parts(outputs)
        within = self.likelihood._distribution(f)
        more = backend.distribution("Bernoulli", logits=-g)

        def draw(shape: Any, seed: Any) -> Any:
            seed = backend.as_seed(seed)
            extra = tuple(shape)[: len(shape) - len(g.shape)]
            count = backend.sample(within, extra, seed)
            keep = backend.sample(more, extra, backend.fold_in(seed, 1))
            return ops.cast(count, "float32") * ops.cast(keep, "float32")

        def log_prob(y: Any) -> Any:
            return self._log_density(y, outputs)

        return backend.distribution_from("ZeroInflated", {}, tuple(g.shape), log_prob, draw)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
        }
