"""What NUTS and HMC share: chains, warmup, the run in chunks and what is said about it."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.mcmc.diagnose import check_chains, check_divergences
from keras_priors.inference.mcmc.learned_scale import learned_scale
from keras_priors.inference.mcmc.scales import KINDS, kind_of, unit_scale
from keras_priors.inference.mcmc.starts import STARTS, starts
from keras_priors.inference.mcmc.warmup import rescaled, restarted, windows
from keras_priors.inference.method import Method
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.weights_at import weights_at
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

_CAPACITY = 50
_CHUNK_SECONDS = 1.0
# Weights times rows of which a device has work enough, beside waiting for the sum over devices.
_PRODUCTS = 2**22
_STATE = (
    "position",
    "log_prob",
    "gradient",
    "seed",
    "step_size",
    "error_sum",
    "log_average",
    "adapted",
    "log_shrinkage",
)
# Of a scale of low rank all three are kept, of others the first.
_SCALE = ("scale", "directions", "stretch")


class Hamiltonian(Method):
    """Markov chains along the gradient of the log posterior. Abstract.

    A subclass gives the constructor arguments beside those of all, and `_steps`.
    """

    resumes = checkpoints = True
    _expands = True
    _kept_on_resume = ("mass",)
    _nuts = True

    def __init__(
        self,
        num_chains: int,
        num_warmup: int,
        num_samples: int,
        target_accept: float,
        start: str,
        mass: str,
    ) -> None:
        name = type(self).__name__
        self.num_chains = whole_number(name, "num_chains", num_chains)
        self.num_samples = whole_number(name, "num_samples", num_samples)
        self.num_warmup = (
            num_warmup if num_warmup == 0 else whole_number(name, "num_warmup", num_warmup)
        )
        if not 0 < target_accept < 1:
            raise ValueError(
                f"`target_accept` of {name} must lie between 0 and 1. Received: target_accept="
                f"{target_accept!r}. Take 0.8, and 0.9 to 0.99 against divergences."
            )
        self.target_accept = float(target_accept)
        for argument, value, known in (("start", start, STARTS), ("mass", mass, KINDS)):
            if value not in known:
                raise ValueError(
                    f"`{argument}` of {name} must be one of {known}. Received: "
                    f"{argument}={value!r}."
                )
        self.start = start
        self.mass = mass

    @property
    @abstractmethod
    def _steps(self) -> int:
        """Largest depth of a tree, or most leapfrog steps."""

    def _check_backend(self) -> None:
        backend.check_mcmc(type(self).__name__)

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> SamplePosterior:
        name = type(self).__name__
        earlier = None if resume is None else self._continued(log_posterior, resume)
        run = _Run(self, log_posterior, verbose, warm=earlier is None)
        if earlier is None:
            run.begin(*starts(log_posterior, self.start, self.num_chains, *_seeds(seed)[:1]), seed)
            run.warm_up(name)
        else:
            run.state = {key: earlier.continuation[key] for key in _STATE}
            run.scale = tuple(
                earlier.continuation[key] for key in _SCALE if key in earlier.continuation
            )
        z, stats = run.sample(name)
        check_divergences(name, stats, self.target_accept)
        check_chains(
            name,
            z,
            stats,
            most=self._steps,
            mass=kind_of(run.scale),
            network=sum(len(shape) > 1 for shape in log_posterior.positions.shapes) > 1,
        )
        values = weights_at(log_posterior.positions, z)
        if earlier is not None:
            values = [
                np.concatenate([a, b], axis=1) for a, b in zip(earlier._stored, values, strict=True)
            ]
            stats = {
                key: np.concatenate([earlier.sample_stats[key], value], axis=1)
                for key, value in stats.items()
            }
        return SamplePosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            values,
            sample_stats=stats,
            continuation=run.state | dict(zip(_SCALE, run.scale, strict=False)),
            observations=log_posterior.observations,
        )

    def _continued(self, log_posterior: LogPosterior, resume: Any) -> SamplePosterior:
        name = type(self).__name__
        shape = (self.num_chains, log_posterior.size)
        known = isinstance(resume, SamplePosterior) and {*_STATE, "scale"} <= set(
            resume.continuation
        )
        if not known or resume.continuation["position"].shape != shape:
            raise ValueError(
                f"`resume` must be a posterior that {name} gave for this model, with "
                f"num_chains={self.num_chains}. Received: resume={resume!r}"
                + (f" with {resume.num_chains} chains." if known else ".")
            )
        found: SamplePosterior = resume
        return found


class _Run:
    """The chains of one `fit`, from chunk to chunk."""

    def __init__(self, method: Any, log_posterior: LogPosterior, verbose: Any, warm: bool) -> None:
        self._method = method
        layout, self._data = _over_devices(log_posterior, method.num_chains)
        self._advance = backend.hamiltonian(
            log_posterior.log_prob_and_gradient,
            _CAPACITY,
            method._steps,
            method.target_accept,
            method._nuts,
            layout,
        )
        total = method.num_samples + (method.num_warmup if warm else 0)
        self._progress = Progress(total, verbose, "transition")
        self._chunk = _CAPACITY
        self._journal = current()
        self.state: dict[str, Any] = {}
        self.scale: tuple[Any, ...] = ()

    def begin(self, z: Any, log_prob: Any, gradient: Any, seed: Any) -> None:
        self.scale = unit_scale(self._method.mass, z.shape[1])
        self.state = restarted(
            {"position": z, "log_prob": log_prob, "gradient": gradient, "seed": _seeds(seed)[1]},
            1.0,
        )

    def warm_up(self, name: str) -> None:
        total, done = self._method.num_warmup, 0
        schedule = windows(total)
        for index, (length, learns) in enumerate(schedule):
            z, slopes = [], []
            try:
                for part, record in self._chunks(length, True):
                    z.append(part)
                    slopes.append(record["slope"])
                    done += len(part)
            except KeyboardInterrupt:
                self._journal.stop()
                raise KeyboardInterrupt(
                    f"{name} was interrupted in its warmup, after {done} of {total} transitions: "
                    "there is no draw yet."
                ) from None
            step_size = float(np.exp(self.state["log_average"]))
            if learns:
                scale = learned_scale(np.concatenate(z), np.concatenate(slopes), self.scale)
                self.state = rescaled(self.state, self.scale, scale)
                self.scale = scale
            # The last window of a scale is long, and its step size fits the next scale nearly: it
            # is only gone on from. After a short one the scale is another, and its own unit.
            near = index == len(schedule) - 2
            self.state = restarted(self.state, step_size if near or not learns else 1.0, near)

    def sample(self, name: str) -> tuple[Any, dict[str, Any]]:
        """Draws of z (chains, draws, D), and statistics (chains, draws)."""
        z: list[Any] = []
        stats: list[dict[str, Any]] = []
        total = self._method.num_samples
        try:
            for part, record in self._chunks(total, False):
                z.append(part)
                del record["slope"]
                stats.append(record)
        except KeyboardInterrupt:
            self._journal.stop()
            done = sum(len(part) for part in z)
            if not done:
                raise
            warn(
                f"{name} was interrupted after {done} of {total} draws a chain; it returns these. "
                "`fit(..., resume=posterior)` goes on.",
            )

        def stack(parts: list[Any]) -> Any:
            return np.swapaxes(np.concatenate(parts), 0, 1)

        joined = {key: stack([record[key] for record in stats]) for key in stats[0]}
        if self._method._nuts:
            joined["tree_depth"] = np.ceil(np.log2(joined["n_steps"] + 1.0)).astype("int32")
        return stack(z), joined

    def _chunks(self, length: int, adapt: bool) -> Any:
        name = "warmup" if adapt else "draws"
        while length:
            work = partial(self._moved, min(length, self._chunk), adapt)
            self.state, found = self._journal.step(name, work, self.state)
            length -= len(found["z"])
            self._progress.step(len(found["z"]))
            yield found["z"], dict(found["records"])
        self.state = self._journal.end(name, self.state)

    def _moved(self, count: int, adapt: bool) -> tuple[Any, Any]:
        begin = time.perf_counter()
        state, z, records = self._advance(
            {key: _tensor(value) for key, value in self.state.items()},
            ops.convert_to_tensor(count, dtype="int32"),
            ops.convert_to_tensor(adapt, dtype="bool"),
            tuple(ops.convert_to_tensor(part) for part in self.scale),
            self._data,
        )
        z = ops.convert_to_numpy(z)[:count]
        records = {key: ops.convert_to_numpy(v)[:count] for key, v in records.items()}
        # So long that the bar moves; draws do not depend on it.
        each = (time.perf_counter() - begin) / count
        self._chunk = int(np.clip(_CHUNK_SECONDS / each, 1, _CAPACITY))
        new = {key: ops.convert_to_numpy(state[key]) for key in _STATE}
        return new, {"z": z, "records": records}


def _over_devices(log_posterior: LogPosterior, num_chains: int) -> tuple[Any, Any]:
    """(layout of the chains, data (fixed, blocks) as it wants them).

    Devices that chains leave over share the rows with those that have chains, as long as each has
    `_PRODUCTS`: with less a gradient would wait longer for its sum than it saves.
    """
    fixed, blocks = log_posterior.data
    rows = log_posterior.num_rows
    layout = backend.chain_layout(num_chains, log_posterior.size * rows // _PRODUCTS)
    shared = backend.row_devices(layout)
    if shared > 1:
        # As few blocks of a device as memory bears, and all of one size.
        number = math.ceil(len(blocks[2]) / shared)
        blocks = log_posterior.observations.blocks(shared * math.ceil(rows / (number * shared)))
    return layout, backend.place((fixed, blocks), ("", ".r"), layout)


def _seeds(seed: Any) -> Any:
    """Words for the starts and for the chains."""
    return backend.spawn_seeds(seed, 2)


def _tensor(value: Any) -> Any:
    value = np.asarray(value)
    return ops.convert_to_tensor(value, dtype=str(value.dtype))
