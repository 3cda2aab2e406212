"""A table that prints itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keras_priors.utils.export import export


@export()
class Table(Mapping[str, dict[str, float]]):
    """What `keras_priors.compare` returns: rows by name, each a dict of numbers.

    A number that is not defined for a row is not there. It prints itself, with columns for the
    numbers that any row has.

    Args:
        rows: mapping from the name of a row to a mapping from the name of a number to it.

    Example:
        >>> import keras_priors as kp
        >>> table = kp.inference.Table({"map": {"nll": 0.5}, "laplace": {"nll": 0.4, "ece": 0.01}})
        >>> print(table)
                      nll      ece
        map           0.5        -
        laplace       0.4     0.01
        >>> table.columns
        ['nll', 'ece']
    """

    def __init__(self, rows: Mapping[str, dict[str, float]]) -> None:
        self._rows = dict(rows)

    def __getitem__(self, name: str) -> dict[str, float]:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def columns(self) -> list[str]:
        """All names of numbers, in order."""
        return list(dict.fromkeys(key for row in self._rows.values() for key in row))

    def to_pandas(self) -> Any:
        """A pandas data frame, with NaN where a number is not defined."""
        import pandas as pd

        return pd.DataFrame.from_dict(self._rows, orient="index", columns=self.columns)

    def __repr__(self) -> str:
        width = max(map(len, self._rows), default=0)
        widths = {key: max(9, len(key) + 1) for key in self.columns}
        head = " " * width + "".join(f"{key:>{widths[key]}}" for key in self.columns)
        lines = [head]
        for name, row in self._rows.items():
            cells = (
                f"{row[key]:>{widths[key]}.4g}" if key in row else " " * (widths[key] - 1) + "-"
                for key in self.columns
            )
            lines.append(f"{name:<{width}}" + "".join(cells))
        return "\n".join(lines)
