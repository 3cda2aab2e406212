"""A table that prints itself."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_priors.utils.export import export

_HIGHER_IS_BETTER = {"accuracy", "elpd_loo", "auroc", "aupr", "accuracy_at_coverage"}
_BEST_COVERAGE = 0.9
_LOWER_IS_BETTER = {
    *("nll", "nll_diff", "rmse", "mae", "crps", "interval_score", "qce", "aurc", "brier"),
    *("ece", "mce", "ace", "cce", "expected_calibration_error", "maximum_calibration_error"),
    *("adaptive_calibration_error", "classwise_calibration_error"),
}
# Widths say how sure predictions are, and not whether rightly.
_NARROW = {"width", "sharpness"}
_UNITS = {
    "nats a row": {"nll", "nll_diff", "elpd_loo"},
    "units of y": {"rmse", "mae", "crps", "interval_score", *_NARROW},
}
_TEXT_WIDTH = 80


@export()
class Table(Mapping[str, dict[str, float]]):
    """What `keras_priors.compare` returns: rows by name, each a dict of numbers.

    A number that is not defined for a row is not there. It prints itself, with columns for the
    numbers that any row has, and below each row its standard errors where it has some. The last
    lines say of the numbers of `compare` which way is better and in what unit; of other numbers
    they say nothing.

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
        lower is better: nll (nats a row), ece
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
            high = self._higher_is_better(column) if best else bool(descending)
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

    def to_pandas(self, standard_errors: bool = True) -> Any:
        """A pandas data frame, one line a row, with NaN where a number is not defined.

        Args:
            standard_errors: bool, whether each column that has some is followed by them, "nll" by
                "nll_se" and so on. Defaults to True.

        Raises:
            ImportError: pandas is not installed.
            ValueError: a number has the name that the errors of another are to have.

        Example:
            >>> import keras_priors as kp
            >>> table = kp.inference.Table({"map": {"nll": 0.5}}, {"map": {"nll": 0.02}})
            >>> table.to_pandas()
                 nll  nll_se
            map  0.5    0.02
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "`to_pandas` needs pandas. Received: no module named pandas. Install it: "
                "pip install pandas."
            ) from error
        columns: dict[str, list[float]] = {}
        for column in self.columns:
            columns[column] = [row.get(column, math.nan) for row in self._rows.values()]
            if not standard_errors or not any(column in e for e in self._errors.values()):
                continue
            name = f"{column}_se"
            if name in self.columns:
                raise ValueError(
                    f"The errors of {column!r} go to a column {name!r} of their own. Received: a "
                    "table that has one of that name. Give the metric another name, or call "
                    "to_pandas(standard_errors=False)."
                )
            columns[name] = [e.get(column, math.nan) for e in self._errors.values()]
        return pd.DataFrame(columns, index=list(self._rows))

    def _higher_is_better(self, column: str) -> bool:
        """Of a metric of the user's own it is said of none."""
        return self._kind(column) in _HIGHER_IS_BETTER

    def _says_no_more_than_width(self, column: str) -> bool:
        """Whether it says how sure predictions are, and not whether rightly."""
        return self._kind(column) in _NARROW

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
        printed = [
            (f"{name:>{width}}" if name == "±" else f"{name:<{width}}")
            + "".join(f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True))
            for name, cells in lines
        ]
        return "\n".join([*printed, *self._legend()])

    def _legend(self) -> list[str]:
        """Lines that say of the columns which way is better, and in what unit."""
        # What several outputs have is said once.
        kinds = {column.rpartition("/")[2]: self._kind(column) for column in self.columns}

        def of(chosen: set[str]) -> str:
            said = []
            for unit, members in [*_UNITS.items(), ("", chosen.difference(*_UNITS.values()))]:
                names = [name for name, kind in kinds.items() if kind in members & chosen]
                if names:
                    said.append(", ".join(names) + (f" ({unit})" if unit else ""))
            return ", ".join(said)

        difference = "nll_diff" if "nll_diff" in kinds else "the difference in nll to the best"
        clauses = (
            ("lower is better: {}", of(_LOWER_IS_BETTER)),
            ("higher is better: {}", of(_HIGHER_IS_BETTER)),
            (f"{_BEST_COVERAGE} is best: {{}}", of({"coverage"})),
            ("lower is better at equal coverage: {}", of(_NARROW)),
            (f"{{}}: standard error of {difference}", of({"dse"})),
            ("{}: standard error", "±" if any(self._errors.values()) else ""),
        )
        said = [clause.format(names) for clause, names in clauses if names]
        lines: list[str] = []
        for part in [*(f"{one};" for one in said[:-1]), *said[-1:]]:
            if lines and len(lines[-1]) + 1 + len(part) <= _TEXT_WIDTH:
                lines[-1] += f" {part}"
            else:
                lines += textwrap.wrap(part, _TEXT_WIDTH, break_long_words=False)
        return lines
