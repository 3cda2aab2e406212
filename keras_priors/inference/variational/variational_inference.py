"""Automatic variational inference: the search that all normal families share."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.method import Method
from keras_priors.inference.variational.convergence import check_convergence, rises
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.start import start_scales
from keras_priors.inference.variational.variational_posterior import VariationalPosterior
from keras_priors.utils.parameters import positive, whole_number
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

_CALLS = 50
_FIRST_STREAM = 1
_START_STREAM = 1
# Without a number of steps: those of one call, the fewest and the most of all, and the passes over
# the data before the ELBO is first looked at.
_COUNT, _FIRST_STEPS, _MOST_STEPS, _EPOCHS = 100, 1000, 40000, 10


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
    resumes = checkpoints = True

    def __init__(
        self,
        num_steps: int | None = None,
        learning_rate: float = 0.01,
        num_samples: int = 4,
        batch_size: int | None = 512,
        initial_scale: float | None = None,
    ) -> None:
        name = type(self).__name__
        if num_steps is not None:
            num_steps = whole_number(name, "num_steps", num_steps)
        self.num_steps = num_steps
        self.learning_rate = _number(name, "learning_rate", learning_rate)
        self.num_samples = whole_number(name, "num_samples", num_samples)
        if batch_size is not None:
            batch_size = whole_number(name, "batch_size", batch_size)
        self.batch_size = batch_size
        if initial_scale is not None:
            initial_scale = _number(name, "initial_scale", initial_scale)
        self.initial_scale = initial_scale

    @abstractmethod
    def _family(self, size: int) -> Any:
        """The unbuilt member of `keras_priors.posteriors` for a vector of that size."""

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> VariationalPosterior:
        positions = log_posterior.positions
        start = positions.unconstrain(positions.current())
        family = NormalFamily(self._family(log_posterior.size), log_posterior.size, start)
        earlier: list[Any] = []
        if resume is not None:
            family.assign(_earlier(resume, family))
            earlier.append(resume.elbo)
        elif self.initial_scale is None:
            family.spread(start_scales(log_posterior, start, backend.fold_in(seed, _START_STREAM)))
        trace = _Trace(type(self).__name__, self.num_steps, log_posterior, self.batch_size)
        values = self._search(log_posterior, family, seed, verbose, trace)
        if not trace.interrupted:
            check_convergence(trace.owner, trace.elbo, log_posterior.size, self.learning_rate)
        family.assign(dict(zip(family.names, values, strict=True)))
        return VariationalPosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            family.posterior,
            family.arrays(),
            elbo=np.concatenate([*earlier, trace.elbo]),
            observations=log_posterior.observations,
        )

    def _search(
        self,
        log_posterior: LogPosterior,
        family: NormalFamily,
        seed: Any,
        verbose: Any,
        trace: _Trace,
    ) -> list[Any]:
        """The values of the family's variables; the ELBOs of the steps are put into `trace`."""
        rows, batch = log_posterior.num_rows, trace.batch
        groups = self._groups(batch, log_posterior.size)
        batch = trace.batch = batch // groups * groups
        optimizer = self._optimizer(family)
        units = family.units(family.stddev())
        step = self._step_of(log_posterior, family, optimizer, rows / batch, groups)
        fixed = log_posterior.outputs.fixed()
        data = _all_rows(log_posterior)

        def run(state: Any, fixed: Any, data: Any, units: Any, elements: Any) -> Any:
            return backend.scan(
                lambda s, e: step(s, fixed, data, units, e), lambda s: s[-1], state, elements
            )

        compiled = backend.compile_function(run)
        values, moments = (
            [ops.convert_to_tensor(v) for v in part]
            for part in (family.variables, optimizer.variables)
        )
        state = (values, moments, ops.zeros((), "float32"))
        seeds = backend.spawn_seeds(seed, trace.most + trace.count + _FIRST_STREAM)
        order = _Order(rows, batch, seeds[0], always=groups > 1)
        progress = Progress(trace.calls, verbose)
        journal = current()

        def calls(state: Any, elements: Any) -> tuple[Any, Any]:
            new, elbo = compiled(state, fixed, data, units, elements)
            return new, {"elbo": ops.convert_to_numpy(elbo)}

        try:
            while trace.goes_on():
                part = slice(len(trace), len(trace) + trace.count)
                rates = self.learning_rate * trace.rates()
                elements = (
                    ops.convert_to_tensor(seeds[_FIRST_STREAM:][part], dtype="uint32"),
                    ops.convert_to_tensor(order.take(trace.count)),
                    ops.convert_to_tensor(rates.astype("float32")),
                )
                new, found = journal.step("steps", partial(calls, state, elements), state)
                # A step that only fills up the last call has the rate 0.
                elbo = found["elbo"][: trace.real]
                if not np.all(np.isfinite(elbo)) or not _all_finite(new[0]):
                    self._refuse(
                        log_posterior, len(trace) + int(np.argmin(np.isfinite(elbo))), elbo
                    )
                state = new
                trace.add(elbo)
                progress.step()
            state = journal.end("steps", state)
        except KeyboardInterrupt:
            journal.stop()
            if not len(trace):
                raise
            trace.interrupted = True
            warn(
                f"{type(self).__name__} was interrupted after {len(trace)} of "
                f"{'at most ' * (self.num_steps is None)}{trace.most} steps; "
                "this is what it had found. Go on by `fit(..., resume=posterior)`.",
            )
        progress.close()
        return list(state[0])

    def _groups(self, batch: int, size: int) -> int:
        """How many groups the rows of a batch are dealt to, each with draws of its own."""
        return 1

    def _optimizer(self, family: NormalFamily) -> Any:
        """What moves the family's variables; its own `variables` are carried along."""
        # Rates are given step by step: one program serves any number of them.
        optimizer = backend.stateless(keras.optimizers.Adam(1.0))
        optimizer.build(family.variables)
        return optimizer

    def _step_of(
        self,
        log_posterior: LogPosterior,
        family: NormalFamily,
        optimizer: Any,
        scale: float,
        groups: int = 1,
    ) -> Any:
        """A pure function: one step of the optimizer on the ELBO of one batch of rows."""
        draws = groups * self.num_samples

        def log_probs(z: Any, fixed: Any, batch: Any) -> Any:
            """Estimates (draws,) of the log posterior, each from the rows of its group."""
            factor = ops.convert_to_tensor(groups * scale, dtype="float32")
            if groups == 1:
                return backend.vectorize(
                    lambda each: log_posterior.batch_log_prob(each, fixed, batch, factor)
                )(z)
            dealt = keras.tree.map_structure(lambda leaf: _dealt(leaf, groups, draws), batch)
            return backend.vectorize(
                lambda each: log_posterior.batch_log_prob(each[0], fixed, each[1], factor)
            )((z, dealt))

        def loss(values: Any, noise: Any, fixed: Any, batch: Any) -> Any:
            z = family.draws(values, noise)
            log_prob = log_probs(z, fixed, batch)
            # Not the entropy, whose gradient is known: without the part of the gradient that has
            # the mean 0, it vanishes with its noise where q is the posterior. The value and the
            # slope of log q are those of the noise, to all digits.
            still = [ops.stop_gradient(v) for v in values]
            log_q, slope = (ops.stop_gradient(v) for v in family.density_of_draws(still, noise))
            path = ops.sum(slope * (z - ops.stop_gradient(z)), axis=1)
            return -ops.mean(log_prob - log_q - path)

        @backend.recorded
        def descend(values: Any, noise: Any, fixed: Any, data: Any, indices: Any) -> Any:
            batch = keras.tree.map_structure(lambda leaf: ops.take(leaf, indices, axis=0), data)
            return backend.value_and_gradient(loss)(values, noise, fixed, batch)

        def step(state: Any, fixed: Any, data: Any, units: Any, element: Any) -> Any:
            values, moments, _ = state
            seed, indices, rate = element
            value, slopes = descend(values, family.noise(seed, draws), fixed, data, indices)
            moved, moments = optimizer.stateless_apply(moments, slopes, values)
            each = zip(values, units, moved, strict=True)
            values = [v + rate * unit * (m - v) for v, unit, m in each]
            return values, list(moments), -value

        return step

    def _refuse(self, log_posterior: LogPosterior, step: int, elbo: Any) -> None:
        raise ValueError(
            f"The ELBO of {type(self).__name__} must stay finite. Received: {elbo[-1]} nats, first "
            f"at step {step + 1}, for {log_posterior.model.name}. Start at trained weights, lower "
            f"`learning_rate` (now {self.learning_rate:g}) or `initial_scale` (now "
            f"{self.initial_scale}), and look for inputs and targets that are NaN, huge, or "
            "outside the support of the likelihood."
        )


