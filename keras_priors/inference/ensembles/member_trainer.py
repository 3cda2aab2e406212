"""A model that becomes each member of an ensemble in turn."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_priors import backend
from keras_priors.functional.carry_priors import carry_priors
from keras_priors.functional.clone import clone, copy_variables, is_cloneable, own
from keras_priors.functional.copy_of import copy_of
from keras_priors.functional.positions import Positions
from keras_priors.inference.ensembles.member_batches import MemberBatches
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.models.set_num_data import set_num_data
from keras_priors.utils.keras_internals import all_layers, seed_generators, set_first_seed

# Of each part of the steps the loss is known. More would cost more than they show; steps without a
# divisor between these go epoch by epoch, whatever that costs.
_FEWEST_PARTS, _MOST_PARTS = 12, 200


class MemberTrainer:
    """Trains one member after the other by plain Keras `fit`. Final.

    All are one copy of the model, so that its training step is compiled once: each begins with all
    variables of model and optimizer put back. Where that cannot be known to be all that a member
    leaves behind, because callbacks from elsewhere see the model, the next has a copy of its own.

    Args:
        log_posterior: model and data.
        optimizer: its config, as Keras serializes it.
        start: as in `DeepEnsemble`.
    """

    def __init__(self, log_posterior: LogPosterior, optimizer: Any, start: str) -> None:
        self._log_posterior, self._config, self._start = log_posterior, optimizer, start
        self._model: Any = None
        self._fresh: list[Any] = []  # values of the variables of an optimizer that is new

    def __call__(
        self, words: list[int], count: int, epochs: int, size: int, callbacks: Any, validation: Any
    ) -> tuple[Any, list[float]]:
        """The trained model, good until the next, and the mean loss of each part of training.

        Args:
            words: the seed of this member.
            count: how many rows train, the first ones.
            epochs: how many.
            size: rows of a batch.
            callbacks: list of Keras callbacks.
            validation: as Keras takes it, or None.
        """
        observations = self._log_posterior.observations
        member = self._model
        if member is None:
            member = self._copy(count)
        else:
            self._put_back(member)
        self._begin(member, words)
        # What is done at the end of an epoch is seen by callbacks and validation alone.
        seen = callbacks or validation is not None or type(member).fit is not keras.Model.fit
        steps = -(-count // min(size, count))
        parts = epochs if seen else _parts(epochs, steps)
        batches = MemberBatches(observations, size, words, count, epochs * steps // parts)
        history = member.fit(
            batches,
            epochs=parts,
            verbose=0,
            shuffle=False,
            callbacks=[*batches.callbacks, *callbacks],
            validation_data=validation,
            validation_batch_size=None if validation is None else size,
        )
        # A `fit` of the user's own may give anything.
        known = isinstance(history, keras.callbacks.History)
        losses = history.history.get("loss", []) if known else []
        self._model = member if all(map(_is_known, callbacks)) else None
        return member, [float(loss) for loss in losses]

    def _copy(self, count: int) -> Any:
        """One that has done nothing yet, compiled."""
        old, x = self._log_posterior.model, self._log_posterior.observations.x
        if is_cloneable(old):
            member, _ = clone(old, lambda layer: None, compiled=False)
        else:
            member = copy_of("DeepEnsemble", old)
        copy_variables(old, member)
        carry_priors(old, member)
        optimizer = keras.saving.deserialize_keras_object(self._config)
        member.compile(optimizer=optimizer, loss=self._log_posterior.likelihoods.structure)
        positions = Positions(member)
        if len(positions.without_prior()) < len(positions.paths):
            set_num_data(member, keras.tree.map_structure(lambda v: v[:count], x))
        # Not `optimizer`, which Keras wraps in half precision.
        member.optimizer.build(member.trainable_variables)
        self._fresh = [own(variable) for variable in member.optimizer.variables]
        return member

    def _put_back(self, member: Any) -> None:
        copy_variables(self._log_posterior.model, member)
        for variable, value in zip(member.optimizer.variables, self._fresh, strict=True):
            variable.assign(own(value))

    def _begin(self, member: Any, words: list[int]) -> None:
        """Seeds and weights."""
        generators = [g for layer in all_layers(member) for g in seed_generators(layer)]
        seeds = iter(backend.spawn_seeds(words, len(generators) + len(member.variables)))
        for generator in generators:
            state = next(seeds)
            generator.state.assign(ops.convert_to_tensor(state, dtype=generator.state.dtype))
            set_first_seed(generator, int(state[0]))
        positions = Positions(member)
        words_of = [next(seeds) for _ in positions.weights]
        together: dict[int, Any] = {}
        for joint in positions.joint if self._start == "prior" else ():
            drawn = joint.draws(1, words_of[joint.indices[0]])
            together |= dict(zip(joint.indices, drawn, strict=True))
        for k, weight in enumerate(positions.weights):
            if k in together:
                weight.variable.assign(together[k][0])
            else:
                begin_at(self._start, weight, words_of[k])


def _parts(epochs: int, steps: int) -> int:
    """Into how many parts of equal length so many steps each epoch go, as few as show a trend."""
    found = (k for k in range(_FEWEST_PARTS, _MOST_PARTS) if epochs * steps % k == 0)
    return next(found, epochs)


def begin_at(start: str, weight: Any, words: Any) -> None:
    """The value with which a weight of a member begins.

    Args:
        start: as in `DeepEnsemble`.
        weight: one of `Positions`.
        words: the seed, two integers.
    """
    if start == "model":
        return
    if weight.prior is not None and start == "prior":
        seed = ops.convert_to_tensor(words, dtype="uint32")
        weight.variable.assign(weight.prior.sample(weight.shape, seed))
        return
    value = initial_value(weight, int(words[0] % 2**31))
    if value is not None:
        weight.variable.assign(value)


def initial_value(weight: Any, seed: int) -> Any:
    """A draw from the initializer that the layer has for a weight, or None where it has none."""
    arguments, name = vars(weight.owner), weight.variable.name
    # Keras calls that of `recurrent_kernel` `recurrent_initializer`.
    initializer = arguments.get(f"{name}_initializer") or arguments.get(
        f"{name.removesuffix('_kernel')}_initializer"
    )
    if not isinstance(initializer, keras.initializers.Initializer):
        return None
    config = initializer.get_config()
    if "seed" in config:
        config["seed"] = seed
    value = type(initializer).from_config(config)(weight.shape)
    if name == "bias" and arguments.get("unit_forget_bias"):
        # An LSTM begins with ones for the forget gate, beside its initializer.
        gates = ops.convert_to_numpy(value).copy()
        gates[weight.owner.units : 2 * weight.owner.units] = 1.0
        value = gates
    return value


def _is_known(callback: Any) -> bool:
    """Whether it changes nothing but variables: those of Keras and ours, not functions in them."""
    ours = type(callback).__module__.split(".")[0] in ("keras", "keras_priors")
    return ours and not isinstance(callback, keras.callbacks.LambdaCallback)
