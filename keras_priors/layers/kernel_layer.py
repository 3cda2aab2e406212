"""What all twins of Keras layers share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_priors import backend
from keras_priors.layers.constructor_arguments import (
    UNSUPPORTED,
    bind_arguments,
    give_signature,
    keras_layer_of,
)
from keras_priors.layers.estimators import ESTIMATORS, check_estimator, check_family
from keras_priors.layers.linear_maps import LinearOp
from keras_priors.layers.resolve_prior import resolve_prior
from keras_priors.layers.twin_documentation import document
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.layers.weight_axes import WeightAxes, bias_axes, dense_axes
from keras_priors.posteriors.get import get as get_posterior
from keras_priors.posteriors.posterior import Posterior
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.utils.export import share

LinearMap = tuple[LinearOp, Posterior]


@share
class KernelLayer(VariationalLayer):
    """A layer of Keras that is linear in its weights, with posteriors over them. Abstract.

    A twin is `class VariationalX(KernelLayer, keras.layers.X)`: arguments, their validation,
    `build`, shapes and masks are those of `keras.layers.X`. Where Keras' `build` calls
    `add_weight`, this class puts a posterior; `call` is here, and a twin only says which linear
    maps it is made of. Its docstring says what is its own; `document` adds the rest.
    """

    weight_arguments: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}
    """By the name of each weight: the word that its arguments begin with."""

    twin_notes: ClassVar[str] = ""
    """What the docstrings of all its twins say after the formula."""

    activation: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for weight in cls.weight_arguments:
            setattr(cls, weight, _PosteriorMean(weight))
        if keras_layer_of(cls) in cls.__bases__:
            give_signature(cls)
            document(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        owner = type(self).__name__
        arguments = bind_arguments(type(self), args, kwargs)
        for name in UNSUPPORTED:
            if arguments.pop(name, None) is not None:
                raise ValueError(
                    f"{owner} has no `{name}`: low-rank adaptation and quantization change a "
                    "weight, and here each weight is a distribution. Leave the argument out."
                )
        priors, posteriors = {}, {}
        for name in self.weight_arguments.values():
            prior, regularizer = (
                arguments.pop(f"{name}_prior"),
                arguments.pop(f"{name}_regularizer"),
            )
            priors[name] = resolve_prior(owner, name, prior, regularizer, NormalPrior)
            posteriors[name] = get_posterior(arguments.pop(f"{name}_posterior"))
        estimator = check_estimator(owner, arguments.pop("estimator"))
        for name, posterior in posteriors.items():
            if name != "bias":
                check_family(owner, estimator, posterior)
        super().__init__(**arguments)
        if self.quantization_mode is not None:
            raise NotImplementedError(_no_change(owner, "quantized", f"dtype={self.dtype_policy}"))
        for name in priors:
            setattr(self, f"{name}_prior", priors[name])
            setattr(self, f"{name}_posterior", posteriors[name])
        self.estimator = estimator
        self._weight_names: list[str] = []

    @property
    def posteriors(self) -> dict[str, Posterior]:
        """The posteriors by the name of their weight; empty until the layer is built."""
        arguments = self.weight_arguments
        return {name: getattr(self, f"{arguments[name]}_posterior") for name in self._weight_names}

    @abstractmethod
    def linear_maps(self) -> Sequence[LinearMap]:
        """The maps that make up the layer, first to last, each with the posterior of its weight."""

    def weight_axes(self, weight: str, shape: tuple[int, ...]) -> WeightAxes:
        """Which axes of a weight that is not the bias number the inputs and the units."""
        return dense_axes(shape)

    def build(self, input_shape: Any = None) -> None:
        """Keras' own `build`, with a posterior for each weight."""
        self.add_kl_weight()
        super().build(input_shape)
        self.built = True

    def add_weight(  # Keras' order of arguments, of which the first two may come by position
        self, shape: Any = None, initializer: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> Any:
        """A variable, or the posterior of a weight of the Keras layer."""
        if name not in self.weight_arguments:
            return super().add_weight(shape, initializer, name=name, **kwargs)
        if None in shape:
            raise ValueError(
                f"The axes of the input of {self.name} that its {name} spans, such as the last "
                f"axis, must be known when it is built. Received: a {name} of shape {shape}."
            )
        argument, shape = self.weight_arguments[name], tuple(shape)
        posterior = self.add_posterior(
            name,
            shape,
            initializer=initializer,
            posterior=getattr(self, f"{argument}_posterior"),
            prior=getattr(self, f"{argument}_prior"),
            constraint=kwargs.get("constraint"),
            argument=argument,
            axes=bias_axes(shape) if name == "bias" else self.weight_axes(name, shape),
        )
        setattr(self, f"{argument}_posterior", posterior)
        self._weight_names.append(name)
        return posterior

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """activation(linear map of the inputs + bias), with drawn weights in training."""
        y = self.prepare(inputs)
        estimate = ESTIMATORS[self.estimator]
        draws = self.draws(training)
        seed = backend.next_seed(self.seed_generator) if draws else None
        maps = self.linear_maps()
        for k, (op, kernel) in enumerate(maps):
            bias = self.posteriors.get("bias") if k == len(maps) - 1 else None
            if draws:
                # Each map has streams of its own, far from those of the others.
                y = estimate(op, y, kernel, bias, backend.fold_in(seed, k << 20))
            else:
                y = op(y, self.weight(kernel))
                y = y if bias is None else ops.add(y, op.bias(self.weight(bias)))
        return y if self.activation is None else self.activation(y)

    def prepare(self, inputs: Any) -> Any:
        """The inputs as the linear maps take them."""
        # Keras casts floats alone; weights cast to an integer dtype would be lost.
        return ops.cast(inputs, self.compute_dtype)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Refused: the weight is a distribution."""
        raise NotImplementedError(_no_change(self.name, "given low-rank factors", "enable_lora"))

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Refused: the weight is a distribution."""
        raise NotImplementedError(_no_change(self.name, "quantized", "quantize"))

    def save_own_variables(self, store: Any) -> None:
        """All variables, in the order of their making; not as the Keras layer would."""
        VariationalLayer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """All variables, in the order of their making; not as the Keras layer would."""
        VariationalLayer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        config = super().get_config()
        for name in UNSUPPORTED:
            config.pop(name, None)
        serialize = keras.saving.serialize_keras_object
        for name in self.weight_arguments.values():
            config.pop(f"{name}_regularizer", None)
            for part in ("prior", "posterior"):
                config[f"{name}_{part}"] = serialize(getattr(self, f"{name}_{part}"))
        return {**config, "estimator": self.estimator}


class _PosteriorMean:
    """The attribute by which the Keras layer has a weight: the posterior's mean, read-only."""

    def __init__(self, weight: str) -> None:
        self._weight = weight
        self.__doc__ = f"Mean of the posterior of the {weight}; None where there is no {weight}."

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        if not layer.built:
            raise AttributeError(f"{layer.name} must be built before it has a `{self._weight}`.")
        posterior = layer.posteriors.get(self._weight)
        return None if posterior is None else posterior.mean()

    def __set__(self, layer: Any, value: Any) -> None:
        # Keras' `build` assigns what `add_weight` returned: the posterior, which is kept already.
        if layer.built:
            argument = layer.weight_arguments[self._weight]
            raise AttributeError(
                f"`{self._weight}` of {layer.name} is the mean of a posterior and cannot be set. "
                f"Assign to the variables of its `{argument}_posterior`, such as `loc`."
            )


def _no_change(owner: str, change: str, received: str) -> str:
    return (
        f"{owner} cannot be {change}: its weights are distributions. Received: {received}. "
        "Turn it into the plain Keras layer first."
    )
