"""What the penalties of a training epoch were, from a few of its batches."""

import numpy as np

_POINTS = 32


class EpochRecord:
    """Penalties at up to 32 batches of an epoch, and their mean over all of it.

    The loss of an epoch is a mean over its batches, each at the weights before its own step and
    weighed by its number of samples. So is the mean made here, with the penalties interpolated
    linearly between the batches at which they were evaluated: exact for 32 batches or fewer.
    """

    def __init__(self, steps: int | None) -> None:
        self._steps = steps
        self._samples: dict[int, tuple[float, np.ndarray, np.ndarray]] = {}
        self._annealed: dict[int, float] = {}
        self._due: list[int] = []
        if steps is not None:
            self._due = np.unique(np.linspace(0, steps - 1, min(steps, _POINTS)).round()).tolist()
        self.batches = 0

    def is_due(self, batch: int) -> bool:
        """Whether the penalties should be evaluated before this batch."""
        if self._steps is None:
            # Data of unknown length: ever wider apart.
            last = max(self._samples, default=-_POINTS)
            return batch - last >= max(1, last // 6)
        due = bool(self._due) and batch >= self._due[0]
        while self._due and batch >= self._due[0]:
            self._due.pop(0)
        return due

    def add(self, batch: int, count: float, values: np.ndarray, weights: np.ndarray) -> None:
        """Note penalties and their weights before a batch, and the samples seen until then."""
        self._samples[batch] = (count, values, weights)

    def add_annealed(self, batch: int, weight: float) -> None:
        """Note the weight that KLAnnealing gave the batches from this one on."""
        self._annealed[batch] = weight

    def means(self, is_kl: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of each penalty over the epoch, and of each times its weight."""
        batches = np.arange(self.batches)
        known = sorted(self._samples)
        counts = np.array([self._samples[b][0] for b in known])
        sizes = np.diff(np.interp(np.arange(self.batches + 1), known, counts))
        if sizes.sum() <= 0:
            sizes = np.ones(self.batches)
        sizes = sizes / sizes.sum()
        values = _interpolate(batches, known, [self._samples[b][1] for b in known])
        weights = _interpolate(batches, known, [self._samples[b][2] for b in known])
        if self._annealed:
            begins = np.array(sorted(self._annealed))
            given = np.array([self._annealed[b] for b in begins])
            weights[is_kl] = given[np.searchsorted(begins, batches, side="right") - 1]
        return values @ sizes, (values * weights) @ sizes


def _interpolate(batches: np.ndarray, known: list[int], rows: list[np.ndarray]) -> np.ndarray:
    """One row a penalty, one column a batch."""
    columns = np.array(rows).T
    return np.array([np.interp(batches, known, column) for column in columns]).reshape(
        len(columns), len(batches)
    )