class _Trace:
    """The ELBOs of the steps, and from them how many are to come, at which rates.

    A given number of steps has rates that fall to 0 along a cosine. Else the rate stays until the
    ELBO no longer rises over the last third, looked at whenever the steps have doubled; then it
    falls to 0 over as many, and again from the first one while the ELBO rises: from lower ones a
    mean creeps along a narrow valley, and a trace that looks flat is still nats below its end.
    """

    def __init__(
        self, owner: str, num_steps: int | None, log_posterior: LogPosterior, batch_size: int | None
    ) -> None:
        rows = log_posterior.num_rows
        self.owner, self.interrupted = owner, False
        self.batch = rows if batch_size is None else min(batch_size, rows)
        self._size, self._parts = log_posterior.size, [np.zeros(0, "float32")]
        self._given = num_steps is not None
        first = min(max(_FIRST_STEPS, _EPOCHS * -(-rows // self.batch)), _MOST_STEPS // 4)
        self.most = _MOST_STEPS if num_steps is None else num_steps
        self.count = _COUNT if num_steps is None else -(-num_steps // _CALLS)
        self.calls = None if num_steps is None else -(-num_steps // self.count)
        first = -(-first // _COUNT) * _COUNT
        self._hold, self._end = (0, num_steps) if num_steps is not None else (first, 2 * first)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    @property
    def elbo(self) -> Any:
        """The ELBO of each step, nats."""
        return np.concatenate(self._parts)

    @property
    def real(self) -> int:
        """How many steps of the next call are not there only to fill it up."""
        return min(self.count, self._end - len(self))

    def add(self, elbo: Any) -> None:
        """Those of one more call."""
        self._parts.append(elbo)

    def goes_on(self) -> bool:
        """Whether there is another call."""
        done = len(self)
        if self._given or done not in (self._hold, self._end) or not rises(self.elbo, self._size):
            return done < self._end
        if done == self._hold and 4 * done <= self.most:
            self._hold, self._end = 2 * done, 4 * done
        elif done == self._end and 2 * done <= self.most:
            self._hold, self._end = done - 1, 2 * done
        return done < self._end

    def rates(self) -> Any:
        """The rates (count,) of the next call, as parts of the first."""
        step = len(self) + np.arange(self.count)
        fallen = np.clip((step - self._hold) / (self._end - self._hold), 0.0, 1.0)
        return 0.5 * (1.0 + np.cos(np.pi * fallen))


class _Order:
    """Rows of batches: all rows in a fresh order, again and again, a rest too small left out."""

    def __init__(self, rows: int, batch: int, seed: Any, *, always: bool) -> None:
        self._random = np.random.default_rng(seed)
        self._rows, self._batch, self._always = rows, batch, always
        self._left = np.zeros((0, batch), "int32")

    def take(self, count: int) -> Any:
        """Indices (count, batch)."""
        parts, have = [self._left], len(self._left)
        while have < count:
            each = self._rows // self._batch
            whole = np.arange(self._rows)
            # A sum over all rows has no order, unless they are dealt to groups.
            fresh = self._always or self._rows != self._batch
            order = self._random.permutation(whole) if fresh else whole
            parts.append(order[: each * self._batch].reshape(each, self._batch).astype("int32"))
            have += each
        joined = np.concatenate(parts)
        self._left = joined[count:]
        return joined[:count]


def _dealt(rows: Any, groups: int, draws: int) -> Any:
    """Rows (n, ...) as (draws, n / groups, ...): draw k has those of group k modulo `groups`."""
    parts = ops.reshape(rows, (groups, -1, *rows.shape[1:]))
    return ops.take(parts, np.arange(draws) % groups, axis=0)


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
