"""What a Laplace approximation gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend, likelihoods
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.draws_part import warn_where_draws_part
from keras_priors.inference.laplace.evidence import Evidence
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import LastLayer, last_layer_weights
from keras_priors.inference.laplace.precision import (
    DiagonalPrecision,
    FullPrecision,
    KroneckerPrecision,
    LowRankPrecision,
    Precision,
)
from keras_priors.inference.laplace.predictions import forward_of, glm, probit
from keras_priors.inference.laplace.saved import check_curvature, checked_config
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.utils.export import export
from keras_priors.utils.progress import check_verbose

_PRECISIONS: dict[str, type[Precision]] = {
    "full": FullPrecision,
    "diagonal": DiagonalPrecision,
    "kronecker": KroneckerPrecision,
    "low_rank": LowRankPrecision,
}
_METHODS = ("glm", "probit", "mc")


@export("keras_priors.inference")
class LaplacePosterior(Posterior):
    """A normal distribution of the weights (those with bounds: of their unbounded z).

    `Laplace` makes it.

    Args:
        model: the model.
        likelihood: its likelihood.
        mode: array, the vector z of all weights.
        precision: the precision of those that move.
        structure: string, that of the precision.
        layers: "all" or "last".
        log_likelihood: float, at the mode, in nats.
        log_prior: float, density of z at the mode, in nats.
        residuals: (count, sum of squares) under a Normal likelihood, or None.
        normal_priors: mapping from path to what the evidence needs of a normal prior.
        observations: the data, for ArviZ' log likelihood. Defaults to None.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> posterior = kp.inference.Laplace("full").fit(
        ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0))
        >>> predictive = posterior.predict(np.array([[2.0]]), seed=0)
        >>> predictive.mean.round(3).tolist(), predictive.epistemic.round(3).tolist()
        ([[1.5]], [[1.0]])
        >>> round(posterior.log_marginal_likelihood(), 3)   # y ~ Normal(0, I + 1 1^T)
        -3.825

    References:
        - Immer et al., 2021, Improving predictions of Bayesian neural nets via local
          linearization, arXiv:2008.08400 (the linearized predictive).
        - Immer et al., 2021, Scalable marginal likelihood estimation, arXiv:2104.04975.
    """

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        mode: Any,
        precision: Precision,
        *,
        structure: str,
        layers: str,
        log_likelihood: float,
        log_prior: float,
        residuals: tuple[float, float] | None,
        normal_priors: Mapping[str, Any],
        observations: Observations | None = None,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self.structure = structure
        self.layers = layers
        self._mode = mode
        self._precision = precision
        self._compared = False
        self._programs: dict[tuple[bool, int], Any] = {}
        self._evidence = Evidence(
            precision, likelihood, log_likelihood, log_prior, residuals, normal_priors
        )

    def mean(self) -> dict[str, Any]:
        """Mean of each weight, by path: the mode, and of a weight with bounds E[b(z)]."""
        return self.positions.named(self._moments[0])

    def stddev(self) -> dict[str, Any]:
        """Standard deviation of each element of each weight, by path; 0 for points."""
        return self.positions.named(self._moments[1])

    def draws(self, num_samples: int | None = None, seed: Any = None) -> dict[str, Any]:
        """Draws of every weight: a mapping from path to array (S, ...)."""
        found = super().draws(num_samples, seed)
        self._warn_where_draws_part()
        return found

    def to_model(self, draw: int | Mapping[str, Any] | None = None) -> Any:
        """A plain Keras model at one draw, by its seed, or at the mean (the default)."""
        plain = super().to_model(draw)
        if draw is not None:
            self._warn_where_draws_part()
        return plain

    def log_likelihood(
        self, x: Any, y: Any, num_samples: int | None = None, seed: Any = None
    ) -> Any:
        """log p(y_i | x_i, w_s) in nats, of each draw and observation: an array (S, N, ...)."""
        found = super().log_likelihood(x, y, num_samples, seed)
        self._warn_where_draws_part()
        return found

    def log_prob(self, position: Mapping[str, Any]) -> float:
        """Log density in nats of the weights that move, as they are, at a position."""
        z = self.positions.unconstrain(self.positions.checked(position))
        deviation = ops.convert_to_numpy(self._rows.take(z)).astype("float64") - self._center
        density = 0.5 * (
            self._precision.log_det()
            - self._precision.quadratic(deviation)
            - len(deviation) * math.log(math.tau)
        )
        return density - self._rows.log_det(z)

    def log_marginal_likelihood(self, prior_scale: Any = None, noise: float | None = None) -> float:
        """The evidence: log p(y | x) by Laplace's method, in nats, constants included.

            log p(y | x, w*) + log p(w*) + D/2 log(2 pi) - 1/2 log det P

        With layers="last" it is that given all other weights, whose prior has no part in it. With
        weights of flat prior it is relative to their density, 1. Another scale or noise costs
        algebra alone: mode and curvature stay those of `fit`, which is exact at the mode's own
        prior and first-order beside it.

        Args:
            prior_scale: float, the scale of every independent normal prior, or a mapping from
                path to it. Defaults to None: the scales that the priors have.
            noise: float, the scale of a `Normal` likelihood. Defaults to None: that it has.

        Raises:
            ValueError: a scale for weights without an independent normal prior, or a noise for
                another likelihood than `Normal` with one scale.
        """
        return self._evidence.at(self._evidence.scales(prior_scale), noise)[0]

    def tune(self, prior_scale: str | None = "one", noise: bool = False) -> LaplacePosterior:
        """The posterior whose prior scales, and noise, maximize the log marginal likelihood.

        Mode and curvature stay; the priors of the model are not changed. To let the mode follow,
        set the priors to `prior_scale` of the result, fit again, and repeat until both agree.

        Args:
            prior_scale: "one" scale for all independent normal priors (the default), one for
                "each" weight, or None to leave them.
            noise: bool, whether to tune the scale of a `Normal` likelihood. Defaults to False.

        Raises:
            ValueError: as `log_marginal_likelihood`.
        """
        scales, noise_scale = self._evidence.maximum(prior_scale, noise)
        evidence = self._evidence
        likelihood = self.likelihood
        if noise:
            likelihood = likelihoods.Normal(scale=noise_scale)
        precision, log_likelihood, log_prior, entries = evidence.moved(scales, noise_scale)
        return LaplacePosterior(
            self.model,
            likelihood,
            self._mode,
            precision,
            structure=self.structure,
            layers=self.layers,
            log_likelihood=log_likelihood,
            log_prior=log_prior,
            residuals=evidence.residuals,
            normal_priors=entries,
            observations=self._observations,
        )

    @property
    def prior_scale(self) -> dict[str, float]:
        """Scales of the independent normal priors, by path; of an array, its quadratic mean."""
        return self._evidence.current_scales()

    @property
    def noise(self) -> float | None:
        """The scale of a `Normal` likelihood, or None."""
        if isinstance(self.likelihood, likelihoods.Normal) and not np.ndim(self.likelihood.scale):
            return float(self.likelihood.scale)
        return None

    def predict(
        self,
        x: Any,
        num_samples: int | None = None,
        batch_size: int | None = None,
        seed: Any = None,
        verbose: Any = "auto",
        method: str = "glm",
    ) -> Any:
        """The posterior predictive at x.

            f(x) ~ Normal(f(x; w*), J P^-1 J^T), J = df/dw at w*       "glm" and "probit"

        Args:
            x: rows: what the model takes, or a data set of batches.
            num_samples: integer, number of draws. Defaults to None: 100.
            batch_size: integer, most rows in a chunk. Defaults to None: as memory bears.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one.
            verbose: "auto", 1 or 0, for the progress bar.
            method: "glm" (the default): draws of the natural outputs f of the linearized network,
                of which mean and covariance are exact in each row for more draws than outputs;
                "probit": for classes, probabilities in closed form, sigmoid or softmax of
                f / sqrt(1 + pi var / 8), as one draw, so that nothing splits the entropy;
                "mc": the network itself at draws of the weights, which is far from the
                linearized one where the posterior is wide.

        Returns:
            A `keras_priors.Predictive`.

        Raises:
            ValueError: an unknown method, or "probit" for what are no classes.

        Warns:
            UserWarning: with "mc", and at `draws`, `to_model` and `log_likelihood` while the data
                of `fit` are at hand, once: the network at draws parts from the linearized one by
                more than the noise of the likelihood, in 4 pairs of draws and up to 64 rows.

        References:
            - MacKay, 1992, The evidence framework applied to classification networks, equation 5.
        """
        if method not in _METHODS:
            raise ValueError(f"`method` must be one of {_METHODS}. Received: method={method!r}.")
        check_verbose(verbose)
        if method == "mc":
            predictive = super().predict(x, num_samples, batch_size, seed, verbose)
            # A data set has been read.
            arrays = ops.is_tensor(x) or isinstance(x, (np.ndarray, list, tuple, dict))
            self._warn_where_draws_part(x if arrays else None)
            return predictive
        if method == "probit":
            return probit(self, x, batch_size, verbose)
        return glm(self, x, self._num_samples(num_samples, 100), batch_size, seed, verbose)

    @cached_property
    def _rows(self) -> LaplaceRows:
        moved = None
        if self.layers == "last":
            moved = last_layer_weights(self.model, self.positions)
        return LaplaceRows(self.model, self.positions, self.likelihood, moved=moved)

    @cached_property
    def _linear(self) -> Any:
        """What has `jacobian_of_outputs`."""
        return LastLayer(self._rows) if self.layers == "last" else self._rows

    def _compiled(self, by_draws: bool, size: int) -> Any:
        """What `glm` calls for chunks of this size: predictions are asked for again and again."""
        # TensorFlow takes the rows for unknown at a second size, and the Jacobian must know them.
        if (by_draws, size) not in self._programs:
            function = forward_of(self._rows) if by_draws else self._linear.jacobian_of_outputs
            self._programs[by_draws, size] = backend.compile_function(function)
        return self._programs[by_draws, size]

    @cached_property
    def _center(self) -> Any:
        return ops.convert_to_numpy(self._rows.take(ops.convert_to_tensor(self._mode))).astype(
            "float64"
        )

    @cached_property
    def _moments(self) -> tuple[Any, Any]:
        variance = self._precision.variance().astype("float32")
        zero = ops.zeros((self.positions.size,))
        spread = ops.sqrt(self._rows.put(zero, ops.convert_to_tensor(variance)))
        mode = ops.convert_to_tensor(self._mode)
        if not self.positions.bounded:
            return self.positions.split(mode), self.positions.split(spread)
        nodes, weights = np.polynomial.hermite_e.hermegauss(32)
        weights = (weights / weights.sum()).astype("float32")
        values = [self.positions.constrain(mode + float(t) * spread)[0] for t in nodes]
        mean = [
            sum(w * v for w, v in zip(weights, each, strict=True))
            for each in zip(*values, strict=True)
        ]
        square = [
            sum(w * (v - m) ** 2 for w, v in zip(weights, each, strict=True))
            for each, m in zip(zip(*values, strict=True), mean, strict=True)
        ]
        return mean, [ops.sqrt(v) for v in square]

    @cached_property
    def _constrain(self) -> Any:
        positions = self.positions

        def inside(draws: Any) -> Any:
            return backend.map_draws(lambda z: positions.constrain(z)[0], draws)

        return backend.compile_function(inside)

    def _handles(self, num_samples: int, seed: Any) -> Any:
        return backend.spawn_seeds(seed, num_samples)

    def _deviation(self, handle: Any) -> Any:
        generator = np.random.default_rng([int(word) for word in handle])
        return self._precision.color(generator.standard_normal(self._rows.size))

    def _values(self, handles: Any) -> Sequence[Any]:
        return self._values_at([self._deviation(handle) for handle in handles])

    def _warn_where_draws_part(self, x: Any = None) -> None:
        """Once; the user's call is that of the method that calls this."""
        if x is None and self._observations is not None:
            x = self._observations.x
        # The mean is linear in a last layer: the linearized network is the network.
        if self._compared or x is None or self.layers == "last":
            return
        self._compared = True
        warn_where_draws_part(self, x)

    def _values_at(self, deviations: Sequence[Any]) -> Sequence[Any]:
        positions = self.positions
        draws = np.repeat(np.asarray(self._mode)[None], len(deviations), axis=0)
        for draw, deviation in zip(draws, deviations, strict=True):
            part = (self._center + deviation).astype("float32")
            start = 0
            for low, high in self._rows.places:
                draw[low:high] = part[start : start + high - low]
                start += high - low
        if positions.bounded:
            inside: Sequence[Any] = self._constrain(ops.convert_to_tensor(draws))
            return inside
        ends = np.cumsum(positions.sizes)
        return [
            draws[:, end - size : end].reshape(len(draws), *shape)
            for end, size, shape in zip(ends, positions.sizes, positions.shapes, strict=True)
        ]

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        evidence = self._evidence
        config = {
            "structure": self.structure,
            "layers": self.layers,
            "factor": self._precision.factor,
            "log_likelihood": evidence.log_likelihood,
            "log_prior": evidence.log_prior,
            "residuals": evidence.residuals,
            "normal_priors": {
                path: [where.start, where.stop, *rest]
                for path, (where, *rest) in evidence.normal_priors.items()
            },
        }
        arrays = {f"curvature_{name}": v for name, v in self._precision.arrays().items()}
        return config, {**arrays, "mode": self._mode, "prior": self._precision.prior}

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> LaplacePosterior:
        positions = Positions(model)
        checked = checked_config(config, positions, tuple(_PRECISIONS))
        moved = list(range(len(positions.sizes)))
        if checked["layers"] == "last":
            moved = last_layer_weights(model, positions)
        size = sum(positions.sizes[k] for k in moved)
        make, factor = _PRECISIONS[checked["structure"]], checked.pop("factor")
        prior = arrays["prior"]
        arrays.of_shape(
            "prior", (size, size) if make is FullPrecision and prior.ndim == 2 else (size,)
        )
        check_curvature(checked["structure"], arrays, size)
        kept = {k[10:]: v for k, v in arrays.items() if k.startswith("curvature_")}
        precision = make.from_arrays(kept, prior, factor)
        mode = arrays.of_shape("mode", (positions.size,))
        return cls(model, likelihood, mode, precision, **checked)
