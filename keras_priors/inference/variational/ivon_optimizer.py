"""IVON as a Keras optimizer."""

from __future__ import annotations

import math
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.functional.positions import Positions
from keras_priors.functional.warn_flat import warn_flat
from keras_priors.inference.optimizer_seed import optimizer_seed
from keras_priors.inference.variational.ivon_weights import check_weight, is_point
from keras_priors.inference.variational.variational_posterior import VariationalPosterior
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.posteriors.scale import softplus_inverse
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import index_of, trained_by
from keras_priors.utils.optimizer_options import OptimizerOptions
from keras_priors.utils.parameters import number_between, seed_or_none, whole_number
from keras_priors.utils.warn import warn

# The part of the curvature from the start, in half of the weights, at which `posterior` warns.
_LEFT = 0.1

# What Keras' optimizers do to gradients or weights, and why it cannot be done here.
_REFUSED = {
    "clipnorm": "the curvature is learned from the gradients, and clipped ones say too little",
    "clipvalue": "the curvature is learned from the gradients, and clipped ones say too little",
    "global_clipnorm": "the curvature is learned from the gradients, and clipped ones say too "
    "little",
    "use_ema": "the mean of the weights is what IVON keeps already",
}


@export("keras_priors.inference")
class IVONOptimizer(keras.optimizers.Optimizer):
    """Variational inference in plain `fit`: q(w) = N(m, sigma^2) of every weight, at Adam's price.

        w = m + sigma * N(0, 1),    sigma^2 = T / (N H),    H = h + weight_decay
        hhat = g * (w - m) / sigma^2
        h = h + (1 - beta_2) (hhat - h) + (1 - beta_2)^2 (hhat - h)^2 / (2 H)
        v = beta_1 v + (1 - beta_1) g
        m = m - rate * H_0 * (v / (1 - beta_1^t) + weight_decay * m) / max(H, damping * H_0)

    g is the gradient of the loss at w, which must be the negative log posterior per observation
    (likelihood as the loss, priors with `num_data`); N is `num_data`, and H_0 the H that training
    begins with: the first steps are those of SGD with momentum. Layers stay as they are. hhat is
    an unbiased estimate of the curvature, that of the priors included, so that where the learning
    rate falls to 0 training ends at a stationary point of

        E_q[loss] - T / N * H(q)        (nats for each observation)

    which for T = 1 is the negative ELBO over N. Let the rate fall, as by
    `keras.optimizers.schedules.CosineDecay`. sigma forgets where it began after several times
    1 / (1 - beta_2) steps; h is too large by about (1 - beta_2) var(hhat) / (2 h^2) of itself.

    Between batches the weights hold one draw of q, and the mean lies in a slot. `fit` ends at the
    mean. Within `fit`, validation and saving are at the mean where
    `keras_priors.callbacks.EvaluateAtMean` is in the list of callbacks, and else at a draw, since
    Keras does not tell an optimizer when an epoch ends. A `fit` that was interrupted leaves a draw:
    `to_mean()`, then evaluate or save; so does a file that was saved between batches. `posterior`
    gives q, wherever training stands. The first step after a `fit`, and after other weights were
    given to the model, begins at the weights as they are: without the callback it has no noise, and
    teaches nothing about h.

    A weight with a constraint, or whose prior has bounds, is a point: noise would take it outside.
    It is trained by SGD with the same momentum and learning rate. For a posterior of such weights
    there is `keras_priors.inference.IVON`.

    `weight_decay` is for models without priors: it stands for the prior N(0, 1 / (N weight_decay))
    of each weight, and is refused beside another one. `gradient_accumulation_steps` takes one draw
    for all batches of an update, and is the same as a larger batch; there are no several draws a
    step (`mc_samples`). Loss scaling works. Clipping of gradients and `use_ema` are refused.

    Args:
        learning_rate: float or schedule, that of SGD whose momentum is a mean of gradients: a
            tenth of it, at beta_1 = 0.9, is the rate of `keras.optimizers.SGD(momentum=0.9)`.
            Defaults to 0.5.
        num_data: integer, the number N of observations whose mean is the loss. Required.
        hess_init: float above 0, the h to begin with: sigma begins at sqrt(T / (N H_0)), which
            should be well below the size of the weights. Defaults to 1.
        beta_1: float in [0, 1), how much of the momentum stays in a step. Defaults to 0.9.
        beta_2: float in (0, 1), how much of h stays in a step. Defaults to 0.999.
        weight_decay: float of at least 0. Defaults to 0.
        damping: float from 0 to 1: a step of m is at most 1 / damping times the one that SGD would
            take. It moves no stationary point. Without it (0, as in the paper) a weight whose
            curvature has fallen to that of its prior is thrown far by one gradient. Defaults to
            0.1.
        temperature: float T above 0. Defaults to 1, the posterior; lower ones, often used for deep
            nets, give less noise.
        seed: integer from 0 to 2^31 - 1, or None for a fresh one.
        **kwargs: `name`, `gradient_accumulation_steps`, `loss_scale_factor`.

    Raises:
        ValueError: no `num_data`, an argument out of range, or one of Keras' that is refused; at
            the first step, a weight in half precision, a prior with another `num_data`, or a prior
            beside `weight_decay`.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1, num_data=8),
        ...     name="line")])
        >>> model.compile(
        ...     kp.inference.IVONOptimizer(0.1, num_data=8, beta_2=0.9, seed=0),
        ...     loss=kp.likelihoods.Normal(1.0))
        >>> x, y = np.ones((8, 1), "float32"), np.ones((8, 1), "float32")
        >>> history = model.fit(x, y, batch_size=1, epochs=5, verbose=0,
        ...                     callbacks=[kp.callbacks.EvaluateAtMean()])
        >>> posterior = model.optimizer.posterior(model, x, y)
        >>> posterior.draws(5, seed=0)["line/kernel"].shape
        (5, 1, 1)

    References:
        - Shen et al., 2024, Variational learning is effective for large deep networks,
          arXiv:2402.17641, algorithm 1; the learning rate is scaled by H_0 as in section 4.
        - Lin, Schmidt and Khan, 2020, Handling the positive-definite constraint in the Bayesian
          learning rule, arXiv:2002.10060 (the square in the line of h).
    """

    def __init__(
        self,
        learning_rate: Any = 0.5,
        num_data: int | None = None,
        *,
        hess_init: float = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        weight_decay: float = 0.0,
        damping: float = 0.1,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        owner = type(self).__name__
        given: dict[str, Any] = {**kwargs}
        for name, why in _REFUSED.items():
            if given.get(name):
                raise ValueError(
                    f"{owner} has no `{name}`: {why}. Received: {name}={given[name]!r}. "
                    "Leave it out; where steps are too large, lower `learning_rate` or raise "
                    "`hess_init`."
                )
        super().__init__(learning_rate=learning_rate, **kwargs)
        if num_data is None:
            raise ValueError(
                f"{owner} needs the number of observations whose mean is the loss: the noise is "
                "scaled by it. Received: num_data=None. Give `num_data=len(x_train)`."
            )
        self.num_data = whole_number(owner, "num_data", num_data)
        self.hess_init = number_between(owner, "hess_init", hess_init, 0.0, math.inf)
        self.beta_1 = beta_1 if beta_1 == 0 else number_between(owner, "beta_1", beta_1, 0.0, 1.0)
        self.beta_2 = number_between(owner, "beta_2", beta_2, 0.0, 1.0)
        # Under a name of its own: Keras' weight decay would shrink the noise too.
        self.decay = weight_decay and number_between(
            owner, "weight_decay", weight_decay, 0.0, math.inf
        )
        self.damping = damping and number_between(
            owner, "damping", damping, 0.0, 1.0, include_high=True
        )
        self.temperature = number_between(owner, "temperature", temperature, 0.0, math.inf)
        seed = seed_or_none(owner, seed)
        # Halved, so that the config is one that this constructor takes.
        fresh = int(np.random.SeedSequence().generate_state(1)[0]) // 2
        self.seed = fresh if seed is None else seed
        self._words = ops.convert_to_numpy(backend.as_seed(self.seed))

    @property
    def _size(self) -> float:
        """N / T: as many observations count."""
        return self.num_data / self.temperature

    def build(self, variables: Any) -> None:
        """Make the slots of each variable: momentum, mean and curvature."""
        if self.built:
            return
        for variable in variables:
            check_weight(type(self).__name__, variable, self.num_data, self.decay)
        super().build(variables)
        # The `iterations` at which the weights were put to their means: the step from there begins
        # at what they are, which may be others that were given to the model.
        self._still = self.add_variable(
            (), "zeros", "int", aggregation="only_first_replica", name="still"
        )
        self._momenta = self.add_optimizer_variables(variables, "momentum")
        self._means: list[Any] = []
        self._curvatures: list[Any] = []
        start = keras.initializers.Constant(self._first_curvature)
        for variable in variables:
            point = is_point(variable)
            self._means.append(
                None if point else self.add_variable_from_reference(variable, "mean")
            )
            self._curvatures.append(
                None if point else self.add_variable_from_reference(variable, "curvature", start)
            )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step of all variables."""
        super().apply(grads, trainable_variables)
        backend.step_taken(self.iterations)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable, which then has new noise."""
        dtype, index = variable.dtype, index_of(self, variable)
        value, gradient = ops.convert_to_tensor(variable), ops.cast(gradient, dtype)
        momentum = ops.convert_to_tensor(self._momenta[index])
        rate = ops.cast(learning_rate, dtype)
        if self._means[index] is None:
            passed = ops.cast(self.iterations, dtype) + 1.0
            debiased = 1.0 - ops.power(ops.cast(self.beta_1, dtype), passed)
            momentum = self.beta_1 * momentum + (1.0 - self.beta_1) * gradient
            self.assign(self._momenta[index], momentum)
            self.assign(variable, value - rate / debiased * momentum)
            return
        slots = variable, self._means[index], self._curvatures[index], self._momenta[index]
        first, step = self._first_curvature, backend.host_step(self.iterations)
        moved = backend.ivon_step(
            tuple(ops.convert_to_tensor(v) for v in slots),
            gradient,
            self._normals(index, variable, step + 1),
            step,
            backend.host_step(self._still),
            rate * first,
            (self.beta_1, self.beta_2, self._size, self.decay, self.damping * first),
        )
        for slot, value in zip(slots, moved, strict=True):
            self.assign(slot, value)

    def _normals(self, index: int, variable: Any, step: Any) -> Any:
        """N(0, 1) of the draw that the model has after as many steps."""
        seed = optimizer_seed(self._words, index, step)
        normals = backend.standard_normal(tuple(variable.shape), seed)
        return ops.cast(normals, variable.dtype)

    def to_mean(self) -> None:
        """Put the weights to their means, to evaluate, predict or save in a loop of one's own.

        `fit` does it at its end, and `keras_priors.callbacks.EvaluateAtMean` within it.
        """
        if not self.built or not self._is_noisy():
            return
        # Copies: JAX gives the memory of every variable away at the next step, and of each once.
        for variable, mean in self._pairs():
            variable.assign(ops.copy(ops.convert_to_tensor(mean)))
        self._still.assign(ops.copy(ops.convert_to_tensor(self.iterations)))

    def to_noise(self) -> None:
        """Put noise around the weights, after `to_mean`: the draw that training would have next.

        A step without noise teaches nothing about the curvature.
        """
        if not self.built or self._is_noisy():
            return
        for variable, mean in self._pairs():
            index = index_of(self, variable)
            mean.assign(ops.copy(ops.convert_to_tensor(variable)))
            total = ops.convert_to_tensor(self._curvatures[index])
            step = backend.host_step(self.iterations)
            noise = self._normals(index, variable, step) * ops.rsqrt(self._size * total)
            variable.assign(ops.add(variable, noise))
        self._still.assign(-1)

    def finalize_variable_values(self, var_list: Any) -> None:
        """What Keras calls at the end of `fit`: the weights are put to their means."""
        self.to_mean()

    def posterior(
        self,
        model: Any,
        x: Any = None,
        y: Any = None,
        likelihood: Any = None,
        *,
        sample_weight: Any = None,
    ) -> VariationalPosterior:
        """The normal that training has reached, of the weights of the model that it trains.

        Args:
            model: the model that was compiled with this optimizer.
            x: the inputs of `fit`, for `to_arviz` and leave-one-out. Defaults to None: without.
            y: the targets, with x.
            likelihood: a likelihood, or a structure of them. Defaults to None: the loss that the
                model was compiled with.
            sample_weight: array (N,), the weights of `fit`, or None.

        Returns:
            A `keras_priors.inference.VariationalPosterior`.

        Raises:
            ValueError: another model, no step was taken, weights that are points, or means or
                standard deviations that are not finite.

        Warns:
            UserWarning: the curvature of half of the weights is still by more than a tenth that of
                the start, beta_2^steps H_0.
        """
        owner = type(self).__name__
        backend.sync_variables(model)
        positions = Positions(model)
        slots = {} if not self.built else {id(v): index_of(self, v) for v in trained_by(self)}
        if any(id(v) not in slots for v in positions.variables):
            raise ValueError(
                f"`posterior` of {owner} is that of the weights which it trains. Received: "
                f"{model.name}, of which it knows {len(slots)} variables. Compile this model with "
                "it, and train it by `fit`; what was frozen then has no posterior."
            )
        points = [
            path
            for path, variable in zip(positions.paths, positions.variables, strict=True)
            if self._means[slots[id(variable)]] is None
        ]
        if points:
            raise ValueError(
                f"{owner} trains weights with bounds as points, which have no density. Received: "
                f"{', '.join(points)} of {model.name}. Take keras_priors.inference.IVON() or "
                "MeanField(), which move without bounds, or freeze these weights after training."
            )
        noisy, indices = self._is_noisy(), [slots[id(v)] for v in positions.variables]
        means = positions.variables if not noisy else [self._means[k] for k in indices]
        loc, total = (
            ops.convert_to_numpy(positions.join(v)).astype("float64")
            for v in (means, [self._curvatures[k] for k in indices])
        )
        scale = (self._size * total) ** -0.5
        if not (np.all(np.isfinite(loc)) and np.all(np.isfinite(scale))):
            raise ValueError(
                f"The means and standard deviations of {owner} must be finite. Received: NaN or "
                f"infinity for {model.name}. Start again with a lower `learning_rate` (by 10) or "
                "a larger `hess_init`, and look for NaN in its data."
            )
        self._check_forgotten(total)
        observations = None if x is None else Observations(x, y, sample_weight)
        structure = Likelihoods(model, likelihood).structure
        if not self.decay:
            warn_flat(model, positions)
        parameters = {"loc": loc, "rho": softplus_inverse(scale)}
        found = VariationalPosterior(
            model, structure, MeanFieldNormal(), parameters, observations=observations
        )
        found.temperature = self.temperature
        return found

    def _pairs(self) -> list[tuple[Any, Any]]:
        """Each variable that has noise, with the slot of its mean."""
        pairs = zip(trained_by(self), self._means, strict=True)
        return [(variable, mean) for variable, mean in pairs if mean is not None]

    def _check_forgotten(self, total: Any) -> None:
        """Warns where the curvature is still the one that training began with."""
        steps = _integer(self.iterations)
        left = np.median(self.beta_2**steps * self._first_curvature / total)
        if left > _LEFT:
            warn(
                f"The standard deviations of {type(self).__name__} are those of the posterior once "
                f"its curvature has forgotten `hess_init`. Received: {steps} steps with beta_2="
                f"{self.beta_2:g}, after which half of the weights have at least "
                f"{100 * min(left, 1):.0f}% of it from hess_init={self.hess_init:g}. Train longer, "
                "or lower `beta_2`; to keep the noise that you chose, mind that these standard "
                "deviations are a choice, and not found.",
            )

    def _is_noisy(self) -> bool:
        return _integer(self.iterations) != _integer(self._still)

    @property
    def _first_curvature(self) -> float:
        return self.hess_init + self.decay

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        config.update(
            num_data=self.num_data,
            hess_init=self.hess_init,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            weight_decay=self.decay,
            damping=self.damping,
            temperature=self.temperature,
            seed=self.seed,
        )
        return config


def _integer(value: Any) -> int:
    return int(ops.convert_to_numpy(ops.convert_to_tensor(value)))
