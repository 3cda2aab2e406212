"""The posterior that a model with variational layers holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.models.to_plain import to_plain
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.utils.export import export


@export("keras_priors.inference")
class LayersPosterior(Posterior):
    """The posteriors of all variational layers of a model, and its plain weights as points.

        q(w) = prod_k q_k(w_k)

    The model holds it: after more training it is another one.

    Args:
        model: built model with variational layers.
        likelihood: its likelihood, a structure of them, or None.
        observations: the data, for ArviZ' log likelihood. Defaults to None.

    Raises:
        ValueError: the model has no posterior.
    """

    def __init__(
        self, model: Any, likelihood: Any, observations: Observations | None = None
    ) -> None:
        super().__init__(model, likelihood, observations)
        self._weights: list[Weight] = [
            w for w in find_weights(model) if w.variable.trainable or w.penalty is not None
        ]
        # Points among them: the layers ask for a draw of every posterior.
        self._drawn_weights = [w for w in self._weights if w.penalty is not None]
        if not any(_is_random(w) for w in self._drawn_weights):
            raise ValueError(
                "VariationalLayers reads the posteriors of a model's variational layers. "
                f"Received: {model.name}, which has none. Make them by "
                "keras_priors.to_variational(model) and `fit`, or use another method, such as "
                "keras_priors.inference.MeanField()."
            )

        found = {w.penalty.layer.temperature for w in self._drawn_weights if w.penalty is not None}
        self.temperature = found.pop() if len(found) == 1 else None

    def check_finite(self) -> None:
        """Refuses means and standard deviations that are NaN or infinite."""
        spread = self.stddev()
        bad = [
            path
            for path, mean in self.mean().items()
            if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(spread[path])))
        ]
        if bad:
            raise ValueError(
                "The posteriors of variational layers must be finite. Received: NaN or infinity "
                f"in {', '.join(bad)} of {self.model.name}. If training lost them, start again "
                "with a lower learning rate, and look for NaN in its data."
            )

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the weights."""
        return tuple(w.path for w in self._weights)

    def mean(self) -> dict[str, Any]:
        """Mean of each weight, by path."""
        return {w.path: _numpy(_mean(w)) for w in self._weights}

    def stddev(self) -> dict[str, Any]:
        """Standard deviation of each element, by path; 0 for plain weights."""
        return {
            w.path: _numpy(w.penalty.posterior.stddev())
            if w.penalty is not None
            else np.zeros(w.shape, "float32")
            for w in self._weights
        }

    def log_prob(self, position: Mapping[str, Any]) -> float:
        """Log density in nats of the weights that have a posterior; points have none."""
        position = self._checked(position)
        return sum(
            float(_numpy(_posterior(w).log_prob(position[w.path])))
            for w in self._drawn_weights
            if _is_random(w)
        )

    def draws(self, num_samples: int | None = None, seed: Any = None) -> dict[str, Any]:
        """Draws of every weight: a mapping from path to array (S, ...)."""
        number = self._num_samples(num_samples, self.default_num_samples)
        values = self._values(self._handles(number, seed))
        random = {w.path: _numpy(v) for w, v in zip(self._drawn_weights, values, strict=True)}
        return {
            w.path: random[w.path]
            if w.path in random
            else np.repeat(_numpy(_mean(w))[None], number, axis=0)
            for w in self._weights
        }

    def to_model(self, draw: int | Mapping[str, Any] | None = None) -> Any:
        """A plain Keras model at one draw, which needs no keras_priors to load.

        Args:
            draw: integer, the seed of a draw; or a mapping from path to array. Defaults to None:
                the mean.
        """
        if draw is None:
            return to_plain("to_model", self.model, lambda q: q.mean())
        position: Mapping[str, Any]
        if isinstance(draw, Mapping):
            position = self._checked(draw)
        else:
            position = {path: value[0] for path, value in self.draws(1, draw).items()}
        by_posterior = {
            id(w.penalty.posterior): position[w.path] for w in self._weights if w.penalty
        }
        plain = to_plain(
            "to_model", self.model, lambda q: ops.convert_to_tensor(by_posterior[id(q)])
        )
        pairs = zip(find_weights(self.model), find_weights(plain), strict=True)
        for old, new in pairs:
            if old.penalty is None and old.path in position:
                new.variable.assign(position[old.path])
        return plain

    @property
    def _targets(self) -> Sequence[Any]:
        return [_posterior(w) for w in self._drawn_weights]

    def _handles(self, num_samples: int, seed: Any) -> Any:
        return backend.spawn_seeds(seed, num_samples)

    def _values(self, handles: Any) -> Sequence[Any]:
        values = [ops.convert_to_tensor(v) for v in self.model.variables]
        found: Sequence[Any] = self._drawn(values, ops.convert_to_tensor(handles, dtype="uint32"))
        return found

    @cached_property
    def _drawn(self) -> Any:
        variables = list(self.model.variables)

        def draws(values: Any, seeds: Any) -> Any:
            def one(seed: Any) -> Any:
                mapping = list(zip(variables, values, strict=True))
                with keras.StatelessScope(state_mapping=mapping):
                    return [
                        _posterior(w).sample(backend.fold_in(seed, 1 + k))
                        for k, w in enumerate(self._drawn_weights)
                    ]

            return backend.map_draws(one, seeds)

        return backend.compile_function(draws)

    def _own_normal(self) -> JointNormalPrior | None:
        """That of independent normals; other families are known by draws."""
        random = [w for w in self._drawn_weights if _is_random(w)]
        if not all(isinstance(_posterior(w), MeanFieldNormal) for w in random):
            return None
        mean, stddev = self.mean(), self.stddev()
        normals = {w.path: NormalPrior(mean[w.path], stddev[w.path]) for w in random}
        return JointNormalPrior.from_parts([], normals)

    def _prior_paths(self) -> dict[str, bool]:
        random = [w for w in self._drawn_weights if _is_random(w)]
        bounded = [w.path for w in random if _posterior(w).support != "real"]
        if bounded:
            raise ValueError(
                "A joint normal prior is one over weights on the whole real line. Received: "
                f"{', '.join(bounded)} with posteriors on a part of it. Freeze that layer."
            )
        return {w.path: False for w in random}

    def _checked(self, position: Mapping[str, Any]) -> dict[str, Any]:
        shapes = {w.path: w.shape for w in self._weights}
        given = {path: tuple(np.shape(value)) for path, value in position.items()}
        if given != shapes:
            raise ValueError(
                f"A position must have one array for each weight, of the shapes {shapes}. "
                f"Received: {given}."
            )
        return {path: np.asarray(value, "float32") for path, value in position.items()}

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}  # the model holds it all

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> LayersPosterior:
        posterior = cls(model, likelihood)
        posterior.check_finite()
        return posterior

    def __repr__(self) -> str:
        scalars = sum(int(np.prod(w.shape)) for w in self._weights)
        return f"<{type(self).__name__} of {self.model.name}: {scalars} weights>"


def _posterior(weight: Weight) -> Any:
    penalty: Any = weight.penalty
    return penalty.posterior


def _is_random(weight: Weight) -> bool:
    return weight.penalty is not None and weight.penalty.posterior.support != "point"


def _mean(weight: Weight) -> Any:
    return weight.variable if weight.penalty is None else weight.penalty.posterior.mean()


def _numpy(value: Any) -> Any:
    return ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(value)))
