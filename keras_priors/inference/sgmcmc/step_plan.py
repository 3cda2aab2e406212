"""Step sizes, noise and rows of each step of a stochastic-gradient chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.inference.sgmcmc.noisy_step import DECAY


class StepPlan:
    """Rows of `width` steps; after each row the position may be kept.

    Args:
        method: the method: its schedule and numbers.
        done: integer, steps that an earlier run has done; burn-in is then over.
    """

    def __init__(self, method: Any, done: int) -> None:
        self.width = method.thinning
        burnin = 0 if done else method.num_burnin
        self._fields: dict[str, list[Any]] = {
            name: [] for name in ("rate", "noise", "adapt", "active")
        }
        kept: list[Any] = []
        if burnin:
            rate = method.learning_rate * np.ones(burnin)
            if method.schedule == "polynomial":
                rate = _polynomial(method, np.arange(burnin))
            # The running mean of squares begins at the first of them.
            adapt = np.full(burnin, 1 - DECAY)
            adapt[0] = 1.0
            kept.append(self._add(rate, np.ones(burnin), adapt, False))
        if method.schedule == "cyclical":
            for rate, noise in _cycles(method):
                kept.append(self._add(rate[~noise], np.zeros((~noise).sum()), None, False))
                kept.append(self._add(rate[noise], np.ones(noise.sum()), None, True))
        else:
            steps = method.num_samples * method.thinning
            rate = method.learning_rate * np.ones(steps)
            if method.schedule == "polynomial":
                rate = _polynomial(method, max(done, burnin) + np.arange(steps))
            kept.append(self._add(rate, np.ones(steps), None, True))
        self.keep = np.concatenate(kept)
        """For each row, whether the position after it is a draw."""
        self._arrays = {name: np.concatenate(v) for name, v in self._fields.items()}

    def _add(self, rate: Any, noise: Any, adapt: Any, keep: bool) -> Any:
        adapt = np.zeros(len(rate)) if adapt is None else adapt
        active = np.ones(len(rate))
        rows = -(-len(rate) // self.width)
        for name, value in zip(
            ("rate", "noise", "adapt", "active"), (rate, noise, adapt, active), strict=True
        ):
            # Fillers come first, so that a kept row ends with a step.
            value = np.pad(value, (rows * self.width - len(rate), 0))
            self._fields[name].append(value.reshape(rows, self.width).astype("float32"))
        return np.full(rows, keep)

    def chunk(self, first: int, rows: int) -> tuple[Any, dict[str, Any], Any]:
        """(keep, arrays (rows, width) by name, number of each step in the chunk).

        All chunks have one shape, for one compilation: the last is filled up with idle steps.
        """
        keep = self.keep[first : first + rows]
        arrays = {
            name: np.pad(v[first : first + rows], ((0, rows - len(keep)), (0, 0)))
            for name, v in self._arrays.items()
        }
        taken = np.maximum(np.cumsum(arrays["active"]).astype("int64") - 1, 0)
        return keep, arrays, taken.reshape(rows, self.width)


def rows_of(
    count: int, size: int, chains: int, words: list[int], done: int, taken: Any
) -> dict[str, Any]:
    """Row numbers (..., chains, size) and noise seeds (..., 2) of the steps `done + taken`.

    Each chain goes through the rows in its own new order in every epoch. All follows from the seed
    and the number of the step, so that a run that is continued is the run that was not interrupted.
    """
    per_epoch = max(1, count // size)
    steps = done + taken
    epochs, slots = np.divmod(steps, per_epoch)
    first, last = int(epochs.min()), int(epochs.max())
    # One generator an epoch, and one lookup of all steps: of few rows, whose epochs are short, this
    # was dearer than the gradients.
    orders = np.empty((last - first + 1, chains, per_epoch * size), "int32")
    for epoch in range(first, last + 1):
        random = np.random.default_rng([*words, 0, epoch])
        for chain in range(chains):
            orders[epoch - first, chain] = random.permutation(count)[: per_epoch * size]
    parts = orders.reshape(-1, chains, per_epoch, size)
    rows = parts[epochs - first, :, slots]
    seeds = np.empty((*steps.shape, 2), "uint32")
    seeds[..., 0] = words[0]
    seeds[..., 1] = (words[1] + steps) % 2**32
    return {"rows": rows, "seed": seeds}


def _polynomial(method: Any, steps: Any) -> Any:
    return method.learning_rate * (1 + steps / max(method.num_burnin, 1)) ** -method.decay


def _cycles(method: Any) -> Any:
    """Rates, and whether there is noise, of the steps of each cycle."""
    sampling = method.num_samples // method.num_cycles * method.thinning
    length = max(sampling + 1, round(sampling / (1 - method.exploration)))
    k = np.arange(length)
    rate = method.learning_rate / 2 * (np.cos(np.pi * k / length) + 1)
    for _ in range(method.num_cycles):
        yield rate, k >= length - sampling
