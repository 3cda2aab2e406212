# Long: all that is asked of a normal at a mode, each with its docstring.
"""What a Laplace approximation gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.moments import moments
from keras_priors.functional.observations import Observations
from keras_priors.inference.as_prior import normal_of
from keras_priors.inference.laplace.approximate import Approximation, Settings, is_whole
from keras_priors.inference.laplace.draws_part import warn_where_draws_part
from keras_priors.inference.laplace.evidence import (
    check_bayes,
    current_scales,
    log_evidence,
    moved,
    scales_of,
)
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import LastLayer, is_linear, last_layer_weights
from keras_priors.inference.laplace.noise_layer import noise_layer
from keras_priors.inference.laplace.predictions import forward_of, glm, probit
from keras_priors.inference.laplace.saved import from_state, state_of
from keras_priors.inference.laplace.tuning import Tuning, tuned_here
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.utils.export import export
from keras_priors.utils.progress import check_verbose
from keras_priors.utils.warn import warn

_METHODS = ("glm", "probit", "mc")


@export("keras_priors.inference")
class LaplacePosterior(Posterior):
    """A normal distribution of the weights (those with bounds: of their unbounded z).

    `Laplace` makes it.

    Args:
        model: the model.
        likelihood: its likelihood.
        found: the mode, and what is known of the log posterior around it.
        settings: what was approximated.
        observations: the data, for `tune` and for ArviZ' log likelihood. Defaults to None.

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
        - MacKay, 1992, Bayesian interpolation, section 4; Immer et al., 2021, Scalable marginal
          likelihood estimation, arXiv:2104.04975 (`tune`).
        - Antoran et al., 2022, Adapting the linearised Laplace model evidence for modern deep
          learning, arXiv:2206.08900 (the evidence at the quadratic's own mode).
    """

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        found: Approximation,
        settings: Settings,
        observations: Observations | None = None,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self.structure = settings.structure
        self.layers = settings.layers
        self._settings, self._found = settings, found
        self._mode, self._precision = found.mode, found.precision
        self._compared = False
        self._programs: dict[tuple[bool, int], Any] = {}

    def mean(self) -> dict[str, Any]:
        """Mean of each weight, by path: the mode, and of a weight with bounds E[b(z)]."""
        return self.positions.named(self._moments[0])

    def stddev(self) -> dict[str, Any]:
        """Standard deviation of each element of each weight, by path; 0 for points."""
        return self.positions.named(self._moments[1])

    def draws(self, num_samples: int | None = None, seed: Any = None) -> dict[str, Any]:
        """Draws of every weight: a mapping from path to array (S, ...), as in `to_arviz`.

        They are weights of the network itself; `predict` is that of the linearized one, unless
        method="mc".
        """
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

            log p(y | x, w*) + log p(w*) + D/2 log(2 pi) - 1/2 log det P + 1/2 g^T P^-1 g

        with the gradient g of the log posterior at w*, which is 0 where w* is the mode: the last
        term is what the log density gains from there to the mode of the quadratic. With
        layers="last" it is the evidence given all other weights, whose prior has no part in it.
        With weights of flat prior it is relative to their density, 1. Another scale or noise costs
        algebra alone: w* and the curvature of the likelihood stay those of `fit`. That is exact
        for a linear model with normal noise, and of second order else.

        Args:
            prior_scale: float, the scale of every independent normal prior, or a mapping from
                path to it. Defaults to None: the scales that the priors have.
            noise: float, the scale of a `Normal` likelihood, or of a frozen `NoiseScale`. Defaults
                to None: that it has.

        Raises:
            ValueError: a scale for weights without an independent normal prior, or a noise where
                it is no known number.

        Warns:
            UserWarning: at these scales the mode is further from w* than `tolerance` posterior
                standard deviations, and the model is not linear: then the number says little.
        """
        check_bayes("log_marginal_likelihood", self.temperature)
        scales = scales_of(self._found, prior_scale)
        there = moved(self._found, scales, noise)
        exact = is_whole(self._settings, self._rows) and is_linear(self._rows)
        away = math.nan if there.slopes is None else there.away
        if (scales or noise is not None) and not exact and not away <= self._settings.tolerance:
            warn(
                "The evidence at other scales is that of a quadratic around the mode of `fit`. "
                f"Received: prior_scale={prior_scale!r}, noise={noise!r}, where the mode of "
                f"{self.model.name} is {away:.2g} posterior standard deviations away from it. "
                "Do not trust this number; take `tune`, which lets the mode follow, or fit a "
                "model with these scales.",
            )
        return log_evidence(there)

    def tune(
        self,
        prior_scale: str | None = "one",
        noise: bool = False,
        *,
        refit: bool = True,
        x: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        verbose: Any = "auto",
    ) -> LaplacePosterior:
        """The posterior whose prior scales, and noise, maximize the log marginal likelihood.

        In rounds, as MacKay's: the scales of the highest evidence around the mode, then the mode
        and the curvature at these scales, until the logarithms of the scales agree to 1e-3. The
        model and its priors are not changed: `model` of the result is a copy with the new priors,
        `NormalPrior(loc, scale)`, and the new mode. layers="last" seeks the mode of its part alone.

        A noise that is a trained `NoiseScale` at the end of the model is taken by the evidence
        too, weights integrated out: its unbounded z is the maximum of log p(y | z) + log p(z),
        Jacobian included, and normal around it with the curvature of this marginal density,
        independent of the weights. At a mode of weights and noise together the noise is that of
        the residuals alone, which many weights make small.

        Args:
            prior_scale: "one" scale for all independent normal priors (the default), one for
                "each" weight, or None to leave them.
            noise: bool, whether to tune the scale of a `Normal` likelihood with one number, or of
                a `NoiseScale` with one number and `HeteroscedasticNormal`. Defaults to False.
            refit: bool. False keeps mode and curvature, and the model itself: algebra alone, for
                scales near those of `fit`. Defaults to True.
            x: rows, with y, or a data set of both; the data of `fit`, where they are no longer at
                hand: a posterior that was loaded has none. Defaults to None.
            y: their targets. Defaults to None.
            sample_weight: array (N,), as in `fit`. Defaults to None: 1.
            verbose: "auto", 1 or 0, for the progress bar.

        Raises:
            ValueError: as `log_marginal_likelihood`; no data to seek the mode with; refit=False and
                a noise that is no number.

        Warns:
            UserWarning: scales and mode disagree after 40 rounds; the evidence fell by over 1 nat.
        """
        check_bayes("tune", self.temperature)
        check_verbose(verbose)
        settings, observations = self._settings, self._observations
        if not refit:
            whole = is_whole(settings, self._rows)
            found, likelihood = tuned_here(self._found, self.likelihood, prior_scale, noise, whole)
            return LaplacePosterior(self.model, likelihood, found, settings, observations)
        if x is not None or y is not None:
            observations = Observations(x, y, sample_weight)
        if observations is None:
            raise ValueError(
                "`tune` seeks the mode again, for which it needs the data of `fit`. Received: "
                "a posterior without them, as one that was loaded. Give `x` and `y`; or "
                "refit=False, which keeps the mode and is for scales near those of `fit`."
            )
        tuning = Tuning(self.model, self.likelihood, settings, self._found, observations)
        found = tuning.run(prior_scale, noise, verbose)
        return LaplacePosterior(tuning.model, tuning.likelihood, found, settings, observations)

    @property
    def prior_scale(self) -> dict[str, float]:
        """Scales of the independent normal priors, by path; of an array, its quadratic mean."""
        return current_scales(self._found)

    @property
    def noise(self) -> float | None:
        """The scale of a `Normal` likelihood, or that of a `NoiseScale` at the mode; or None."""
        layer = noise_layer(self.model, self.likelihood)
        if layer is None or not layer.scale.trainable:
            return self._found.noise
        index = next(k for k, v in enumerate(self.positions.variables) if v is layer.scale)
        values, _ = self.positions.constrain(ops.convert_to_tensor(self._mode))
        return float(ops.convert_to_numpy(values[index])[0])

    def predict(
        self,
        x: Any,
        num_samples: int | None = None,
        batch_size: int | None = None,
        seed: Any = None,
        verbose: Any = "auto",
        method: str = "glm",
        *,
        out: Any = None,
    ) -> Any:
        """The posterior predictive at x.

            f(x) ~ Normal(f(x; w*), J P^-1 J^T), J = df/dw at w*       "glm" and "probit"

        Args:
            x: rows: what the model takes, or a data set of batches.
            num_samples: integer, number of draws. Defaults to None: 100.
            batch_size: integer, most rows in a chunk. Defaults to None: as memory bears.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one.
            verbose: "auto", 1 or 0, for the bar.
            method: "glm" (the default): draws of the natural outputs f of the linearized network,
                of which mean and covariance are exact in each row for more draws than outputs;
                "probit": for classes, probabilities in closed form, sigmoid or softmax of
                f / sqrt(1 + pi var / 8), as one draw, so that nothing splits the entropy; "mc":
                the network itself at draws, far from the linearized one where they are wide.
            out: path of a `.npy` file for the draws, as in `keras_priors.predict`; not with
                "probit", which has one.

        Returns:
            A `keras_priors.Predictive`.

        Raises:
            ValueError: an unknown method, "probit" for what are no classes, or with `out`.

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
        if out is not None and method == "probit":
            raise ValueError(
                '`out` is the file of draws, and method="probit" has one. Received: '
                f"out={out!r} and method={method!r}. Leave one of them out."
            )
        if method == "mc":
            predictive = super().predict(x, num_samples, batch_size, seed, verbose, out=out)
            # A data set has been read.
            arrays = ops.is_tensor(x) or isinstance(x, (np.ndarray, list, tuple, dict))
            self._warn_where_draws_part(x if arrays else None)
            return predictive
        if method == "probit":
            return probit(self, x, batch_size, verbose)
        number = self._num_samples(num_samples, 100)
        return glm(self, x, number, batch_size, seed, verbose, out)

    @cached_property
    def _rows(self) -> LaplaceRows:
        last = self.layers == "last"
        moved = last_layer_weights(self.model, self.positions) if last else None
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
        moved = np.concatenate([np.arange(*place) for place in self._rows.places])
        variance = np.zeros(self.positions.size)
        variance[moved] = self._precision.variance()

        def columns(indices: Any) -> Any:
            found = np.zeros((self.positions.size, len(indices)))
            here = np.isin(indices, moved)
            wanted = np.searchsorted(moved, indices[here])
            found[np.ix_(moved, np.flatnonzero(here))] = self._precision.columns(wanted)
            return found

        return moments(self.positions, self._mode, variance, columns)

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

    def _own_normal(self) -> JointNormalPrior:
        return normal_of(self.positions, self._rows.moved, self._center, self._precision.parts())

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return state_of(self._found, self._settings)

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> LaplacePosterior:
        return cls(model, likelihood, *from_state(model, likelihood, config, arrays))
