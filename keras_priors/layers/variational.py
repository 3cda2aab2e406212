"""The wrapper that makes any Keras layer variational."""

import copy
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.layers.weight_draws import active_draws
from keras_priors.posteriors.get import get as get_posterior
from keras_priors.posteriors.posterior import Posterior
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.call_signature import with_signature_of
from keras_priors.utils.export import export
from keras_priors.utils.inner_paths import inner_paths
from keras_priors.utils.keras_internals import all_layers
from keras_priors.utils.layer_options import LayerOptions
from keras_priors.utils.path_matches import path_matches


@export()
class Variational(VariationalLayer):
    """Any Keras layer or model with posteriors over chosen weights of it.

    In training, each call draws every chosen weight once from its posterior q and calls the
    wrapped layer with these draws in place of its weights: one draw for all rows, and for the
    whole sequence of a recurrent layer. At prediction the means take that place, and inside
    `keras_priors.predict` its draws. KL(q‖p) in nats joins the loss as in `VariationalDense`.
    State that the wrapped layer updates (statistics of batch normalization, seeds, states) is kept.

    The wrapped layer's own variables become the means, so that memory is twice the weights and a
    layer that is trained already starts where it is. Where a layer has a twin of its own
    (`VariationalDense`, `VariationalConv2D`, ...), the twin has more estimators.

    Args:
        layer: `keras.layers.Layer` or `keras.Model`, with its usual arguments.
        prior: a prior for all chosen weights, or a mapping from pattern to prior, where later
            ones win. Weights without one take the prior that the wrapped layer has as
            regularizer, else N(0, 1). Defaults to None.
        posterior: str or posterior, the family; or a mapping from pattern to family, where later
            ones win and weights without one take "mean_field". Defaults to "mean_field".
        weights: str or sequence of str, patterns with wildcards of the weights to choose, matched
            against the end of their paths: `"*"`, `"kernel"`, `"lstm_cell/*kernel"`. Weights that
            are not trainable are never chosen. Defaults to "*".
        num_data: integer or None, number of observations whose mean is the loss; see
            `keras_priors.set_num_data`. Defaults to None.
        temperature: float greater than 0, the weight of the entropy; see
            `keras_priors.set_num_data`. Defaults to 1.
        kl_samples: integer, draws for a KL that has no closed form. Defaults to 1.
        seed: integer from 0 to 2^31 - 1, or None, seed of the draws. Defaults to None.
        **kwargs: those of `keras.layers.Layer`. The dtype policy is that of the wrapped layer.

    Call arguments:
        Those of the wrapped layer.

    Raises:
        TypeError: `layer` is not a Keras layer.
        ValueError: a pattern matches no weight, a regularizer that is not a prior, a layer that
            is variational already, a prior that does not fit weight or posterior.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> layer = kp.layers.Variational(keras.layers.LSTM(4), weights="*kernel", seed=0)
        >>> x = np.ones((2, 5, 3), "float32")
        >>> y = layer(x, training=True)
        >>> tuple(y.shape), sorted(layer.posteriors)
        ((2, 4), ['lstm_cell/kernel', 'lstm_cell/recurrent_kernel'])

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424.
        - Fortunato, Blundell and Vinyals, 2017, Bayesian recurrent neural networks,
          arXiv:1704.02798 (one draw for a sequence).
    """

    def __init__(
        self,
        layer: Any,
        prior: Any = None,
        posterior: Any = "mean_field",
        weights: str | Sequence[str] = "*",
        *,
        num_data: int | None = None,
        temperature: float = 1.0,
        kl_samples: int = 1,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        if isinstance(layer, dict):
            # A copy, because Keras takes the layers within out of the config that it reads.
            layer = keras.saving.deserialize_keras_object(copy.deepcopy(layer))
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                "`layer` of Variational must be a Keras layer or model, such as "
                f"keras.layers.LSTM(8). Received: {layer!r} of type {type(layer).__name__}."
            )
        inner = [x for x in all_layers(layer) if isinstance(x, VariationalLayer)]
        if inner:
            raise ValueError(
                f"Variational cannot wrap a layer that is variational already. Received: {layer!r} "
                f"with {inner[0]!r} in it. Use it as it is, or wrap the plain layers."
            )
        kwargs.setdefault("dtype", layer.dtype_policy)
        if kwargs.get("name") is None:
            kwargs["name"] = _automatic_name(layer)
        # Keras reads the names and defaults of arguments, masks among them, in its `__init__`.
        self.__dict__["call"] = with_signature_of(layer, self.call)
        # Inputs are cast by the wrapped layer, or not, as it would be done by itself.
        options: dict[str, Any] = {"kl_samples": kl_samples, "seed": seed, "autocast": False}
        super().__init__(num_data=num_data, temperature=temperature, **options, **kwargs)
        self.layer = layer
        self.prior = _checked_prior(prior)
        self.posterior = _checked_posterior(posterior)
        self.patterns = (weights,) if isinstance(weights, str) else tuple(weights)
        self.supports_masking = layer.supports_masking
        self._chosen: list[int] | None = None
        self.__dict__["_keras_calls"] = False
        self._has_states = False
        self._takes_training = "training" in inspect.signature(layer.call).parameters

    @property
    def posteriors(self) -> dict[str, Posterior]:
        """The posteriors by the path of their weight within the wrapped layer."""
        paths = inner_paths(self.layer)
        return {paths[id(p.posterior.loc)]: p.posterior for p in self._kl_penalties}

    def _weight_name(self, posterior: Posterior) -> str:
        return inner_paths(self.layer)[id(posterior.loc)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call as the wrapped layer is called."""
        if not self.layer.built:
            # Any call signature: a symbolic call builds it as Keras would.
            self.layer(*_symbolic(args), **_symbolic(kwargs))
        # Keras' own attributes are slow to set, and this is set at each call.
        before, self.__dict__["_keras_calls"] = self.__dict__["_keras_calls"], True
        try:
            return super().__call__(*args, **kwargs)
        finally:
            self.__dict__["_keras_calls"] = before

    def build(self, input_shape: Any = None) -> None:
        """Build the wrapped layer where it is not, and put posteriors over its weights."""
        if not self.layer.built:
            self.layer.build(input_shape)
        self.add_kl_weight()
        self._has_states = bool(_recurrent_states(self.layer))
        variables, paths = self.layer.variables, inner_paths(self.layer)
        if self._chosen is None:
            self._chosen = self._choose(variables, paths)
        for index in self._chosen:
            self._put_posterior(variables[index], paths[id(variables[index])])
        self.built = True

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """The wrapped layer's call, with drawn weights in training."""
        # Within a call by Keras the wrapped layer is told `training` by it, and faster.
        if self._takes_training and not self.__dict__["_keras_calls"]:
            kwargs["training"] = training
        posteriors = [penalty.posterior for penalty in self._kl_penalties]
        values = [
            (posterior.loc, weight)
            for posterior, weight in zip(
                posteriors, self._weights(posteriors, training), strict=True
            )
        ]
        drawn = {id(variable) for variable, _ in values}
        # Inside the scope a variable without a value here would be read past an outer scope.
        variables = self.layer.variables
        if self._has_states:
            variables = [*variables, *_recurrent_states(self.layer)]
        kept = [(v, ops.convert_to_tensor(v)) for v in variables if id(v) not in drawn]
        with keras.StatelessScope(values + kept, collect_losses=True) as scope:
            # As the scope holds them, which may be in half precision and are then not to be kept.
            before = [(v, scope.get_current_value(v)) for v, _ in kept]
            outputs = self.layer(*args, **kwargs)
        for variable, value in before:
            updated = scope.get_current_value(variable)
            if not variable.trainable and updated is not value:
                variable.assign(updated)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def compute_output_spec(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """The wrapped layer's: it may say what Keras cannot find out by calling it."""
        if self._takes_training:
            kwargs["training"] = training
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The wrapped layer's."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The wrapped layer's."""
        return self.layer.compute_mask(inputs, previous_mask)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "layer": serialize(self.layer),
            "prior": serialize(self.prior),
            "posterior": serialize(self.posterior),
            "weights": list(self.patterns),
        }

    def get_build_config(self) -> dict[str, Any]:
        """What `build_from_config` needs: the wrapped layer's, and which weights were chosen."""
        return {"layer": self.layer.get_build_config(), "chosen": self._chosen}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build as the saved layer was, also where weights have been frozen since."""
        if not self.layer.built and config["layer"] is not None:
            self.layer.build_from_config(config["layer"])
        if self.layer.built and not self.built:
            self._chosen = config["chosen"]
            self.build()

    def _weights(self, posteriors: list[Posterior], training: bool | None) -> list[Any]:
        scope = active_draws()
        if scope is not None:
            return [scope.draw(posterior) for posterior in posteriors]
        if not training:
            return [posterior.mean() for posterior in posteriors]
        shapes = [posterior.noise_shape for posterior in posteriors]
        seed, dtype = backend.next_seed(self.seed_generator), posteriors[0].dtype
        noise = backend.standard_normals(shapes, seed, dtype)
        return [q.transform(e) for q, e in zip(posteriors, noise, strict=True)]

    def _choose(self, variables: Sequence[Any], paths: Mapping[int, str]) -> list[int]:
        trainable = {i: (v, paths[id(v)]) for i, v in enumerate(variables) if v.trainable}
        matched = {
            pattern: {i for i, names in trainable.items() if self._matches(*names, pattern)}
            for pattern in (
                *self.patterns,
                *(self.prior if _is_mapping(self.prior) else ()),
                *(self.posterior if _is_mapping(self.posterior) else ()),
            )
        }
        for pattern, found in matched.items():
            if not found:
                there = sorted(path for _, path in trainable.values())
                raise ValueError(
                    f"A pattern of {self.name} must match a trainable weight of {self.layer.name}. "
                    f"Received: {pattern!r}; there are {there}."
                )
        return sorted(set().union(*(matched[pattern] for pattern in self.patterns)))

    def _put_posterior(self, variable: Any, path: str) -> None:
        prior = self._last_of(self.prior, variable, path)
        posterior = self._last_of(self.posterior, variable, path)
        if prior is None and variable.regularizer is not None:
            prior = variable.regularizer
            if not isinstance(prior, Prior):
                raise ValueError(
                    f"The regularizer of {path} in {self.name} must be a prior of keras_priors: "
                    f"the KL needs its density. Received: {prior!r}. Give "
                    f'prior={{"{path}": ...}}, or take the regularizer away.'
                )
        posterior = get_posterior("mean_field" if posterior is None else posterior)
        self.add_posterior(
            path.replace("/", "_"),
            tuple(variable.shape),
            initializer=_Current(variable),
            posterior=posterior,
            prior=NormalPrior() if prior is None else prior,
            constraint=variable.constraint,
            loc=variable,
        )
        if posterior.support != "point":
            # It is the `loc` of the posterior now, which may be that of log w.
            variable.constraint = None

    def _last_of(self, rules: Any, variable: Any, path: str) -> Any:
        if not _is_mapping(rules):
            return rules
        fitting = [rule for p, rule in rules.items() if self._matches(variable, path, p)]
        return fitting[-1] if fitting else None

    def _matches(self, variable: Any, path: str, pattern: str) -> bool:
        names = (f"{self.layer.name}/{path}", variable.path)
        return any(path_matches(name, pattern) for name in names)


class _Current:
    """The initializer that leaves a variable at its value; lives only while a layer is built."""

    def __init__(self, variable: Any) -> None:
        self._variable = variable

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return ops.cast(ops.convert_to_tensor(self._variable), dtype or self._variable.dtype)


def _automatic_name(layer: Any) -> str:
    """`variational_lstm`, then `variational_lstm_1`, from the counter that names Keras' layers.

    By class and not by `layer.name`: a twin of the same class has a name of the same form, and two
    ways of counting would meet. Words are told apart as Keras does.
    """
    words = re.sub(r"\W+", "", f"Variational{type(layer).__name__}")
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    prefix = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
    earlier = keras.backend.get_uid(prefix) - 1
    return f"{prefix}_{earlier}" if earlier else prefix


def _recurrent_states(layer: Any) -> list[Any]:
    """The states of stateful recurrent layers, which Keras keeps out of `variables`."""
    stateful = [x for x in all_layers(layer) if isinstance(x, keras.layers.RNN) and x.stateful]
    return [v for x in stateful for v in keras.tree.flatten(x.states) if v is not None]


def _symbolic(structure: Any) -> Any:
    return keras.tree.map_structure(
        lambda x: (
            keras.KerasTensor(x.shape, keras.backend.standardize_dtype(x.dtype))
            if ops.is_tensor(x)
            else x
        ),
        keras.tree.map_structure(_as_tensor, structure),
    )


def _as_tensor(x: Any) -> Any:
    return ops.convert_to_tensor(x) if isinstance(x, np.ndarray) else x


def _is_mapping(rules: Any) -> bool:
    return isinstance(rules, Mapping)


def _checked_posterior(posterior: Any) -> Any:
    if isinstance(posterior, Mapping) and "class_name" not in posterior:
        return {pattern: get_posterior(family) for pattern, family in posterior.items()}
    return get_posterior(posterior)


def _checked_prior(prior: Any) -> Any:
    if isinstance(prior, dict) and "class_name" in prior:
        prior = keras.saving.deserialize_keras_object(prior)
    if isinstance(prior, dict):
        return {
            pattern: keras.saving.deserialize_keras_object(p) if isinstance(p, dict) else p
            for pattern, p in prior.items()
        }
    if prior is not None and not isinstance(prior, (Prior, Mapping)):
        raise TypeError(
            "`prior` of Variational must be a prior such as keras_priors.NormalPrior(0, 1), or a "
            f"mapping from pattern to prior. Received: {prior!r} of type {type(prior).__name__}."
        )
    return prior
