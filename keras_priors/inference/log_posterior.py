"""The log posterior of a Keras model, as a function of its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import keras
from keras import ops

from keras_priors import backend
from keras_priors.functional.check_built import check_built
from keras_priors.functional.check_inputs import check_inputs
from keras_priors.functional.check_rows import check_rows
from keras_priors.functional.lora import warn_of_lora_at_zero
from keras_priors.functional.observations import Observations
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.functional.positions import Positions
from keras_priors.functional.pure_outputs import PureOutputs
from keras_priors.functional.row_blocks import chunk_rows
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive, whole_number


@export()
class LogPosterior:
    """The log posterior of the trained weights of a model, given data.

        log p(w | x, y) = sum_i log p(y_i | f(x_i; w)) + sum_k log p(w_k) - log p(y | x)    (nats)

    without its last term, which no one knows, and with every other constant. The model is the one
    that `fit` trains, unchanged: f is its output with `training=False` (no Dropout, moving
    statistics), priors are those on its weights, and a weight without one has a flat prior, 0 nats
    everywhere. `num_data` has no part in it.

    A position is a mapping from the path of each weight, as `keras_priors.get_priors` lists them,
    to an array of its shape. Samplers move in a flat vector z without bounds: of a weight with
    bounded support (low, high) it holds b^-1(w), with b = low + exp(z), high - exp(z), or low +
    (high - low) sigmoid(z). Densities of z contain the Jacobian log|dw/dz|; those of positions,
    and with them the MAP, do not.

    Where the scale of a prior is unknown, as in `NormalPrior(0, scale=HalfCauchyPrior(1.0))`, a
    position has the scales s too, after all weights and under the path "dense/kernel/prior_scale",
    and the prior is log N(w; loc, s^2) + log p(s). In z such a weight is (w - loc) / s, which is
    N(0, 1) whatever s is (non-centred), and the scale is log(s). The model holds no scale: where
    the position is that of the model, s is the root mean square of w - loc of its weights.

    At a temperature T other than 1 the log posterior is

        (sum_i log p(y_i | f(x_i; w)) + log p(w)) / T

    that of p(w | data)^(1/T), colder below 1; the Jacobian is not divided. `log_likelihood` and
    `log_prior` are the terms of the posterior as it is.

    Rows are worked through in blocks within one compiled function, so that memory stays bounded.

    Args:
        model: built `keras.Model` without variational layers.
        x: inputs: arrays in the structure of the model's inputs, or a `tf.data.Dataset`,
            `PyDataset` or `DataLoader` of (x, y) or (x, y, sample_weight), which is read once.
        y: targets, in the structure of the outputs. None with a data set.
        likelihood: a likelihood, or a stock loss that is one; for several outputs, a structure of
            them. Defaults to None: the loss that the model was compiled with.
        sample_weight: array (N,), factors of the log densities of the rows. Defaults to None: 1.
        batch_size: integer, most rows of a block. Defaults to None: as memory bears.
        temperature: float T greater than 0. Defaults to 1, which is Bayes.

    Raises:
        TypeError: `model` is not a model, or x is no data.
        ValueError: a temperature that is not above 0; a model that is not built, has variational
            layers, a penalty that is no prior, an unknown scale without a prior, or losses from
            `add_loss`; no likelihood; data whose shapes do not fit, NaN in them, or targets
            without a density.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> log_posterior = kp.inference.LogPosterior(
        ...     model, np.ones((2, 1)), np.zeros((2, 1)), likelihood=kp.likelihoods.Normal(1.0))
        >>> value, gradient = log_posterior.value_and_gradient({"line/kernel": [[1.0]]})
        >>> round(value, 4), gradient["line/kernel"].round(4).tolist()   # 3 (-log(2 pi) - 1) / 2
        (-4.2568, [[-3.0]])

    References:
        - MacKay, 1992, A practical Bayesian framework for backpropagation networks, section 2.
        - Carpenter et al., 2017, Stan, section 2.7 (positions without bounds).
        - Wenzel et al., 2020, How good is the Bayes posterior in deep neural networks really?,
          arXiv:2002.02405, equation 1 (temperature).
        - Papaspiliopoulos, Roberts and Skold, 2007, A general framework for the parametrization of
          hierarchical models (non-centred coordinates).
    """

    def __init__(
        self,
        model: Any,
        x: Any,
        y: Any = None,
        likelihood: Any = None,
        *,
        sample_weight: Any = None,
        batch_size: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.temperature = one_positive("LogPosterior", "temperature", temperature)
        check_built("LogPosterior", model)
        backend.sync_variables(model)
        self.model = model
        self.positions = Positions(model)
        warn_of_lora_at_zero(model)
        self.observations = Observations(x, y, sample_weight)
        self.likelihoods = Likelihoods(model, likelihood)
        if batch_size is not None:
            batch_size = whole_number("LogPosterior", "batch_size", batch_size)
        self._block = chunk_rows(
            model, self.observations.x, self.observations.count, batch_size, bucketed=False
        )
        self.outputs = PureOutputs(model, self.positions.variables)
        """Outputs of the model from (values of its weights, values of what is fixed, x)."""
        check_inputs(model, self.observations.x)
        self._check_outputs()

    def expanded(self) -> LogPosterior:
        """The same, where mixtures of normals are over their local scales too, as entries of z.

        The marginal posterior of the weights is this one's; without such priors it is this one,
        and at a temperature other than 1, where the power of a marginal density is not the
        marginal of a power.
        """
        positions = Positions(self.model, expanded=True)
        if positions.shown == len(positions.paths) or self.temperature != 1.0:
            return self
        other = copy.copy(self)
        other.positions = positions
        other.outputs = PureOutputs(self.model, positions.variables)
        for name in ("data", "_compiled"):
            vars(other).pop(name, None)
        return other

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the weights."""
        return self.positions.paths

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, by path."""
        return dict(zip(self.positions.paths, self.positions.shapes, strict=True))

    @property
    def num_rows(self) -> int:
        """The number of rows of the data."""
        return self.observations.count

    @property
    def size(self) -> int:
        """The number of scalars of a position."""
        return self.positions.size

    def __call__(self, position: Mapping[str, Any] | None = None) -> float:
        """Log likelihood + log prior in nats; by default at the weights that the model has."""
        return float(self._tempered(self.log_likelihood(position) + self.log_prior(position)))

    def log_likelihood(self, position: Mapping[str, Any] | None = None) -> float:
        """Sum over rows of log p(y_i | f(x_i; w)), in nats."""
        return float(self._compiled["likelihood"](self._values(position), self.data))

    def log_prior(self, position: Mapping[str, Any] | None = None) -> float:
        """Sum over weights of log p(w), in nats."""
        return float(self.log_prior_of(self._values(position)))

    def value_and_gradient(
        self, position: Mapping[str, Any] | None = None
    ) -> tuple[float, dict[str, Any]]:
        """The log posterior in nats, and its gradient: a mapping from path to array."""
        value, gradient = self._compiled["gradient"](self._values(position), self.data)
        return float(value), self.positions.named(gradient)

    def estimate(self, indices: Any, position: Mapping[str, Any] | None = None) -> float:
        """Unbiased estimate of the log posterior, in nats, from some rows.

            (N / n * sum_{i in indices} log p(y_i | f(x_i; w)) + log p(w)) / T

        Args:
            indices: integer array (n,), the rows.
            position: mapping from path to array. Defaults to None: the weights of the model.
        """
        batch = self.observations.batch(indices)
        scale = ops.convert_to_tensor(self.num_rows / len(batch[2]), dtype="float32")
        fixed, _ = self.data
        return float(self._compiled["batch"](self._values(position), fixed, batch, scale))

    def flatten(self, position: Mapping[str, Any] | None = None) -> Any:
        """The vector z (D,), NumPy, without bounds, of a position."""
        return ops.convert_to_numpy(self.positions.unconstrain(self._values(position)))

    def unflatten(self, vector: Any) -> dict[str, Any]:
        """The position of a vector z (D,)."""
        vector = ops.convert_to_tensor(vector, dtype="float32")
        return self.positions.named(self.positions.constrain(vector)[0])

    def logdensity(self, flat: bool = True) -> tuple[Callable[[Any], Any], Any]:
        """The log posterior as a pure function, for samplers and optimizers of other libraries.

        Its argument is unbounded, and its value the density of that, with the Jacobian, in nats:
        a scalar tensor, differentiable by the backend (`jax.grad`, `tf.GradientTape`, autograd),
        and on JAX under `jit` and `vmap`. The data are constants of it. On PyTorch `torch.func`
        takes it as well.

        Args:
            flat: bool. Whether the argument is the vector z (D,); else a mapping from path to the
                part of z that is this weight, in its shape. Defaults to True.

        Returns:
            (function, where the model's weights are: such an argument).

        Example:
            >>> import keras, numpy as np
            >>> import keras_priors as kp
            >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
            ...     1, use_bias=False, kernel_initializer="ones",
            ...     kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
            >>> log_posterior = kp.inference.LogPosterior(
            ...     model, np.ones((2, 1)), np.zeros((2, 1)), likelihood=kp.likelihoods.Normal(1.0))
            >>> function, z = log_posterior.logdensity()
            >>> f"{float(function(z)):.4f}"    # 3 (-log(2 pi) - 1) / 2
            '-4.2568'

        On JAX it is what BlackJAX takes, `blackjax.window_adaptation(blackjax.nuts, function)` and
        then `.run(key, z, 1000)`, and NumPyro, `NUTS(potential_fn=lambda z: -function(z))`.
        `SamplePosterior.from_draws` takes the draws back.
        """
        data = self.data
        z = self.positions.unconstrain(self.positions.current())
        if flat:
            return lambda z: self.log_prob(z, data), z

        def of_parts(parts: Mapping[str, Any]) -> Any:
            return self.log_prob(self.positions.join([parts[p] for p in self.paths]), data)

        return of_parts, dict(zip(self.paths, self.positions.split(z), strict=True))

    # What follows are pure functions of tensors, for methods that compile them. `data` is an
    # argument there, so that it is no constant of the program.

    @cached_property
    def data(self) -> tuple[Any, Any]:
        """(values of what is fixed, blocks of x, y and weights), as tensors."""
        # They are kept, and what is made while a function is traced is of no use outside.
        with backend.untraced():
            return self.outputs.fixed(), self.observations.blocks(self._block)

    def log_prob(self, z: Any, data: Any, jacobian: bool = True) -> Any:
        """Log posterior density of a vector z (D,), in nats: a scalar, differentiable."""
        values, _ = self.positions.constrain(z)
        fixed, blocks = data
        log_likelihood = backend.sum_over(
            lambda block: self.log_likelihood_of(values, fixed, block), blocks
        )
        return self._tempered(log_likelihood) + self.log_prior_at(z, jacobian)

    def log_prob_and_gradient(self, z: Any, data: Any, jacobian: bool = True) -> tuple[Any, Any]:
        """`log_prob` and its gradient (D,), block by block: memory does not grow with the rows."""
        return self.with_gradient(jacobian)(z, data)

    def with_gradient(self, jacobian: bool = True) -> Callable[[Any, Any], tuple[Any, Any]]:
        """`log_prob_and_gradient` as a function of (z, data) that is called often."""

        # Each is recorded by itself: of all blocks at once the program would be long.
        @backend.recorded
        @backend.value_and_gradient
        def of_block(z: Any, fixed: Any, block: Any) -> Any:
            return self.log_likelihood_of(self.positions.constrain(z)[0], fixed, block)

        @backend.recorded
        @backend.value_and_gradient
        def of_prior(z: Any) -> Any:
            return self.log_prior_at(z, jacobian)

        def both(z: Any, data: Any) -> tuple[Any, Any]:
            fixed, blocks = data
            likelihood, slope = backend.sum_over(lambda block: of_block(z, fixed, block), blocks)
            prior, prior_slope = of_prior(z)
            return self._tempered(likelihood) + prior, self._tempered(slope) + prior_slope

        return both

    def batch_log_prob(
        self, z: Any, fixed: Any, batch: Any, scale: Any, jacobian: bool = True
    ) -> Any:
        """Estimate of `log_prob` from one batch (x, y, weight); `scale` is N / n."""
        values, _ = self.positions.constrain(z)
        log_likelihood = self.log_likelihood_of(values, fixed, batch)
        return self._tempered(scale * log_likelihood) + self.log_prior_at(z, jacobian)

    def log_likelihood_of(self, values: list[Any], fixed: list[Any], block: Any) -> Any:
        """Sum of the weighted log densities of a block (x, y, weight), in nats, at T = 1."""
        x, y, weight = block
        return self.likelihoods.log_likelihood(y, self.outputs(values, fixed, x), weight)

    def log_prior_of(self, values: list[Any]) -> Any:
        """Sum of the log densities of the priors, in nats, at T = 1."""
        return self.positions.log_prior_of(values)

    def log_prior_at(self, z: Any, jacobian: bool = True) -> Any:
        """The same at T and a vector z (D,), by default the density of z. Differentiable in z."""
        density = self.positions.log_prior(z, jacobian)
        if self.temperature == 1.0:
            return density
        bare = self.positions.log_prior(z, jacobian=False)
        return density - bare + self._tempered(bare)

    def _tempered(self, density: Any) -> Any:
        return density if self.temperature == 1.0 else density * (1.0 / self.temperature)

    @cached_property
    def _compiled(self) -> dict[str, Any]:
        def likelihood(values: Any, data: Any) -> Any:
            fixed, blocks = data
            return backend.sum_over(
                lambda block: self.log_likelihood_of(values, fixed, block), blocks
            )

        def gradient(values: Any, data: Any) -> Any:
            fixed, blocks = data
            of_block = backend.value_and_gradient(
                lambda values, block: self.log_likelihood_of(values, fixed, block)
            )
            first = backend.sum_over(lambda block: of_block(values, block), blocks)
            second = backend.value_and_gradient(self.log_prior_of)(values)
            both = keras.tree.map_structure(ops.add, first, second)
            return keras.tree.map_structure(self._tempered, both)

        def batch(values: Any, fixed: Any, rows: Any, scale: Any) -> Any:
            log_likelihood = scale * self.log_likelihood_of(values, fixed, rows)
            return self._tempered(log_likelihood + self.log_prior_of(values))

        pure: dict[str, Any] = {"likelihood": likelihood, "gradient": gradient, "batch": batch}
        return {name: backend.compile_function(function) for name, function in pure.items()}

    def _values(self, position: Mapping[str, Any] | None) -> list[Any]:
        return self.positions.current() if position is None else self.positions.checked(position)

    def _check_outputs(self) -> None:
        """One row through the model: shapes, losses that are no densities, unfit data."""
        batch = self.observations.batch([0])
        variables = [*self.positions.variables, *self.outputs.fixed_variables]
        values = [ops.convert_to_tensor(v) for v in variables]
        mapping = list(zip(variables, values, strict=True))

        def log_likelihood(batch: Any, outputs: Any = None) -> float:
            x, y, weight = batch
            number = len(self.positions.variables)
            if outputs is None:
                outputs = self.outputs(values[:number], values[number:], x)
            return float(ops.stop_gradient(self.likelihoods.log_likelihood(y, outputs, weight)))

        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            outputs = self.model(batch[0], training=False)
        if scope.losses:
            raise ValueError(
                "A log posterior has two parts, likelihood and prior. Received: "
                f"{self.model.name} with {len(scope.losses)} losses from `add_loss` or "
                "`activity_regularizer`, which are no densities of targets or weights. Take them "
                "off, or write them as a likelihood or a prior."
            )
        log_likelihood(batch, outputs)
        if all(bool(ops.all(ops.isfinite(v))) for v in self.positions.variables):
            check_rows(self.model, self.observations, self.likelihoods, outputs, log_likelihood)
