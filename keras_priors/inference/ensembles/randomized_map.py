"""Ensembles of MAPs under randomized priors and data."""

from __future__ import annotations

from copy import copy
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.ensembles.members import members_of
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import not_finite
from keras_priors.inference.method import Method
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.workers import check_executor
from keras_priors.likelihoods.normal import Normal
from keras_priors.models.sample_prior import sample_prior
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.variance_scaling_prior import VarianceScalingPrior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.warn import warn


@export("keras_priors.inference")
class RandomizedMAP(Method):
    """Anchored ensembles: each member is the MAP under a prior that is centred at a draw of itself.

        w_m = argmax sum_i log p(y_i + e_i | f(x_i; w)) + log N(w; a_m, s^2),  a_m ~ N(mean, s^2)

    by L-BFGS on all rows from w = a_m, where N(mean, s^2) is the prior. Of a Normal likelihood with
    known noise sigma, targets get e_i ~ N(0, sigma^2), and then the members of a linear regression
    are exact draws of its posterior; for other likelihoods e_i is 0, as in Pearce et al., and the
    spread is too small where the data say much.

    All priors must be normal, each of one weight: `NormalPrior`, or `VarianceScalingPrior` of that
    family; of a `JointNormalPrior` take `as_prior("diagonal")`. The draws of the posterior are the
    members, in one chain.

    Args:
        num_members: integer. Defaults to 10.
        noise_targets: bool, whether targets are noised. Defaults to None: where the likelihood is
            Normal.
        max_iterations: integer. Defaults to 1000.
        tolerance: float, largest element of the gradient of the mean log posterior (nats per row)
            at which a member is done. Defaults to 1e-5.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; in `fit`, a prior that is not normal, a weight
            without one, or `noise_targets=True` for another likelihood.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> posterior = kp.inference.RandomizedMAP(4).fit(
        ...     model, np.ones((8, 1)), np.ones((8, 1)), kp.likelihoods.Normal(1.0), seed=0,
        ...     verbose=0)
        >>> posterior.draws()["line/kernel"].shape
        (4, 1, 1)

    References:
        - Lu and Van Roy, 2017, Ensemble sampling, arXiv:1705.07347, section 3.
        - Pearce et al., 2020, Uncertainty in neural networks: approximately Bayesian ensembling,
          arXiv:1810.05546, equation 9.
    """

    tempers = False
    checkpoints = True

    _parameters = ("num_members", "noise_targets", "max_iterations", "tolerance")

    def __init__(
        self,
        num_members: int = 10,
        noise_targets: bool | None = None,
        max_iterations: int = 1000,
        tolerance: float = 1e-5,
    ) -> None:
        self.num_members = whole_number("RandomizedMAP", "num_members", num_members)
        self.max_iterations = whole_number("RandomizedMAP", "max_iterations", max_iterations)
        if noise_targets not in (None, True, False):
            raise ValueError(
                "`noise_targets` of RandomizedMAP must be None, True or False. Received: "
                f"noise_targets={noise_targets!r}."
            )
        if not tolerance > 0:
            raise ValueError(
                "`tolerance` of RandomizedMAP must be greater than 0. Received: "
                f"tolerance={tolerance!r}."
            )
        self.noise_targets = noise_targets
        self.tolerance = tolerance
        self._executor: Any = None

    def fit(
        self,
        model: Any,
        x: Any,
        y: Any = None,
        likelihood: Any = None,
        *,
        sample_weight: Any = None,
        seed: Any = None,
        verbose: Any = "auto",
        resume: Posterior | None = None,
        temperature: float = 1.0,
        checkpoint: Any = None,
        executor: Any = None,
    ) -> SamplePosterior:
        """The members, in the form of a posterior.

        Args:
            model: as in `Method.fit`.
            x: likewise.
            y: likewise.
            likelihood: likewise.
            sample_weight: likewise.
            seed: likewise.
            verbose: likewise.
            resume: must be None.
            temperature: must be 1.
            checkpoint: as in `Method.fit`, a member at a time.
            executor: a `concurrent.futures.Executor` whose processes search for the members, as in
                `DeepEnsemble.fit`. Defaults to None: one after the other, here.

        Raises:
            TypeError: as `Method.fit`; what is no executor.
            ValueError: as `Method.fit`.
        """
        Method._check_made(self)
        check_executor(executor)
        run = copy(self)  # the method itself is the same after `fit`
        run._executor = executor
        found: SamplePosterior = super(RandomizedMAP, run).fit(
            model,
            x,
            y,
            likelihood,
            sample_weight=sample_weight,
            seed=seed,
            verbose=verbose,
            resume=resume,
            temperature=temperature,
            checkpoint=checkpoint,
        )
        return found

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> SamplePosterior:
        _check_normal(log_posterior)
        self._noise(log_posterior)
        words = [int(word) for word in ops.convert_to_numpy(seed)]
        rows = log_posterior.num_rows

        def check(number: int, member: Any) -> None:
            values, value, _ = member
            if not (all(np.all(np.isfinite(v)) for v in values) and np.isfinite(value)):
                raise ValueError(not_finite(-float(value) * rows, log_posterior))

        found = members_of(self, log_posterior, words, verbose, check)
        late = sum(not bool(converged) for _, _, converged in found)
        if late:
            warn(
                f"{late} of {len(found)} members of RandomizedMAP stopped before they converged, "
                f"after at most {self.max_iterations} iterations. Give more iterations or a larger "
                "tolerance.",
            )
        return SamplePosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            [np.stack(v)[None] for v in zip(*(values for values, _, _ in found), strict=True)],
            observations=log_posterior.observations,
        )

    def _for_workers(self) -> RandomizedMAP:
        return self

    def _member(self, log_posterior: LogPosterior, words: list[int]) -> Any:
        noise = self._noise(log_posterior)
        positions, rows = log_posterior.positions, log_posterior.num_rows
        anchors = sample_prior(log_posterior.model, self.num_members, _integer(words))
        centres = [_centre(w) for w in positions.weights]
        fixed, blocks = log_posterior.data

        @backend.recorded
        @backend.value_and_gradient
        def of_block(z: Any, fixed: Any, block: Any) -> Any:
            return log_posterior.log_likelihood_of(positions.split(z), fixed, block)

        @backend.recorded
        @backend.value_and_gradient
        def of_prior(z: Any, anchor: Any) -> Any:
            apart = zip(positions.split(z), positions.split(anchor), centres, strict=True)
            return log_posterior.log_prior_of([w - a + centre for w, a, centre in apart])

        # Compiled by itself: the line search names it in eight places, each traced else.
        @backend.compile_function
        def loss_of(z: Any, anchor: Any, data: Any) -> tuple[Any, Any]:
            fixed, blocks = data
            likelihood, slope = backend.sum_over(lambda block: of_block(z, fixed, block), blocks)
            prior, prior_slope = of_prior(z, anchor)
            return -(likelihood + prior) / rows, -(slope + prior_slope) / rows

        def search(anchor: Any, data: Any) -> Any:
            def loss(z: Any) -> Any:
                return loss_of(z, anchor, data)

            return backend.minimize(loss, anchor, self.max_iterations, self.tolerance)

        run = backend.compile_function(search)

        def member_at(number: int) -> Any:
            anchor = positions.join([anchors[path][number] for path in positions.paths])
            x, y, weight = blocks
            if noise is not None:
                y = _noised(y, noise, weight, np.random.default_rng([*words, number]))
            z, value, converged = run(anchor, (fixed, (x, y, weight)))
            values = [ops.convert_to_numpy(v) for v in positions.split(z)]
            return values, ops.convert_to_numpy(value), ops.convert_to_numpy(converged)

        return member_at

    def _noise(self, log_posterior: LogPosterior) -> Any:
        """The standard deviation of the noise of targets, or None."""
        structure = log_posterior.likelihoods.structure
        if isinstance(structure, Normal) and self.noise_targets is not False:
            return structure.scale
        if self.noise_targets:
            raise ValueError(
                "Targets are noised where the likelihood is Normal. Received: "
                f"noise_targets=True with {structure!r}. Leave it out."
            )
        return None


