"""What SGLD and SGHMC share: chains of noisy minibatch steps in one compiled loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.check_mixing import check_mixing
from keras_priors.inference.check_noise import check_noise
from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import not_finite
from keras_priors.inference.method import Method
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.sgmcmc.noisy_step import (
    DECAY,
    guarded,
    metric_of,
    moved_square,
    noisy_move,
)
from keras_priors.inference.sgmcmc.step_plan import StepPlan, rows_of
from keras_priors.inference.weights_at import weights_at
from keras_priors.models.sample_prior import sample_prior
from keras_priors.utils.parameters import number_between, whole_number
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

SCHEDULES = ("constant", "polynomial", "cyclical")
# Steps of one call of the compiled loop, and bytes of the draws and row numbers it takes.
_STEPS, _BYTES = 512, 2**26
# What a chain goes on from.
_STATE = ("position", "momentum", "second_moment", "recent_second_moment")
# Of the arrays (steps, thinning, ...) that steps take, where chains are.
_ELEMENTS = dict.fromkeys(("rate", "noise", "adapt", "active", "seed"), "") | {"rows": "..c"}
# Where predictions of chains are doubtful. Steps of this size are biased by some percent anyway, so
# that less is asked than of NUTS: means to a tenth of a standard deviation, and the R-hat that so
# many draws reach where all is well.
_R_HAT, _ESS = 1.05, 100.0
_ADVICE = (
    "Go on by `fit(..., resume=posterior)`, or give more `num_burnin` and a larger `thinning` "
    "(steps between draws); a larger `learning_rate` moves faster and is more biased. See "
    "`diagnose`."
)


class StochasticGradientMethod(Method):
    """Minibatch MCMC with momentum, which may be 0. Abstract.

        v = momentum * v - rate * G g + sqrt(2 (1 - momentum) rate * G / N) * N(0, 1)
        z = z + v

    g is the gradient of the negative log posterior per observation, by one batch; G is 1, or fixed
    after burn-in from the running second moment of g, and in batches of a part of the rows less
    than that where g has grown since: see `guarded`.
    """

    resumes = checkpoints = True
    _expands = True
    _kept_on_resume = ("learning_rate", "batch_size", "preconditioner", "schedule", "momentum")
    _parameters: tuple[str, ...] = (
        "learning_rate",
        "batch_size",
        "num_burnin",
        "num_samples",
        "thinning",
        "num_chains",
        "preconditioner",
        "schedule",
        "num_cycles",
        "exploration",
        "decay",
        "start",
    )

    def __init__(
        self,
        learning_rate: float,
        batch_size: int,
        num_burnin: int,
        num_samples: int,
        thinning: int,
        num_chains: int,
        preconditioner: str | None,
        schedule: str,
        num_cycles: int,
        exploration: float,
        decay: float,
        start: str,
    ) -> None:
        owner = type(self).__name__
        self.learning_rate = number_between(owner, "learning_rate", learning_rate, 0.0, math.inf)
        self.batch_size = whole_number(owner, "batch_size", batch_size)
        self.num_burnin = (
            num_burnin if num_burnin == 0 else whole_number(owner, "num_burnin", num_burnin)
        )
        self.num_samples = whole_number(owner, "num_samples", num_samples)
        self.thinning = whole_number(owner, "thinning", thinning)
        self.num_chains = whole_number(owner, "num_chains", num_chains)
        self.preconditioner = _one_of(owner, "preconditioner", preconditioner, (None, "rmsprop"))
        self.schedule = _one_of(owner, "schedule", schedule, SCHEDULES)
        self.num_cycles = whole_number(owner, "num_cycles", num_cycles)
        self.exploration = number_between(owner, "exploration", exploration, 0.0, 1.0)
        self.decay = number_between(owner, "decay", decay, 0.0, 1.0, include_high=True)
        self.start = _one_of(owner, "start", start, ("model", "prior"))
        self.momentum = 0.0
        if schedule == "cyclical" and self.num_samples % self.num_cycles:
            raise ValueError(
                f"`num_samples` of {owner} must be a multiple of `num_cycles`: each cycle keeps "
                f"as many draws. Received: num_samples={num_samples}, num_cycles={num_cycles}."
            )
        if preconditioner is not None and self.num_burnin == 0:
            raise ValueError(
                f"The preconditioner of {owner} is learned in burn-in and kept fixed after it. "
                "Received: num_burnin=0. Give some hundred steps of burn-in, or "
                "preconditioner=None."
            )

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> SamplePosterior:
        words = [int(w) for w in ops.convert_to_numpy(seed)]
        if resume is None:
            state, done = self._begin(log_posterior, words), 0
        else:
            state, words, done = self._continue(log_posterior, resume)
        plan = StepPlan(self, done)
        state, draws, rates, steps = self._run(log_posterior, plan, state, words, done, verbose)
        values = weights_at(log_posterior.positions, draws)
        if resume is not None:
            old = [resume._stored[k] for k in range(len(values))]
            values = [np.concatenate(pair, axis=1) for pair in zip(old, values, strict=True)]
            rates = np.concatenate([resume.sample_stats["step_size"], rates], axis=1)
        continuation = {
            name: ops.convert_to_numpy(v) for name, v in zip(_STATE, state, strict=True)
        }
        continuation |= {"seed": np.array(words, "uint32"), "steps": np.array(steps)}
        posterior = SamplePosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            values,
            sample_stats={"step_size": rates},
            continuation=continuation,
            observations=log_posterior.observations,
        )
        check_noise(type(self).__name__, posterior)
        check_mixing(type(self).__name__, posterior, _R_HAT, _ESS, _ADVICE)
        return posterior

    def _begin(self, log_posterior: LogPosterior, words: list[int]) -> tuple[Any, ...]:
        positions = log_posterior.positions
        if self.start == "prior":
            drawn = sample_prior(log_posterior.model, self.num_chains, _integer(words))
            starts = [
                positions.unconstrain(
                    positions.with_scales(
                        [drawn[path][c] for path in positions.paths[: positions.shown]]
                    )
                )
                for c in range(self.num_chains)
            ]
        else:
            starts = [positions.unconstrain(positions.current())] * self.num_chains
        z = ops.stack(starts)
        return z, *(ops.zeros_like(z) for _ in _STATE[1:])

    def _continue(self, log_posterior: LogPosterior, resume: Any) -> tuple[Any, list[int], int]:
        shape = (self.num_chains, log_posterior.size)
        saved = resume.continuation if isinstance(resume, SamplePosterior) else {}
        if "second_moment" not in saved or saved["position"].shape != shape:
            raise ValueError(
                f"{type(self).__name__} goes on from a posterior that it gave for the same model "
                f"with the same `num_chains`, here {self.num_chains}. Received: resume={resume!r}."
            )
        # Saved by version 0.1: without recent gradients.
        saved = {"recent_second_moment": saved["second_moment"], **saved}
        state = tuple(ops.convert_to_tensor(saved[name]) for name in _STATE)
        return state, [int(w) for w in saved["seed"]], int(saved["steps"])

    def _run(
        self,
        log_posterior: LogPosterior,
        plan: StepPlan,
        state: Any,
        words: list[int],
        done: int,
        verbose: Any,
    ) -> tuple[Any, Any, Any, int]:
        """(state, draws (chains, kept, D), rates (chains, kept), steps done)."""
        size = min(self.batch_size, log_posterior.num_rows)
        each = self.num_chains * 4 * (log_posterior.size + size * plan.width)
        rows = max(1, min(_STEPS // plan.width, _BYTES // each, len(plan.keep)))
        observations = log_posterior.observations
        # A batch is too small to be shared: devices share chains alone, and each has all rows.
        layout = backend.chain_layout(self.num_chains, most_rows=1)
        fixed, everything = backend.place(
            (log_posterior.data[0], observations.batch(slice(None))), "", layout
        )
        advance = backend.compile_over_chains(
            self.advance(log_posterior, size), ("c", _ELEMENTS, "", ""), ("c", ".c"), layout
        )
        draws, rates = [], []
        journal = current()

        def chunk(state: Any, elements: Any, kept: Any) -> tuple[Any, Any]:
            tensors = {k: ops.convert_to_tensor(v) for k, v in elements.items()}
            new, found = advance(state, tensors, fixed, everything)
            return new, {"draws": ops.convert_to_numpy(found)[: len(kept)][kept]}

        progress = Progress(-(-len(plan.keep) // rows), verbose)
        try:
            for first in range(0, len(plan.keep), rows):
                keep, elements, taken = plan.chunk(first, rows)
                elements |= rows_of(observations.count, size, self.num_chains, words, done, taken)
                new, found = journal.step("chains", partial(chunk, state, elements, keep), state)
                if not bool(ops.all(ops.isfinite(new[0]))):
                    raise ValueError(self._diverged(log_posterior, done))
                state, done = new, done + int(elements["active"].sum())
                draws.append(found["draws"])
                rates.append(elements["rate"][: len(keep), -1][keep])
                progress.step()
            state = journal.end("chains", state)
        except KeyboardInterrupt:
            journal.stop()
            if not sum(map(len, draws)):
                raise
            warn(
                f"{type(self).__name__} was interrupted: there are {sum(map(len, draws))} of "
                f"{self.num_samples} draws. Go on by `fit(..., resume=posterior)`.",
            )
        progress.close()
        kept = np.concatenate(draws).swapaxes(0, 1)
        rate = np.broadcast_to(np.concatenate(rates), kept.shape[:2])
        return state, kept, rate, done

    def advance(self, log_posterior: LogPosterior, size: int) -> Callable[..., Any]:
        """A pure function of (state, elements, fixed, data): many steps, and z after each row."""
        count = log_posterior.num_rows
        scale = ops.convert_to_tensor(count / size, dtype="float32")
        whitened = self.preconditioner is not None
        # A learning rate is that of SGD on the loss at any T: T is in the noise, not the gradient.
        warmth = log_posterior.temperature

        @backend.recorded
        def moved(state: Any, element: Any, noise: Any, fixed: Any, data: Any) -> Any:
            slope = backend.value_and_gradient(
                lambda z, batch: log_posterior.batch_log_prob(z, fixed, batch, scale)
            )
            slopes = backend.vectorize(lambda each: slope(*each)[1])
            z, v, s, recent = state
            batch = keras.tree.map_structure(
                lambda leaf: ops.take(leaf, element["rows"], axis=0), data
            )
            g = -warmth * slopes((z, batch)) / count
            rate, active = element["rate"], element["active"]
            s = moved_square(s, g, element["adapt"])
            follow = ops.maximum(element["adapt"], (1 - DECAY) * active)
            recent = moved_square(recent, g, follow)
            square = guarded(s, recent) if size < count else s
            move = noisy_move(
                g,
                noise,
                metric_of(square) if whitened else ops.ones_like(s),
                rate,
                num_data=count,
                momentum=self.momentum,
                velocity=v,
                temperature=warmth * element["noise"],
            )
            v = (1.0 - active) * v + active * move
            return z + active * v, v, s, recent

        def run(state: Any, elements: Any, fixed: Any, data: Any) -> Any:
            def step(state: Any, element: Any) -> Any:
                noise = backend.chain_normals(tuple(state[0].shape), element["seed"])
                return moved(state, element, noise, fixed, data)

            return backend.scan(
                lambda state, row: backend.fold(step, state, row),
                lambda state: state[0],
                state,
                elements,
            )

        return run

    def _diverged(self, log_posterior: LogPosterior, done: int) -> str:
        start = log_posterior()
        if not math.isfinite(start):
            return not_finite(start, log_posterior)
        return (
            f"{type(self).__name__} left the finite numbers between its steps {done} and "
            f"{done + _STEPS}: the step is too large for this posterior. Received: learning_rate="
            f"{self.learning_rate}. Lower it (by 10), train the model by `fit` first, or use "
            'preconditioner="rmsprop".'
        )


def descent(
    log_posterior: LogPosterior, size: int, rate: float, momentum: float
) -> Callable[..., Any]:
    """A pure function of (state, row numbers (steps, size), fixed, data): SGD without noise."""
    count = log_posterior.num_rows
    scale = ops.convert_to_tensor(count / size, dtype="float32")

    @backend.recorded
    def step(state: Any, rows: Any, fixed: Any, data: Any) -> Any:
        slope = backend.value_and_gradient(
            lambda z, batch: log_posterior.batch_log_prob(z, fixed, batch, scale)
        )
        z, v = state
        batch = keras.tree.map_structure(lambda leaf: ops.take(leaf, rows, axis=0), data)
        v = momentum * v + rate / count * slope(z, batch)[1]
        return z + v, v

    def run(state: Any, rows: Any, fixed: Any, data: Any) -> Any:
        return backend.fold(lambda state, each: step(state, each, fixed, data), state, rows)

    return run


def _one_of(owner: str, name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"`{name}` of {owner} must be one of {allowed}. Received: {value!r}.")
    return value


def _integer(words: list[int]) -> int:
    return words[0] + (words[1] << 32)
