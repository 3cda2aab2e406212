"""A table that prints itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_priors.utils.export import export

_HIGHER_IS_BETTER = {"accuracy", "elpd_loo", "auroc", "aupr", "accuracy_at_coverage"}
_BEST_COVERAGE = 0.9


@export()
class Table(Mapping[str, dict[str, float]]):
    """What `keras_priors.compare` returns: rows by name, each a dict of numbers.

    A number that is not defined for a row is not there. It prints itself, with columns for the
    numbers that any row has, and below each row its standard errors where it has some.

    Args:
        rows: mapping from the name of a row to a mapping from the name of a number to it.
        standard_errors: mapping likewise. Defaults to None: none are known.

    Example:
        >>> import keras_priors as kp
        >>> table = kp.inference.Table({"map": {"nll": 0.5}, "laplace": {"nll": 0.4, "ece": 0.01}})
        >>> print(table.sort("nll"))
                      nll      ece
        laplace       0.4     0.01
        map           0.5        -
        >>> table.columns
        ['nll', 'ece']
    """

    def __init__(
        self,
        rows: Mapping[str, dict[str, float]],
        standard_errors: Mapping[str, dict[str, float]] | None = None,
    ) -> None:
        self._rows = dict(rows)
        self._errors = {name: dict((standard_errors or {}).get(name, {})) for name in self._rows}
        self._kinds: dict[str, str] = {}

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

    @property
    def standard_errors(self) -> dict[str, dict[str, float]]:
        """By name of a row: the standard errors of its numbers, of those that have one."""
        return {name: dict(errors) for name, errors in self._errors.items()}

    def sort(self, column: str, descending: bool | None = None) -> Table:
        """The rows sorted by a column; those without that number come last.

        Args:
            column: string, one of `columns`.
            descending: bool, whether the highest is first. Defaults to None, the best first: the
                highest of accuracies, areas under curves and `elpd_loo`, what is nearest to 0.9 of
                `coverage`, else the lowest, of a metric of your own too. A name that `metrics`
                of `compare` gave changes nothing of it.

        Returns:
            Another `Table`.

        Raises:
            ValueError: there is no such column.
        """
        self._check([column])
        kind = self._kind(column)
        best = descending is None

        def place(name: str) -> tuple[bool, float]:
            value = self._rows[name].get(column, math.nan)
            if math.isnan(value):
                return True, 0.0
            if best and kind == "coverage":
                return False, abs(value - _BEST_COVERAGE)
            high = kind in _HIGHER_IS_BETTER if best else bool(descending)
            return False, -value if high else value

        names = sorted(self._rows, key=place)
        table = Table({name: self._rows[name] for name in names}, self._errors)
        table._kinds = self._kinds
        return table

    def plot(self, columns: Sequence[str] | None = None, axes: Any = None) -> Any:
        """Dots of the numbers with bars of two standard errors, one panel for each column.

        Args:
            columns: sequence of strings. Defaults to None: all of them.
            axes: sequence of as many matplotlib Axes. Defaults to None: those of a new figure.

        Returns:
            The Axes, a list.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: there is no such column, or another number of axes.
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError(
                "`plot` needs matplotlib. Received: no module named matplotlib. Install it: "
                "pip install matplotlib."
            ) from error
        columns = self.columns if columns is None else list(columns)
        self._check(columns)
        if axes is None:
            size = (2.4 * max(len(columns), 1), 1.0 + 0.35 * len(self))
            _, axes = pyplot.subplots(
                1, len(columns), sharey=True, squeeze=False, figsize=size, layout="constrained"
            )
            axes = axes[0]
        axes = list(axes)
        if len(axes) != len(columns):
            raise ValueError(
                f"`axes` must hold one for each of the {len(columns)} columns. Received: "
                f"{len(axes)}."
            )
        names = list(self._rows)
        for ax, column in zip(axes, columns, strict=True):
            values = [self._rows[name].get(column, math.nan) for name in names]
            bars = [2.0 * self._errors[name].get(column, 0.0) for name in names]
            ax.errorbar(values, range(len(names)), xerr=bars, fmt="o", color="black", capsize=3)
            ax.set_title(column)
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(len(names) - 0.5, -0.5)
        return axes

    def to_pandas(self, standard_errors: bool = False) -> Any:
        """A pandas data frame, with NaN where a number is not defined.

        Args:
            standard_errors: bool, whether each column that has some is followed by "column ±".
                Defaults to False.
        """
        import pandas as pd

        frame = pd.DataFrame.from_dict(self._rows, orient="index", columns=self.columns)
        if standard_errors:
            for column in reversed(self.columns):
                errors = [self._errors[name].get(column, math.nan) for name in self._rows]
                if not all(map(math.isnan, errors)):
                    frame.insert(frame.columns.get_loc(column) + 1, f"{column} ±", errors)
        return frame

    def _kind(self, column: str) -> str:
        """The score that a column is, which may have another name."""
        name = column.rpartition("/")[2]
        return self._kinds.get(name, name)

    def _check(self, columns: Sequence[str]) -> None:
        for column in columns:
            if column not in self.columns:
                raise ValueError(
                    f"A column must be one of {', '.join(map(repr, self.columns))}. Received: "
                    f"{column!r}."
                )

    def __repr__(self) -> str:
        lines: list[tuple[str, list[str]]] = [("", self.columns)]

        def line(name: str, row: Mapping[str, float], digits: int) -> None:
            # An error is said in two digits.
            of = {key: 2 if self._kind(key) == "dse" else digits for key in row}
            cells = [f"{row[key]:.{of[key]}g}" if key in row else "-" for key in self.columns]
            lines.append((name, cells))

        for name, row in self._rows.items():
            line(name, row, 4)
            if self._errors[name]:
                line("±", self._errors[name], 2)
        width = max(map(len, self._rows), default=0)
        widths = [
            max(9, *(1 + len(cells[k]) for _, cells in lines)) for k in range(len(lines[0][1]))
        ]
        return "\n".join(
            (f"{name:>{width}}" if name == "±" else f"{name:<{width}}")
            + "".join(f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True))
            for name, cells in lines
        )