def _check_normal(log_posterior: LogPosterior) -> None:
    for weight in log_posterior.positions.weights:
        prior = weight.prior
        scaled = isinstance(prior, VarianceScalingPrior) and prior.family == "normal"
        known = isinstance(prior, NormalPrior) and prior.latent_scale is None
        if not (known or scaled):
            raise ValueError(
                "RandomizedMAP moves the mean of normal priors of known scale, and other priors "
                f"have none that can be moved in this way. Received: {prior!r} on {weight.path}. "
                "Give it a NormalPrior with a number as scale (in place of a joint prior "
                '`posterior.as_prior("diagonal")`), or use DeepEnsemble; where the '
                "scale is unknown, NUTS, HMC, SGLD, SGHMC, MeanField, LowRank, FullRank or Laplace."
            )


def _centre(weight: Any) -> Any:
    mean = weight.prior.loc if isinstance(weight.prior, NormalPrior) else 0.0
    return ops.convert_to_tensor(np.broadcast_to(mean, weight.shape).astype("float32"))


def _noised(y: Any, scale: Any, weight: Any, random: Any) -> Any:
    counted = ops.convert_to_numpy(weight)
    # A row that counts twice is known with half the variance.
    factor = 1.0 / np.sqrt(np.where(counted > 0, counted, 1.0))

    def add(leaf: Any) -> Any:
        noise = random.normal(size=leaf.shape) * np.asarray(scale)
        noise = noise * factor.reshape(factor.shape + (1,) * (noise.ndim - 2))
        return ops.cast(leaf, "float32") + ops.convert_to_tensor(noise.astype("float32"))

    return keras.tree.map_structure(add, y)


def _integer(words: Any) -> int:
    return int(words[0]) + (int(words[1]) << 32)
