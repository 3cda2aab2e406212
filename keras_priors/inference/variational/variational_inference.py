"""Automatic variational inference: the search that all normal families share."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.method import Method
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.variational_posterior import VariationalPosterior
from keras_priors.utils.parameters import positive, whole_number
from keras_priors.utils.progress import Progress

_CALLS = 50
_FIRST_STREAM = 1


class VariationalInference(Method):
    """The search for the q(z) of one family with the highest ELBO. Abstract.

    Arguments and defaults are those of its subclasses.
    """

    _parameters: tuple[str, ...] = (
        "num_steps",
        "learning_rate",
        "num_samples",
        "batch_size",
        "initial_scale",
    )
    _resumes = True

    def __init__(
        self,
        num_steps: int = 5000,
        learning_rate: float = 0.01,
        num_samples: int = 4,
        batch_size: int | None = 512,
        initial_scale: float = 0.05,
    ) -> None:
        name = type(self).__name__
        self.num_steps = whole_number(name, "num_steps", num_steps)
        self.learning_rate = _number(name, "learning_rate", learning_rate)
        self.num_samples = whole_number(name, "num_samples", num_samples)
        if batch_size is not None:
            batch_size = whole_number(name, "batch_size", batch_size)
        self.batch_size = batch_size
        self.initial_scale = _number(name, "initial_scale", initial_scale)

    @abstractmethod
    def _family(self, size: int) -> Any:
        """The unbuilt member of `keras_priors.posteriors` for a vector of that size."""

    def _fit(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> VariationalPosterior:
        positions = log_posterior.positions
        start = positions.unconstrain(positions.current())
        family = NormalFamily(self._family(log_posterior.size), log_posterior.size, start)
        trace: list[Any] = []
        if resume is not None:
            family.assign(_earlier(resume, family))
            trace.append(resume.elbo)
        values = self._search(log_posterior, family, seed, verbose, trace)
        family.assign(dict(zip(family.names, values, strict=True)))
        return VariationalPosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            family.posterior,
            family.arrays(),
            elbo=np.concatenate(trace),
            observations=log_posterior.observations,
        )

    def _search(
        self,
        log_posterior: LogPosterior,
        family: NormalFamily,
        seed: Any,
        verbose: Any,
        trace: list[Any],
    ) -> list[Any]:
        """The values of the family's variables; the ELBOs of the steps are put into `trace`."""
        rows = log_posterior.num_rows
        batch = rows if self.batch_size is None else min(self.batch_size, rows)
        count = -(-self.num_steps // _CALLS)
        calls = -(-self.num_steps // count)
        # A step that only fills up the last call has the rate 0: one program serves all calls.
        schedule = keras.optimizers.schedules.CosineDecay(self.learning_rate, self.num_steps)
        optimizer = backend.stateless(keras.optimizers.Adam(schedule))
        optimizer.build(family.variables)
        step = self._step_of(log_posterior, family, optimizer, rows / batch)
        fixed = log_posterior.outputs.fixed()
        data = _all_rows(log_posterior)

        def run(state: Any, fixed: Any, data: Any, elements: Any) -> Any:
            return backend.scan(
                lambda s, e: step(s, fixed, data, e), lambda s: s[-1], state, elements
            )

        compiled = backend.compile_function(run)
        values, moments = (
            [ops.convert_to_tensor(v) for v in part]
            for part in (family.variables, optimizer.variables)
        )
        state = (values, moments, ops.zeros((), "float32"))
        seeds = backend.spawn_seeds(seed, count * calls + _FIRST_STREAM)
        order = _Order(rows, batch, seeds[0])
        progress = Progress(calls, verbose)
        done = 0
        try:
            for call in range(calls):
                part = slice(call * count, (call + 1) * count)
                real = min(count, self.num_steps - done)
                elements = (
                    ops.convert_to_tensor(seeds[_FIRST_STREAM:][part], dtype="uint32"),
                    ops.convert_to_tensor(order.take(count)),
                )
                new, elbo = compiled(state, fixed, data, elements)
                elbo = ops.convert_to_numpy(elbo)[:real]
                if not np.all(np.isfinite(elbo)) or not _all_finite(new[0]):
                    self._refuse(log_posterior, done + int(np.argmin(np.isfinite(elbo))), elbo)
                state, done = new, done + real
                trace.append(elbo)
                progress.step()
        except KeyboardInterrupt:
            if not done:
                raise
            warnings.warn(
                f"{type(self).__name__} was interrupted after {done} of {self.num_steps} steps; "
                "this is what it had found. Go on by `fit(..., resume=posterior)`.",
                UserWarning,
                stacklevel=5,
            )
        progress.close()
        return list(state[0])

    def _step_of(
        self, log_posterior: LogPosterior, family: NormalFamily, optimizer: Any, scale: float
    ) -> Any:
        """A pure function: one step of the optimizer on the ELBO of one batch of rows."""
        num_samples = self.num_samples

        def loss(values: Any, noise: Any, fixed: Any, batch: Any) -> Any:
            z = family.draws(values, noise)
            factor = ops.convert_to_tensor(scale, dtype="float32")
            log_prob = backend.vectorize(
                lambda each: log_posterior.batch_log_prob(each, fixed, batch, factor)
            )(z)
            # Not the entropy, whose gradient is known: without the part of the gradient that has
            # the mean 0, it vanishes with its noise where q is the posterior.
            still = [ops.stop_gradient(v) for v in values]
            return -ops.mean(log_prob - family.log_prob(still, z))

        descend = backend.value_and_gradient(loss)

        def step(state: Any, fixed: Any, data: Any, element: Any) -> Any:
            values, moments, _ = state
            seed, indices = element
            batch = keras.tree.map_structure(lambda leaf: ops.take(leaf, indices, axis=0), data)
            value, slopes = descend(values, family.noise(seed, num_samples), fixed, batch)
            values, moments = optimizer.stateless_apply(moments, slopes, values)
            return list(values), list(moments), -value

        return step

    def _refuse(self, log_posterior: LogPosterior, step: int, elbo: Any) -> None:
        raise ValueError(
            f"The ELBO of {type(self).__name__} must stay finite. Received: {elbo[-1]} nats, first "
            f"at step {step + 1} of {self.num_steps}, for {log_posterior.model.name}. Start at "
            "trained weights, lower `learning_rate` "
            f"(now {self.learning_rate:g}) or `initial_scale` (now {self.initial_scale:g}), and "
            "look for inputs and targets that are NaN, huge, or outside the support of the "
            "likelihood."
        )


class _Order:
    """Rows of batches: all rows in a fresh order, again and again, a rest too small left out."""

    def __init__(self, rows: int, batch: int, seed: Any) -> None:
        self._random = np.random.default_rng(seed)
        self._rows, self._batch = rows, batch
        self._left = np.zeros((0, batch), "int32")

    def take(self, count: int) -> Any:
        """Indices (count, batch)."""
        parts, have = [self._left], len(self._left)
        while have < count:
            each = self._rows // self._batch
            whole = np.arange(self._rows)
            order = whole if each * self._batch == self._rows == self._batch else None
            order = self._random.permutation(whole) if order is None else order
            parts.append(order[: each * self._batch].reshape(each, self._batch).astype("int32"))
            have += each
        joined = np.concatenate(parts)
        self._left = joined[count:]
        return joined[:count]


def _all_rows(log_posterior: LogPosterior) -> Any:
    data = log_posterior.observations
    return keras.tree.map_structure(ops.convert_to_tensor, (data.x, data.y, data.weight))


def _all_finite(values: Any) -> bool:
    return all(bool(ops.all(ops.isfinite(v))) for v in values)


def _earlier(resume: Any, family: NormalFamily) -> Any:
    if not isinstance(resume, VariationalPosterior):
        raise TypeError(
            "`resume` must be a posterior that this method gave. Received: "
            f"resume={resume!r}. Leave it out to start anew."
        )
    arrays = resume.parameters
    shapes = {name: tuple(v.shape) for name, v in arrays.items()}
    wanted = {name: tuple(v.shape) for name, v in family.arrays().items()}
    if shapes != wanted:
        raise ValueError(
            "`resume` must be of the same family, for a model with as many weights. Received: "
            f"parameters of the shapes {shapes} in place of {wanted}. Leave it out to start anew."
        )
    return arrays


def _number(owner: str, name: str, value: Any) -> float:
    number = positive(owner, name, value)
    if np.ndim(number):
        raise ValueError(f"`{name}` of {owner} must be one number. Received: {name}={value!r}.")
    return float(number)
