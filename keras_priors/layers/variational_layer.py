"""The base class of all variational layers."""

import math
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_priors.layers.conditional_normal import ConditionalNormal
from keras_priors.layers.inside_support import InsideSupport
from keras_priors.layers.kl_penalty import KLPenalty
from keras_priors.layers.point_scale import PointScale
from keras_priors.layers.weight_axes import WeightAxes, dense_axes
from keras_priors.layers.weight_draws import active_draws
from keras_priors.posteriors.log_normal import LogNormal
from keras_priors.posteriors.posterior import Posterior
from keras_priors.priors.learnable import Learnable
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.layer_options import LayerOptions
from keras_priors.utils.parameters import one_positive, seed_or_none, whole_number
from keras_priors.utils.saved_num_data import load_num_data, save_num_data

# Among the variables of a layer's file, which have numbers.
_SEED = "seed"


@export()
class VariationalLayer(keras.layers.Layer):
    """A layer with posteriors over some of its weights. Abstract.

    A subclass calls `add_posterior` in `build` where a plain layer calls `add_weight`, and asks
    `draws(training)` in `call` whether to draw. Everything else is here: variables that stay in
    float32, the KL in the loss, seeds, `num_data`, `kl_weight`.

    Args:
        num_data: integer or None, number of observations whose mean is the loss; see
            `keras_priors.set_num_data`. Defaults to None.
        temperature: float greater than 0, the weight T of the entropy in KL(q‖p); see
            `keras_priors.set_num_data`. Defaults to 1, which is Bayes.
        kl_samples: integer, draws for a KL that has no closed form. Defaults to 1.
        seed: integer from 0 to 2^31 - 1, or None, seed of the layer's draws. Defaults to None.
        **kwargs: those of `keras.layers.Layer` (`name`, `dtype`, `trainable`, ...).
    """

    def __init__(
        self,
        *,
        num_data: int | None = None,
        temperature: float = 1.0,
        kl_samples: int = 1,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.num_data = num_data
        self.temperature = temperature
        self.kl_samples = whole_number(type(self).__name__, "kl_samples", kl_samples)
        self.seed = seed_or_none(type(self).__name__, seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self._kl_penalties: list[KLPenalty] = []
        self._count_of_variables = 0

    @property
    def num_data(self) -> int | None:
        """Number of observations whose mean is the loss, or None."""
        return self._num_data

    @num_data.setter
    def num_data(self, value: int | None) -> None:
        self._num_data = (
            None if value is None else whole_number(type(self).__name__, "num_data", value)
        )
        self._num_data_check: Any = None

    @property
    def temperature(self) -> float:
        """The weight of the entropy of q in the loss: 1 is Bayes."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._temperature = one_positive(type(self).__name__, "temperature", value)

    def add_posterior(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        initializer: Any,
        posterior: Posterior,
        prior: Prior,
        constraint: Any = None,
        loc: Any = None,
        argument: str | None = None,
        axes: WeightAxes | None = None,
    ) -> Posterior:
        """Create a posterior over a weight; the counterpart of `add_weight`.

        Args:
            name: name of the weight; its variables are `{name}_loc` and so on.
            shape: shape of the weight.
            initializer: Keras initializer of the mean.
            posterior: the family; a copy is built.
            prior: the prior.
            constraint: Keras constraint on a point estimate; defaults to the prior's own.
            loc: an existing variable that becomes the first of the posterior, in place of a new
                one; None makes one. Defaults to None.
            argument: what the layer's arguments for this weight begin with, for messages.
                Defaults to `name`.
            axes: which axes of the weight number the inputs and the units. Defaults to the last
                two, or all as units where there is but one.

        Returns:
            The built posterior.
        """
        argument = argument or name
        posterior = posterior.copy()
        try:
            prior.check_shape(tuple(shape))
            posterior.check_support(prior)
        except ValueError as error:
            raise ValueError(self._misfit(name, error)) from error
        if posterior.support == "point":
            constraint = prior.constraint() if constraint is None else constraint
            initializer = InsideSupport(initializer, prior)
        elif constraint is not None and not _says_more(constraint, prior, posterior):
            constraint = None  # the family keeps draws there by itself
        elif constraint is not None:
            raise ValueError(
                f"`{argument}_constraint` of {type(self).__name__} keeps a point estimate inside "
                f"a set; draws from {posterior!r} would leave it. Use "
                f'{argument}_posterior="delta", or a prior and a posterior with that support '
                f'({argument}_posterior="log_normal").'
            )
        axes = axes or dense_axes(tuple(shape))
        penalty = KLPenalty(
            self, posterior, prior, *self._learned(name, argument, posterior, prior, axes)
        )

        def add_weight(part: str, part_shape: tuple[int, ...], init: Any) -> Any:
            first = part == "loc"
            if first and loc is not None:
                if posterior.support != "real":  # these do not start at the weight itself
                    loc.assign(init(part_shape, dtype=loc.dtype))
                loc.regularizer, loc.constraint = penalty, constraint
                return loc
            return self._add_variable(
                f"{name}_{part}",
                part_shape,
                init,
                regularizer=penalty if first else None,
                constraint=constraint if first else None,
            )

        try:
            posterior.build(add_weight, tuple(shape), initializer, axes.fan_in)
        except ValueError as error:
            raise ValueError(self._misfit(name, error)) from error
        self._kl_penalties.append(penalty)
        return posterior

    @property
    def prior_scales(self) -> dict[str, PointScale | LogNormal]:
        """By the name of a weight: the scale of its prior, where that is learned.

        Each has `mean()` and `stddev()`; of a point estimate (empirical Bayes) that is zero.
        """
        return {
            self._weight_name(penalty.posterior): penalty.learned.scale
            for penalty in self._kl_penalties
            if penalty.learned is not None
        }

    def _misfit(self, name: str, error: ValueError) -> str:
        return f"The {name} of {self.name} ({type(self).__name__}) cannot be made. {error}"

    def _weight_name(self, posterior: Posterior) -> str:
        return str(posterior.loc.name.removesuffix("_loc"))

    def _learned(
        self, name: str, argument: str, posterior: Posterior, prior: Prior, axes: WeightAxes
    ) -> tuple[ConditionalNormal | None, KLPenalty | None]:
        """The prior with the scale that this layer learns for it, and the KL of that scale.

        None where the scale is given; the second also where it is a point.
        """
        if not isinstance(prior, NormalPrior) or not isinstance(prior.scale, Learnable):
            return None, None
        if posterior.support == "point":
            raise ValueError(
                "A point estimate and the scale of its prior cannot be learned together: the "
                "density grows without bound as both go to zero. "
                f"Received: {prior!r} and {posterior!r} for {argument} of {self.name}. Use another "
                f'posterior (`{argument}_posterior="mean_field"`), or a number as scale.'
            )
        learnable, shape = prior.scale, axes.broadcasting(prior.scale.per)
        if learnable.prior is None:
            start = keras.initializers.Constant(math.log(learnable.initial))
            log_scale = self._add_variable(f"{name}_prior_log_scale", shape, start)
            return ConditionalNormal(prior.loc, PointScale(log_scale)), None
        learnable.prior.check_shape(shape)
        scale = LogNormal()
        penalty = KLPenalty(self, scale, learnable.prior)

        def add_weight(part: str, part_shape: tuple[int, ...], init: Any) -> Any:
            return self._add_variable(
                f"{name}_prior_scale_{part}",
                part_shape,
                init,
                regularizer=penalty if part == "loc" else None,
            )

        scale.build(add_weight, shape, keras.initializers.Constant(learnable.initial))
        return ConditionalNormal(prior.loc, scale), penalty

    def _add_variable(
        self, name: str, shape: tuple[int, ...], initializer: Any, **kwargs: Any
    ) -> Any:
        variable = self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            # The sum of a KL overflows float16, and 1e-3 updates are lost in it.
            dtype="float64" if self.variable_dtype == "float64" else "float32",
            autocast=False,
            **kwargs,
        )
        # TensorFlow's checkpoints see the variables that are attributes, and not those that a
        # posterior holds. By number, because the names of two weights may differ by a slash alone.
        self._count_of_variables += 1
        setattr(self, f"_posterior_variable_{self._count_of_variables}", variable)
        return variable

    def add_kl_weight(self) -> None:
        """Create the factor that `keras_priors.callbacks.KLAnnealing` moves; 1 by itself."""
        self.kl_weight = self.add_weight(
            name="kl_weight",
            shape=(),
            initializer="ones",
            dtype="float32",
            autocast=False,
            trainable=False,
        )

    def weight(self, posterior: Posterior) -> Any:
        """The weight at prediction: its one draw inside `keras_priors.predict`, else its mean."""
        scope = active_draws()
        drawn = posterior.mean() if scope is None else scope.draw(posterior)
        return ops.cast(drawn, self.compute_dtype)

    def draws(self, training: bool | None) -> bool:
        """Whether this call draws afresh: in training, and not inside `keras_priors.predict`."""
        return bool(training) and active_draws() is None

    def kl(self) -> Any:
        """KL(q‖p) of all weights of this layer, and of learned scales, in nats: a scalar."""
        parts = [part for penalty in self._kl_penalties for part in penalty.parts]
        return sum((part.kl() for part in parts), start=np.float32(0.0))

    def save_assets(self, dir_path: str) -> None:
        """Keep `num_data` and `temperature` where a subclassed model, not a config, makes it."""
        save_num_data(self, dir_path, temperature=self.temperature)

    def load_assets(self, dir_path: str | None) -> None:
        """Read them back; `load_weights` does not."""
        load_num_data(self, dir_path)

    def save_own_variables(self, store: Any) -> None:
        """All variables, and where the noise is: Keras keeps no state of a seed generator."""
        keras.layers.Layer.save_own_variables(self, store)
        store[_SEED] = self.seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        """All variables, and where the noise was, where the file says it."""
        names = list(store.keys())
        keras.layers.Layer.load_own_variables(self, {k: store[k] for k in names if k != _SEED})
        if _SEED in names:
            self.seed_generator.state.assign(np.asarray(store[_SEED]))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_data": self.num_data,
            "temperature": self.temperature,
            "kl_samples": self.kl_samples,
            "seed": self.seed,
        }


def _says_more(constraint: Any, prior: Prior, posterior: Posterior) -> bool:
    """Whether a constraint asks for more than that draws lie in the support of the prior."""
    if posterior.support == "positive" and isinstance(constraint, keras.constraints.NonNeg):
        return False
    own, serialize = prior.constraint(), keras.saving.serialize_keras_object
    return own is None or serialize(constraint) != serialize(own)
