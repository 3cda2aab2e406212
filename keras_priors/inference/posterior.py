# Long: all that can be asked of any posterior, each with its docstring.
"""The base class of what every inference method returns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.functional.observations import Observations
from keras_priors.functional.outputs_at_draws import outputs_at_draws
from keras_priors.functional.positions import Positions
from keras_priors.inference.arviz import summary, to_arviz
from keras_priors.inference.as_layers import as_layers
from keras_priors.inference.as_prior import as_prior, positive_of
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.saving import from_bytes, load, save, to_bytes
from keras_priors.models.to_plain import to_plain
from keras_priors.predictive.wrap import wrap
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.progress import check_verbose


@export()
class Posterior:
    """What is known of the weights of a model after the data: the result of every method. Abstract.

    Weights go by their paths, as in `keras_priors.get_priors`. Draws lie inside the supports of
    the priors. The model itself is not changed by inference; frozen weights and statistics are
    those that it has when it is asked. `pickle`, `copy.deepcopy` and `multiprocessing` take what
    `save` writes: the model and the likelihood come along, the data of `fit` do not.

    A subclass says how many `_handles` name its draws and which `_values` belong to them, and
    what can be saved of it (`_state`, `_from_state`).
    """

    _known: ClassVar[dict[str, type[Posterior]]] = {}
    """All subclasses by the name that a file has for them."""

    _may_be_infinite: ClassVar[tuple[str, ...]] = ()
    """Leads of the names of arrays in a file in which NaN and infinity are no damage."""

    default_num_samples = 1000
    """How many draws `draws()` gives where there is no number of them."""

    def __init__(self, model: Any, likelihood: Any, observations: Observations | None = None):
        self.model = model
        self.likelihood = likelihood
        """p(y | outputs), or a structure of them for several outputs."""
        self.seconds: float | None = None
        """Wall time of the `fit` that gave it."""
        self.temperature: float | None = 1.0
        """T of p(w | data)^(1/T); None where it is not known, or not one number."""
        self.fingerprint: dict[str, Any] | None = None
        """Hashes of what it is the posterior of: data, likelihood, priors; settings; or None."""
        self._observations = observations
        self._positions: Positions | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Posterior._known[cls.saved_name()] = cls

    @classmethod
    def saved_name(cls) -> str:
        """The name of the class in a file: with its module where it is not of keras_priors."""
        own = cls.__module__.split(".")[0] == __name__.split(".")[0]
        return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"

    @classmethod
    def from_draws(cls, log_posterior: Any, draws: Any, *, unconstrained: bool = False) -> Any:
        """Draws that any other sampler made, as a `SamplePosterior`: see its `from_draws`.

        Args:
            log_posterior: what they are draws of.
            draws: of the vector z, of weights by path, or an ArviZ object.
            unconstrained: bool. Whether a mapping is of parts of z. Defaults to False.
        """
        of_draws: Any = Posterior._known["SamplePosterior"]
        return of_draws.from_draws(log_posterior, draws, unconstrained=unconstrained)

    @property
    def positions(self) -> Positions:
        """The weights, and their way to a flat vector and back."""
        if self._positions is None:
            self._positions = Positions(self.model)
        return self._positions

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the weights."""
        return self.positions.paths

    @abstractmethod
    def _handles(self, num_samples: int, seed: Any) -> Any:
        """An array whose rows name `num_samples` draws: seeds, or indices."""

    @abstractmethod
    def _values(self, handles: Any) -> Sequence[Any]:
        """The draws with these names: an array (S, ...) for each of `_targets`."""

    @abstractmethod
    def mean(self) -> dict[str, Any]:
        """Posterior mean of each weight, by path."""

    @abstractmethod
    def stddev(self) -> dict[str, Any]:
        """Posterior standard deviation of each element of each weight, by path."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """(a config for JSON, arrays by name), all that `_from_state` needs beside the model."""

    @classmethod
    @abstractmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> Posterior:
        """The posterior that `_state` described, in a file that may be damaged."""

    @property
    def _targets(self) -> Sequence[Any]:
        """What `_values` stand in for: first the weights in the order of `paths`."""
        return self.positions.variables

    @property
    def _most_samples(self) -> int | None:
        """How many draws there are, where their number is limited."""
        return None

    def draws(self, num_samples: int | None = None, seed: Any = None) -> dict[str, Any]:
        """Draws of every weight: a mapping from path to array (S, ...).

        Args:
            num_samples: integer S. Defaults to None: all draws that there are, or 1000 where
                they are made on demand. Of stored draws a smaller number is taken evenly spaced.
            seed: integer, `keras.random.SeedGenerator` or None; without effect on stored draws.
        """
        num_samples = self._num_samples(num_samples, self.default_num_samples)
        values = self._values(self._handles(num_samples, seed))
        return {
            path: keras.ops.convert_to_numpy(value)
            for path, value in zip(self.paths, values, strict=False)
        }

    def log_prob(self, position: Mapping[str, Any]) -> float:
        """Log density of the posterior at a position in nats, where it has one.

        Raises:
            NotImplementedError: it is known by its draws alone.
        """
        raise NotImplementedError(
            f"{type(self).__name__} is known by its draws and has no density, on any backend. For "
            "the log posterior up to a constant use keras_priors.inference.LogPosterior(model, x, "
            "y)(position)."
        )

    def predict(
        self,
        x: Any,
        num_samples: int | None = None,
        batch_size: int | None = None,
        seed: Any = None,
        verbose: Any = "auto",
        *,
        out: Any = None,
    ) -> Any:
        """The posterior predictive at x: as `keras_priors.predict`, with these draws.

        Args:
            x: rows: what the model takes, or a data set of batches.
            num_samples: integer, number of draws. Defaults to None: 100, or all if they are fewer.
            batch_size: integer, most rows in a chunk. Defaults to None: as memory bears.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one.
            verbose: "auto", 1 or 0, for the progress bar.
            out: path of a `.npy` file for the draws, as in `keras_priors.predict`.

        Returns:
            A `keras_priors.Predictive`, or the structure of the outputs with one at each.
        """
        check_verbose(verbose)
        if batch_size is not None:
            batch_size = whole_number("predict", "batch_size", batch_size)
        handles = self._handles(self._num_samples(num_samples, 100), seed)
        outputs = outputs_at_draws(
            self.model,
            self._targets,
            lambda start, stop: self._values(handles[start:stop]),
            len(handles),
            x,
            batch_size,
            verbose,
            out,
        )
        return wrap(self.model, outputs, self.likelihood)

    def log_likelihood(
        self, x: Any, y: Any, num_samples: int | None = None, seed: Any = None
    ) -> Any:
        """log p(y_i | x_i, w_s) in nats, of each draw and observation: an array (S, N, ...).

        For a model with several outputs, the structure of its outputs.
        """
        predictive = self._predictive_at_draws(x, num_samples, seed)

        def each(one: Any, target: Any) -> Any:
            draws = one.draws[..., None] if one.draws.ndim == 2 else one.draws
            return keras.ops.convert_to_numpy(
                one.likelihood.log_prob(as_array(target, "y")[None], draws)
            )

        if isinstance(predictive, dict):
            return {name: each(one, y[name]) for name, one in predictive.items()}
        if isinstance(predictive, (list, tuple)):
            return [each(one, target) for one, target in zip(predictive, y, strict=True)]
        return each(predictive, y)

    def to_arviz(
        self,
        num_samples: int | None = None,
        num_prior_samples: int = 0,
        seed: Any = None,
        *,
        x: Any = None,
        y: Any = None,
        separator: str = ".",
    ) -> Any:
        """An `arviz.InferenceData`, from ArviZ 1 on an `xarray.DataTree`: for its plots and `loo`.

        (ArviZ 1 has no `waic` any more, of which its authors advise to take `loo`.)

        Groups: `posterior`; `sample_stats` where there are some; for a model with one output
        `log_likelihood` (nats), `posterior_predictive` (a y* at each draw of the weights, noise
        included) and `observed_data`, each of one variable "y", at x and y or else the data of
        `fit` while they are at hand (they are not saved); `prior` where it is asked for. Axes
        after (chain, draw) are those of the observations, and of the outputs where there are
        several; classes are numbers.

        Args:
            num_samples: integer, draws for each chain. Defaults to None: all there are, or 1000.
            num_prior_samples: integer, draws of the prior. Defaults to 0.
            seed: integer or None.
            x: rows, with y, or a data set of both. Defaults to None: the data of `fit`.
            y: their targets. None with a data set.
            separator: str that stands for each slash of a path. Defaults to ".": "dense.kernel",
                because no NetCDF file and no `xarray.DataTree` takes a name with a slash; with
                "/" (ArviZ below 1) they are those of `draws`, and ArviZ cannot write the object.

        Raises:
            ImportError: ArviZ is not installed.
            ValueError: x without targets, or y without x; more draws than there are; a separator
                with a slash under ArviZ 1.
        """
        return to_arviz(self, num_samples, num_prior_samples, seed, x, y, separator)

    def summary(self, coverage: float = 0.9) -> Any:
        """A pandas table with a row for each scalar weight, such as "dense/kernel[0, 0]".

        Mean, standard deviation, highest-density interval, and for chains the Monte-Carlo errors,
        effective sample sizes and R-hat (Vehtari et al., 2021, arXiv:1903.08008), by ArviZ.

        Args:
            coverage: float, the probability of the interval. Defaults to 0.9.
        """
        return summary(self, coverage)

    def to_model(self, draw: int | Mapping[str, Any] | None = None) -> Any:
        """A plain Keras model at one draw, which needs no keras_priors to load.

        Args:
            draw: integer, which of the stored draws (of a posterior that makes them on demand, the
                seed of one); or a mapping from path to array. Defaults to None: the mean.
        """
        targets: Sequence[Any] = self._targets
        if draw is None or isinstance(draw, Mapping):
            values = self.positions.checked(self.mean() if draw is None else draw)
            targets = targets[: len(values)]
        else:
            values = [value[0] for value in self._values(self._named_handle(draw))]
        plain = to_plain("to_model", self.model, lambda q: q.mean())
        copies = {
            id(old): new for old, new in zip(self.model.variables, plain.variables, strict=True)
        }
        for target, value in zip(targets, values, strict=True):
            if id(target) in copies:  # the scale of a prior is none of the model
                copies[id(target)].assign(value)
        return plain

    def to_variational(
        self,
        posterior: Any = "mean_field",
        estimator: str = "reparameterization",
        *,
        num_data: int | None = None,
        seed: int | None = None,
    ) -> Any:
        """A copy of the model with variational layers that begin at these means and deviations.

        What takes long in `fit` of variational layers, scales on their way to the posterior, is
        done before it begins. `MeanField` and `IVON` give moments of independent weights, as the
        layers have them. A Laplace posterior with structure "diagonal" has those too where the
        outputs are linear in the weights; of a net its deviations are far too wide together.
        Layers without a spread stay as they are, and all others take the temperature of
        the posterior. `inference.VariationalLayers()` is the way back.

        Args:
            posterior: the family, as in `keras_priors.to_variational`.
            estimator: as there.
            num_data: as there.
            seed: as there.

        Raises:
            ValueError: a weight without a spread, as of a `MAP`.
            NotImplementedError: a family that cannot take a deviation for each element.

        Example:
            >>> import keras, numpy as np
            >>> import keras_priors as kp
            >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
            ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
            >>> posterior = kp.inference.Laplace("diagonal").fit(
            ...     model, np.ones((3, 1)), np.ones((3, 1)), kp.likelihoods.Normal(1.0), verbose=0)
            >>> variational = posterior.to_variational(num_data=3)
            >>> q = variational.layers[0].kernel_posterior
            >>> mean, sd = (keras.ops.convert_to_numpy(v).item() for v in (q.mean(), q.stddev()))
            >>> f"{mean:.3f} {sd:.3f}"    # 3 / (3 + 1), 1 / sqrt(3 + 1)
            '0.750 0.500'
        """
        options = {"posterior": posterior, "estimator": estimator}
        options |= {"num_data": num_data, "seed": seed}
        return as_layers(self.model, self.mean(), self.stddev(), self.temperature, **options)

    def as_prior(
        self,
        structure: str | None = None,
        *,
        rank: int = 20,
        num_samples: int | None = None,
        seed: Any = None,
    ) -> JointNormalPrior:
        """This posterior as the prior of the next data set, a normal over all weights together.

            p(w | y_1, y_2) ~ p(y_2 | w) p(w | y_1),    p(w | y_1) = N(w; mean, covariance)

        `keras_priors.set_priors(model, prior)` gives it to this model, or to another whose layers
        have the same names. For a linear model with known normal noise, data in parts then give
        what they give at once, and the log evidences of the parts add up to that of all; else it is
        as good as the posterior is normal. What draws far apart (modes of a net, hidden units in
        another order) have in common is no such normal.

        It is exact for Laplace of each structure, MeanField, IVON, LowRank, FullRank and SWAG, and
        for variational layers of independent normals. Of `Laplace(layers="last")` and of
        variational layers it is over the weights with a spread: freeze the others, which were
        points. Of draws it is their mean and covariance. The members of a `DeepEnsemble` are modes
        and are refused; those of `RandomizedMAP` are taken as the draws that they are of a linear
        regression, and of a net as draws whose spread may be too small.

        Args:
            structure: "full", "low_rank", "diagonal", or "kronecker" of a posterior that has it.
                Defaults to None: that of the posterior; of draws "full". "diagonal" keeps mean and
                standard deviation of each element, and makes a `NormalPrior` for each weight.
                "low_rank" keeps the first `rank` principal components of the correlations, and the
                mean of what is left for the others; of independent weights that is "diagonal".
            rank: integer, of "low_rank" where the posterior has not that structure. Defaults to 20.
            num_samples: integer, draws as `draws` takes them; without effect where the normal of
                the posterior is known. Defaults to None: all that there are, or 1000 where they are
                made on demand, as of variational layers of other families.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one: of draws that are
                made on demand.

        Raises:
            ValueError: an unknown structure; weights with bounds other than 0 and infinity (of
                positive ones it is over the logarithms), a prior of unknown scale on them, or no
                spread (MAP, Monte-Carlo dropout); members of a `DeepEnsemble`; a temperature other
                than 1; fewer than 30 draws, or for "full" not more draws than elements; a matrix
                over all elements that takes more than 4 GiB with its inverse and factor (10,362
                elements); "full" of draws that are collinear; draws of a positive weight that are 0
                in float32.

        Warns:
            UserWarning: an effective sample size of the draws (the smallest of up to 100 elements,
                by ArviZ where they are stored) of less than 30, or for "full" of less than ten
                times the elements; ArviZ is not installed.

        Example:
            >>> import keras, numpy as np
            >>> import keras_priors as kp
            >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
            ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
            >>> method, noise = kp.inference.Laplace("full"), kp.likelihoods.Normal(1.0)
            >>> x, y = np.ones((4, 1)), np.array([[1.0], [2.0], [0.6], [0.4]])
            >>> first = method.fit(model, x[:2], y[:2], noise, verbose=0)
            >>> _ = kp.set_priors(model, first.as_prior())
            >>> second = method.fit(model, x[2:], y[2:], noise, verbose=0)
            >>> f"{second.mean()['line/kernel'].item():.3f}"      # sum(y) / (4 + 1)
            '0.800'

        References:
            - Opper, 1998, A Bayesian approach to on-line learning.
            - Ritter, Botev and Barber, 2018, Online structured Laplace approximations for
              overcoming catastrophic forgetting, arXiv:1805.07810.
            - Tipping and Bishop, 1999, Probabilistic principal component analysis ("low_rank").
        """
        return as_prior(self, structure, rank, num_samples, seed)

    def save(self, path: Any) -> None:
        """Write it, its model and its likelihood to one file, without pickle.

        Args:
            path: str or `pathlib.Path`, ends in ".posterior". The data of `fit` are not saved. A
                file of that name is replaced when the new one is whole, and not before.
        """
        save(self, path)

    @staticmethod
    def load(path: Any) -> Posterior:
        """Read what `save` wrote, in Keras' safe mode, under any backend.

        Args:
            path: str or `pathlib.Path`.

        Raises:
            ValueError: a file that is damaged, or another kind of file; the entry is named.
        """
        found: Posterior = load(path, Posterior._known)
        return found

    def __reduce__(self) -> Any:
        # The bytes of `save`: attribute by attribute, variables would part from their model, and
        # Keras pickles no model whose optimizer has not run. With the class, so that its module
        # is imported where they are read.
        return _of_bytes, (type(self), to_bytes(self))

    def _own_normal(self) -> JointNormalPrior | None:
        """The normal that it is, or None where it is known by its draws."""
        return None

    def _prior_paths(self) -> dict[str, bool]:
        """The weights that `as_prior` of draws is over, and whether they are positive.

        A scale of a prior is integrated out.
        """
        positions = self.positions
        of_model = [k for k, weight in enumerate(positions.weights) if weight.owner is not None]
        scaled = {k: False for k in of_model if positions.is_scaled(k)}
        others = [k for k in of_model if k not in scaled]
        found = scaled | dict(zip(others, positive_of(positions, others), strict=True))
        return {positions.paths[k]: found[k] for k in of_model}

    def _named_handle(self, draw: int) -> Any:
        return self._handles(1, draw)

    def _num_samples(self, num_samples: int | None, default: int) -> int:
        most = self._most_samples
        if num_samples is None:
            return default if most is None else min(default, most)
        num_samples = whole_number(type(self).__name__, "num_samples", num_samples)
        if most is not None and num_samples > most:
            raise ValueError(
                f"`num_samples` must be at most the number of stored draws. Received: num_samples="
                f"{num_samples}, with {most} draws. Draw more in `fit`, or leave it out."
            )
        return num_samples

    def _predictive_at_draws(self, x: Any, num_samples: int | None, seed: Any) -> Any:
        # At draws of the weights, also where `predict` of a subclass has other ways.
        return Posterior.predict(self, x, num_samples, seed=seed, verbose=0)

    def _outputs_at(self, x: Any, num_samples: int, seed: Any) -> tuple[Any, Any]:
        """(likelihood, outputs (S, N, ...) at draws), of a model with one output."""
        one = self._predictive_at_draws(x, num_samples, seed)
        return one.likelihood, one.draws[..., None] if one.draws.ndim == 2 else one.draws

    def _chains(self, num_samples: int | None, seed: Any) -> dict[str, Any]:
        """Draws by path with axes (chain, draw, ...)."""
        return {path: value[None] for path, value in self.draws(num_samples, seed).items()}

    def _sample_stats(self, num_samples: int | None) -> dict[str, Any]:
        """Statistics of the sampler by name, (chain, draw)."""
        return {}

    def __repr__(self) -> str:
        scalars = sum(int(np.prod(shape)) for shape in self.positions.shapes)
        return f"<{type(self).__name__} of {self.model.name}: {scalars} weights>"


def _of_bytes(cls: type[Posterior], content: bytes) -> Posterior:
    found: Posterior = from_bytes(content, cls._known)
    return found
