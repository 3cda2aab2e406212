"""A posterior known by stored draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.arviz import mixing_of, summary
from keras_priors.inference.given_draws import given_draws
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.prediction_chains import prediction_chains
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.spread_of import spread_of
from keras_priors.inference.table import Table
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

# Rows at which predictions are diagnosed.
_DIAGNOSED = 100
# Nats of one number of a target that a draw may be worse than the median draw: a Normal whose
# squared errors have grown to seven times their size has lost 3, classes that are guessed at most
# the logarithm of their number.
ASTRAY = 3.0


@export()
class SamplePosterior(Posterior):
    """Draws in chains, as MCMC and ensembles give them.

    Args:
        model: the model.
        likelihood: its likelihood, or a structure of them.
        values: for each weight, in the order of `keras_priors.get_priors`, an array
            (chains, draws, ...).
        sample_stats: mapping from name to array (chains, draws), in ArviZ' names (`diverging`,
            `acceptance_rate`, `tree_depth`, `step_size`, `lp`, ...). Defaults to None.
        states: mapping from the index of a variable in `model.variables` to an array (chains,
            draws, ...), where draws have statistics of their own. Defaults to None.
        continuation: mapping from name to array, from which the method can go on. Defaults to None.
        observations: the data, for ArviZ' log likelihood. Defaults to None.
        modes: bool, whether they are modes found apart from each other, as the members of a
            `DeepEnsemble`, of which `as_prior` makes no normal. Defaults to False.

    Raises:
        ValueError: arrays whose shapes are not those of the weights.
    """

    # A sampler says by them that a step went astray.
    _may_be_infinite = ("stats/", "continuation/")

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        values: Sequence[Any],
        *,
        sample_stats: Mapping[str, Any] | None = None,
        states: Mapping[int, Any] | None = None,
        continuation: Mapping[str, Any] | None = None,
        observations: Observations | None = None,
        modes: bool = False,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self.modes = modes
        self._stored = [np.asarray(v) for v in values]
        self.sample_stats = {name: np.asarray(v) for name, v in (sample_stats or {}).items()}
        self.continuation = {name: np.asarray(v) for name, v in (continuation or {}).items()}
        self._states = {index: np.asarray(v) for index, v in (states or {}).items()}
        number = self._stored[0].shape[:2] if self._stored else ()
        for path, shape, value in zip(self.paths, self.positions.shapes, self._stored, strict=True):
            if value.shape != (*number, *shape) or 0 in number:
                raise ValueError(
                    f"Stored draws of {path} must have the shape (chains, draws, *{shape}), with "
                    f"the same chains and draws as all others. Received: shape {value.shape}."
                )

    @classmethod
    def from_draws(
        cls, log_posterior: LogPosterior, draws: Any, *, unconstrained: bool = False
    ) -> SamplePosterior:
        """Draws that any other sampler made, as a posterior: to predict, compare, save.

        Whether they are draws of this posterior is for their sampler to say; `diagnose` and
        `summary` tell whether chains agree.

        Args:
            log_posterior: what they are draws of; `LogPosterior.logdensity` is its density.
            draws: array (chains, draws, D) or (draws, D) of the vector z without bounds; or a
                mapping from path to array (chains, draws, ...) or (draws, ...) of weights; or an
                `arviz.InferenceData`, `xarray.DataTree` or `Dataset` whose posterior has such
                variables, also with "_" or "." in place of "/". Other variables are left out.
            unconstrained: bool. Whether a mapping is of parts of z, as `logdensity(flat=False)`
                takes them; else weights are as they are, within bounds. Defaults to False.

        Raises:
            ValueError: shapes that do not fit, a weight without draws, NaN or infinity, or weights
                outside of the support of their prior.

        Example:
            >>> import keras, numpy as np
            >>> import keras_priors as kp
            >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
            ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
            >>> log_posterior = kp.inference.LogPosterior(
            ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0))
            >>> z = np.random.default_rng(0).normal(0.75, 0.5, (4, 100, 1))    # chains, draws, D
            >>> posterior = kp.inference.SamplePosterior.from_draws(log_posterior, z)
            >>> posterior.predict(np.ones((2, 1)), verbose=0).mean.shape
            (2, 1)
        """
        posterior = cls(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            given_draws(log_posterior.positions, draws, unconstrained),
            observations=log_posterior.observations,
        )
        posterior.temperature = log_posterior.temperature
        return posterior

    @property
    def num_chains(self) -> int:
        """The number of chains."""
        return int(self._stored[0].shape[0])

    @property
    def num_draws(self) -> int:
        """The number of draws in each chain."""
        return int(self._stored[0].shape[1])

    def mean(self) -> dict[str, Any]:
        """Mean over all draws of each weight, by path."""
        return self._moment(np.mean)

    def stddev(self) -> dict[str, Any]:
        """Standard deviation over all draws of each element, by path; 0 for one draw."""
        return self._moment(lambda v, axis, dtype: np.std(v, axis, dtype, ddof=min(1, len(v) - 1)))

    def _moment(self, of: Any) -> dict[str, Any]:
        return {
            path: of(_joined(v), axis=0, dtype="float64").astype("float32")
            for path, v in zip(self.paths, self._stored, strict=True)
        }

    def summary(self, coverage: float = 0.9, x: Any = None) -> Any:
        """A pandas table with a row for each scalar weight, or for each prediction at x.

        Mean, standard deviation, highest-density interval, and for chains the Monte-Carlo errors,
        effective sample sizes and R-hat (Vehtari et al., 2021, arXiv:1903.08008), by ArviZ.

        Args:
            coverage: float, the probability of the interval. Defaults to 0.9.
            x: rows, arrays. With them the table is that of E[y* | x, w] at the draws w, of classes
                their probabilities: rows such as "mean[0, 0]", of the first row and output, or
                "a/mean[0, 0]" of an output "a"; and of the standard deviation of y*, "sd[0, 0]",
                where the outputs say more than the mean. Defaults to None: weights.
        """
        if x is None:
            return super().summary(coverage)
        return summary(self, coverage, prediction_chains(self, _rows(x)))

    def diagnose(self, x: Any = None) -> Table:
        """How well the chains have mixed: in weights, and in what they predict.

        The largest R-hat ("r_hat", from two chains on) and the smallest bulk effective sample size
        ("ess_bulk", of all chains together) over up to 100 scalars of each kind, by
        ArviZ: the row "weights", and the row "predictions" of E[y* | x, w] at up to 100 rows. Below
        some 1.01 chains agree; a mean has a standard error of 1 / sqrt(ess_bulk) standard
        deviations. A network has modes that are alike but for the order and signs of its units:
        chains may differ in weights and be the same functions. What no chain has visited no number
        tells: chains that began at one place and stayed in one mode agree with each other.

        While the data of `fit` are at hand, "spread" of the weights is the median of their standard
        deviation over that of a diagonal Laplace approximation at the last draw. For draws of a
        posterior that is about normal it is 1 or more, and for several modes far more; below a
        third, chains have not parted from where they began, or members are points.
        "astray" of the predictions is how many draws explain these data worse than the median draw
        by more than 3 nats for each number of a target: a chain that was thrown off, by steps too
        large, of which R-hat may say little.

        Args:
            x: rows, arrays. Defaults to None: those of `fit`, while they are at hand (they are not
                saved).

        Returns:
            A `Table`; a number is not there where the draws of a chain are fewer than four, or do
            not differ.

        Raises:
            ValueError: no rows, or what is no array of them.
            ImportError: without ArviZ.
        """
        return self._diagnosed(x, spread=True)

    def _diagnosed(self, x: Any = None, spread: bool = False) -> Table:
        if x is None and self._observations is None:
            raise ValueError(
                "Predictions are diagnosed at rows. Received: x=None, and a posterior without the "
                "data of `fit`, which are not saved. Give x."
            )
        rows, y = (_rows(x), None) if x is not None else _counted(self._observations)
        chains = prediction_chains(self, rows, _DIAGNOSED, y)
        densities = [chains.pop(name) for name in list(chains) if name.endswith("log_prob")]
        found = {"weights": self._stored, "predictions": list(chains.values())}
        number = (self.num_chains, self.num_draws, -1)
        rows_of = {
            name: mixing_of(np.concatenate([v.reshape(number) for v in values], axis=2))
            for name, values in found.items()
        }
        if densities:
            rows_of["predictions"]["astray"] = int(np.sum(_astray(densities)))
        if spread and self._observations is not None and self._most_samples > 1:
            last = {path: v[-1, -1] for path, v in zip(self.paths, self._stored, strict=True)}
            rows_of["weights"]["spread"] = spread_of(self, last, self.stddev())
        return Table(rows_of)

    @property
    def default_num_samples(self) -> int:  # type: ignore[override]
        """All that there are."""
        return self.num_chains * self.num_draws

    @property
    def _most_samples(self) -> int:
        return self.num_chains * self.num_draws

    @property
    def _targets(self) -> Sequence[Any]:
        variables = self.model.variables
        return [*self.positions.variables, *(variables[index] for index in self._states)]

    def _handles(self, num_samples: int, seed: Any) -> Any:
        # Of the chains, laid end to end.
        return _evenly(num_samples, self._most_samples)

    def _named_handle(self, draw: int) -> Any:
        if not -self._most_samples <= draw < self._most_samples:
            raise ValueError(f"There are {self._most_samples} draws. Received: draw={draw}.")
        return np.array([draw % self._most_samples])

    def _values(self, handles: Any) -> Sequence[Any]:
        return [_joined(v)[handles] for v in (*self._stored, *self._states.values())]

    def _chains(self, num_samples: int | None, seed: Any) -> dict[str, Any]:
        kept = self._kept(num_samples)
        return {path: v[:, kept] for path, v in zip(self.paths, self._stored, strict=True)}

    def _sample_stats(self, num_samples: int | None) -> dict[str, Any]:
        return {name: v[:, self._kept(num_samples)] for name, v in self.sample_stats.items()}

    def _kept(self, num_samples: int | None) -> Any:
        # The same as `_handles` of as many for each chain.
        if num_samples is None:
            return slice(None)
        number = whole_number(type(self).__name__, "num_samples", num_samples)
        if number > self.num_draws:
            raise ValueError(
                f"`num_samples` must be at most the draws of each chain. Received: num_samples="
                f"{number}, with {self.num_draws} draws in each. Draw more in `fit`, or leave it "
                "out."
            )
        return _evenly(number, self.num_draws)

    def _own_normal(self) -> None:
        if self.modes:
            raise ValueError(
                "The members of an ensemble are modes that were found apart from each other, and "
                "their covariance is not that of a posterior. Received: a SamplePosterior of "
                f"{self._most_samples} members. Take Laplace, SWAG or MeanField, or draws of NUTS, "
                "HMC, SGLD or SGHMC."
            )

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        arrays = {f"draws/{k}": v for k, v in enumerate(self._stored)}
        arrays |= {f"stats/{name}": v for name, v in self.sample_stats.items()}
        arrays |= {f"states/{index}": v for index, v in self._states.items()}
        arrays |= {f"continuation/{name}": v for name, v in self.continuation.items()}
        return {"modes": self.modes}, arrays

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> SamplePosterior:
        shapes = [(None, None, *shape) for shape in Positions(model).shapes]
        values = arrays.numbered(shapes, "draws/")
        stats = arrays.group("stats")
        for name in stats:
            arrays.of_shape(f"stats/{name}", values[0].shape[:2])
        modes = config.get("modes", False)
        if not isinstance(modes, bool):
            raise ValueError(f"The entry 'modes' must be true or false. Received: {modes!r}.")
        return cls(
            model,
            likelihood,
            values,
            sample_stats=stats,
            states=arrays.states(model, values[0].shape[:2]),
            continuation=arrays.group("continuation"),
            modes=modes,
        )


def _evenly(number: int, most: int) -> Any:
    """Indices in the midst of so many equal parts of range(most)."""
    # In integers, so that the parts of equal chains are the parts of what is laid end to end.
    return ((2 * np.arange(number) + 1) * most - number) // (2 * number)


def _counted(observations: Any) -> tuple[Any, Any]:
    """x and y of the rows that count."""
    both: tuple[Any, Any] = (observations.x, observations.y)
    counted = observations.weight > 0
    if np.all(counted) or not np.any(counted):
        return both
    both = keras.tree.map_structure(lambda leaf: leaf[counted], both)
    return both


def _astray(densities: list[Any]) -> Any:
    """Which draws (chains, draws) explain the data absurdly worse than half of them do."""
    each = np.mean([part.mean(axis=2, dtype="float64") for part in densities], axis=0)
    return ~(each >= np.median(each) - ASTRAY)


def _rows(x: Any) -> Any:
    return keras.tree.map_structure(as_array, x)


def _joined(value: Any) -> Any:
    """(chains, draws, ...) as (chains * draws, ...)."""
    return value.reshape(-1, *value.shape[2:])
