"""The compiled function from weights, seeds and rows to outputs, kept for each model."""

from __future__ import annotations

import weakref
from typing import Any

import keras
from keras import ops

from keras_priors import backend
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.layers.weight_draws import WeightDraws
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers

_HALF = ("float16", "bfloat16")


class Forward:
    """Outputs of one model for many draws of its weights, in one compiled function.

    The weights are arguments, so that a call after more training sees the new ones without a new
    trace. The model itself is held weakly: the cache must not keep it alive.
    """

    def __init__(self, model: Any) -> None:
        self.signature = signature_of(model)
        self.traces = 0
        self._model = weakref.ref(model)
        function = self._outputs if backend.is_traced() else self._eager
        self._function = backend.compile_function(function)

    def __call__(self, seeds: Any, x: Any) -> Any:
        """Outputs (draws, rows, ...) for seeds of shape (draws, 2) and a structure of tensors."""
        if not backend.is_traced():
            return self._function(seeds, x)
        model: Any = self._model()
        trainable = [ops.convert_to_tensor(v) for v in model.trainable_variables]
        fixed = [ops.convert_to_tensor(v) for v in model.non_trainable_variables]
        return self._function(trainable, fixed, seeds, x)

    def _eager(self, seeds: Any, x: Any) -> Any:
        """The same where nothing is traced: no scope for the weights, and one draw at a time.

        In a small net each call of PyTorch costs as much as a product of matrices: the noise of all
        weights is made by one call, and the draws of a weight by another.
        """
        self.traces = 1
        model: Any = self._model()
        posteriors = random_posteriors(model)
        if not posteriors:
            seeds = seeds[:1]
        weights = _drawn_eagerly(posteriors, seeds)
        outputs = []
        for k, seed in enumerate(seeds):
            with WeightDraws(seed, posteriors, [w[k] for w in weights]):
                outputs.append(model(x, training=False))
        return keras.tree.map_structure(lambda *ys: single(ops.stack(ys)), *outputs)

    def _outputs(self, trainable: list[Any], fixed: list[Any], seeds: Any, x: Any) -> Any:
        self.traces += 1
        model: Any = self._model()
        values = [*trainable, *fixed]
        posteriors = random_posteriors(model)
        variables = [*model.trainable_variables, *model.non_trainable_variables]

        def scope() -> Any:
            return keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))

        def one_weights(seed: Any) -> list[Any]:
            with scope(), WeightDraws(seed) as draws:
                return [ops.convert_to_tensor(draws.draw(q)) for q in posteriors]

        def one_draw(drawn: tuple[Any, list[Any]]) -> Any:
            seed, weights = drawn
            # Not `stateless_call`: it skips `__call__`, and with it the cast of the inputs and
            # the care for models whose `call` has no `training`.
            with scope(), WeightDraws(seed, posteriors if weights else [], weights):
                outputs = model(x, training=False)
            return keras.tree.map_structure(single, outputs)

        if not posteriors:
            outputs = one_draw((seeds[0], []))
            return keras.tree.map_structure(lambda y: ops.expand_dims(y, 0), outputs)
        # All weights first: XLA would fuse the noise of a bias into the sum over rows, and draw
        # it again for each of them.
        weights = backend.map_draws(one_weights, seeds)
        return backend.map_draws(one_draw, (seeds, weights))


@share
def forward_of(model: Any) -> Forward:
    """The compiled function of this model, from an earlier call where nothing has changed."""
    found = _forwards.get(model)
    if found is None or found.signature != signature_of(model):
        found = Forward(model)
        _forwards[model] = found
    return found


@share
def draws_at_seeds(model: Any, seeds: Any) -> tuple[list[Any], list[Any]]:
    """The posteriors of a model's layers, and the draws of each that `predict` takes at `seeds`.

    Args:
        model: a built `keras.Model`.
        seeds: array (S, 2), as `backend.spawn_seeds` gives them.

    Returns:
        Two lists of the same length: posteriors, and tensors (S, ...); of a point (1, ...).
    """
    random = random_posteriors(model)
    taken = {id(posterior) for posterior in random}
    points = [posterior for posterior in _posteriors(model) if id(posterior) not in taken]

    def one_draw(seed: Any) -> list[Any]:
        with WeightDraws(seed) as draws:
            return [ops.convert_to_tensor(draws.draw(q)) for q in random]

    values: list[Any] = []
    if random:
        tensor = ops.convert_to_tensor(seeds, dtype="uint32")
        if backend.is_traced():
            values = backend.compile_function(lambda each: backend.map_draws(one_draw, each))(
                tensor
            )
        else:
            values = backend.compile_function(lambda each: _drawn_eagerly(random, each))(tensor)
    return [*random, *points], [*values, *(ops.expand_dims(q.mean(), 0) for q in points)]


@share
def random_posteriors(model: Any) -> list[Any]:
    """The posteriors of the model's weights, without those that are points."""
    return [posterior for posterior in _posteriors(model) if posterior.support != "point"]


def _posteriors(model: Any) -> list[Any]:
    return [
        penalty.posterior
        for layer in all_layers(model)
        if isinstance(layer, VariationalLayer)
        for penalty in layer._kl_penalties
    ]


def _drawn_eagerly(posteriors: list[Any], seeds: Any) -> list[Any]:
    """The draws (S, ...) of each, the noise of all of them made by one call for each seed."""
    shapes = [q.noise_shape for q in posteriors]
    dtype = "float64" if any(q.dtype == "float64" for q in posteriors) else "float32"

    def draws_of(posterior: Any, noises: Any) -> Any:
        noise = ops.cast(ops.stack(noises), posterior.dtype)
        if posterior.independent:  # element by element, so that a leading axis changes nothing
            return posterior.transform(noise)
        return backend.map_draws(posterior.transform, noise)

    noises = [backend.standard_normals(shapes, seed, dtype) for seed in seeds]
    return [
        draws_of(q, noise) for q, noise in zip(posteriors, zip(*noises, strict=True), strict=True)
    ]


_forwards: weakref.WeakKeyDictionary[Any, Forward] = weakref.WeakKeyDictionary()


def signature_of(model: Any) -> tuple[Any, ...]:
    """What a trace has frozen: which variables and layers there are, and their dtypes."""
    return (
        tuple(id(v) for v in model.trainable_variables),
        tuple(id(v) for v in model.non_trainable_variables),
        tuple((id(layer), layer.dtype_policy.name) for layer in all_layers(model)),
        keras.config.floatx(),
    )


def single(y: Any) -> Any:
    """Half precision in float32."""
    # numpy has no bfloat16, and sums over draws need more than 11 bits.
    dtype = keras.backend.standardize_dtype(y.dtype)
    return ops.cast(y, "float32") if dtype in _HALF else y
