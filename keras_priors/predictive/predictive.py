"""What draws of a network's outputs say about new observations."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import keras
import numpy as np

from keras_priors import likelihoods
from keras_priors.functional.as_array import as_array
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.output_scale import check_outputs_scale
from keras_priors.predictive.by_rows import by_rows
from keras_priors.predictive.mixture import log_mean_density, quantiles, sample_mixture
from keras_priors.utils.export import export
from keras_priors.utils.masked_elements import masked_elements
from keras_priors.utils.parameters import whole_number


@export("keras_priors")
class Predictive:
    """The posterior predictive p(y* | x*, data) = mean_s p(y* | f_s), as NumPy arrays.

    The variance of y* is split by the law of total variance (S is the number of draws),

        epistemic = Var_s E[y* | f_s]     what more data would tell
        aleatoric = E_s Var[y* | f_s]     what it would not
        total     = epistemic + aleatoric

    and for classes the entropy by that of information: entropy = mutual_information +
    expected_entropy. `keras_priors.predict` makes one; so do draws from anywhere else.

    Everything but `draws` and `sample_observations` is float64 and computed when it is asked for.

    Args:
        draws: array (S, N, ...), the network's outputs f_s for N rows.
        likelihood: a likelihood or what `keras_priors.likelihoods.get` takes. Defaults to None:
            then `mean`, `epistemic` and `quantile` are those of the outputs themselves, and what
            needs p(y* | f) raises.

    Raises:
        TypeError: `draws` is not an array of numbers.
        ValueError: `draws` has fewer than two axes, no draw or no row; or holds no probabilities,
            or negative rates, where the likelihood takes those (`from_logits=False`).

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> draws = np.array([[[1.0]], [[3.0]]])  # two draws, one row, one output
        >>> p = kp.Predictive(draws, kp.likelihoods.Normal(scale=2.0))
        >>> float(p.mean[0, 0]), float(p.epistemic[0, 0]), float(p.aleatoric[0, 0])
        (2.0, 1.0, 4.0)
        >>> round(float(p.log_prob(np.array([[2.0]]))[0]), 4)
        -1.7371

    References:
        - Depeweg et al., 2018, Decomposition of uncertainty in Bayesian deep learning, sections
          3.1 and 3.2, arXiv:1710.07283.
        - Houlsby et al., 2011, Bayesian active learning, equation 2, arXiv:1112.5745.
    """

    def __init__(self, draws: Any, likelihood: Any = None) -> None:
        self._draws = _checked(draws)
        # A likelihood takes the last axis as the outputs of one observation.
        self._outputs = self._draws[..., None] if self._draws.ndim == 2 else self._draws
        self._likelihood = None if likelihood is None else likelihoods.get(likelihood)
        self._why_none = "It was made without one."
        if self._likelihood is not None:
            check_outputs_scale(self._likelihood, self._outputs[0])

    @classmethod
    def _without_likelihood(cls, draws: Any, why: str) -> Predictive:
        predictive = cls(draws)
        predictive._why_none = why
        return predictive

    @property
    def draws(self) -> Any:
        """The network's outputs at each draw, (S, N, ...)."""
        return self._draws

    @property
    def likelihood(self) -> Any:
        """p(y | f), or None."""
        return self._likelihood

    @property
    def num_samples(self) -> int:
        """S, the number of draws; 1 for a point estimate."""
        return int(self._draws.shape[0])

    @cached_property
    def mean(self) -> Any:
        """E[y*], (N, ...): for classes, the probabilities; without a likelihood, E[f]."""
        return self._moments[0]

    @cached_property
    def std(self) -> Any:
        """Standard deviation of y*, (N, ...): the square root of `total`."""
        return np.sqrt(self.total)

    @property
    def epistemic(self) -> Any:
        """Var_s E[y* | f_s], (N, ...): the part of the variance that is doubt about the weights."""
        return self._moments[1]

    @cached_property
    def aleatoric(self) -> Any:
        """E_s Var[y* | f_s], (N, ...): the part of the variance that is noise."""
        likelihood = self._needs_likelihood("aleatoric")

        def mean_variance(draws: Any) -> Any:
            return _float64(likelihood.variance(draws)).mean(axis=0)

        return self._per_row(by_rows(mean_variance, self._outputs))

    @cached_property
    def total(self) -> Any:
        """Var[y*], (N, ...): `epistemic` + `aleatoric`."""
        self._needs_likelihood("total")
        return self.epistemic + self.aleatoric

    @cached_property
    def probabilities(self) -> Any:
        """p(y* = c), (N, ..., C), for Categorical and Ordinal; P(y* = 1) for Bernoulli."""
        self._needs_classes("probabilities")
        return self._class_moments[0]

    @cached_property
    def entropy(self) -> Any:
        """Entropy of y* in nats, (N, ...): -sum_c p_c log p_c with p the `probabilities`."""
        self._needs_classes("entropy")
        return _entropy_of(self._likelihood, self.probabilities)

    @cached_property
    def expected_entropy(self) -> Any:
        """E_s of the entropy of y* given f_s, in nats, (N, ...): the aleatoric part."""
        self._needs_classes("expected_entropy")
        return self._class_moments[1]

    @cached_property
    def mutual_information(self) -> Any:
        """`entropy` - `expected_entropy` in nats, (N, ...), at least 0: the epistemic part."""
        self._needs_classes("mutual_information")
        # Concave entropy makes it non-negative; the last bit of float64 may not.
        return np.maximum(self.entropy - self.expected_entropy, 0.0)

    def log_prob(self, y: Any) -> Any:
        """log mean_s p(y_i | f_s) of each observation, constants included.

        Args:
            y: observations, N rows, in the form in which the model was trained on them.

        Returns:
            float64 array (N, ...) in nats, one value for each observation.

        Raises:
            ValueError: no likelihood, or another number of rows.
        """
        likelihood = self._needs_likelihood("log_prob")
        y = as_array(y, "y")
        if y.ndim == 0 or len(y) != self._draws.shape[1]:
            raise ValueError(
                f"`y` must have one row for each of the {self._draws.shape[1]} rows that were "
                f"predicted. Received: an array of shape {y.shape}."
            )
        return by_rows(lambda f, rows: log_mean_density(likelihood, rows, f), self._outputs, y)

    def sample_observations(self, n: int, seed: Any = None) -> Any:
        """Draws of y* itself, noise included.

        Each is drawn at one f_s for all rows; over the n of them every s is used equally often,
        give or take one.

        Args:
            n: integer, how many.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one.

        Returns:
            Array (n, N, ...).
        """
        likelihood = self._needs_likelihood("sample_observations")
        n = whole_number("sample_observations", "n", n)
        return self._per_row(sample_mixture(likelihood, self._outputs, n, seed))

    def quantile(self, q: Any, of: str = "y") -> Any:
        """Quantiles of y*, or of its mean function, of each row and output by itself.

        Of y* by drawing at least 5000 observations of each row, the same number at each f_s, with a
        fixed seed: a 5% quantile has a standard error of about 0.03 standard deviations beside
        that of the S draws. Without a likelihood, quantiles of the outputs over the S draws.

        Args:
            q: float or sequence of floats in [0, 1].
            of: "y", the observation y*; or "mean", E[y* | f], whose quantiles are those of the S
                numbers E[y* | f_s] (of classes their probabilities): doubt about the weights
                alone, without noise. Defaults to "y".

        Returns:
            Array (N, ...), or (len(q), N, ...) for a sequence.

        Raises:
            ValueError: q outside [0, 1], another `of`, or y* is a class.
        """
        q = np.asarray(q, dtype="float64")
        if q.ndim > 1 or not np.all((q >= 0) & (q <= 1)):
            raise ValueError(
                f"`q` must be a number, or a sequence of numbers, from 0 to 1. Received: q={q}."
            )
        if of not in ("y", "mean"):
            raise ValueError(f'`of` must be "y" or "mean". Received: of={of!r}.')
        if of == "mean":
            return self._per_row(_quantiles_of_mean(self._likelihood, self._outputs, q))
        if self._is_classes():
            raise ValueError(
                f"Quantiles need outcomes with an order. Received: {self._likelihood!r}, whose "
                'outcomes are classes. Use `probabilities` or `entropy`, or of="mean" for '
                "quantiles of the probabilities over the draws."
            )
        return self._per_row(quantiles(self._likelihood, self._outputs, q))

    def interval(self, coverage: float = 0.9, of: str = "y") -> tuple[Any, Any]:
        """The central interval that holds y*, or its mean function, with this probability.

            (quantile((1 - coverage) / 2), quantile((1 + coverage) / 2))

        Args:
            coverage: float between 0 and 1. Defaults to 0.9: from the 5% to the 95% quantile.
            of: "y", where an observation y* lies; or "mean", where E[y* | f] does. Defaults to "y".

        Returns:
            Two arrays (N, ...), the lower and the upper end; see `quantile`.
        """
        if isinstance(coverage, bool) or not 0 < coverage < 1:
            raise ValueError(
                "`coverage` must be greater than 0 and less than 1. "
                f"Received: coverage={coverage!r}. For 90% write interval(0.9)."
            )
        low, high = self.quantile([(1 - coverage) / 2, (1 + coverage) / 2], of)
        return low, high

    def to_pandas(self, coverage: float = 0.9) -> Any:
        """A pandas data frame with one line for each of the N rows.

        Columns: `mean`, its interval over the draws (`mean_lower`, `mean_upper`) and `epistemic`;
        with a likelihood `aleatoric` and `std`; the interval of y* (`lower`, `upper`), or for
        classes `entropy`, `expected_entropy` and `mutual_information`. Each is what the attribute
        of that name says; one of several outputs or classes has its number behind it: "mean[0]".

        Args:
            coverage: float between 0 and 1, the probability of both intervals. Defaults to 0.9.

        Raises:
            ImportError: pandas is not installed.
        """
        values = {"mean": self.mean}
        values["mean_lower"], values["mean_upper"] = self.interval(coverage, of="mean")
        values["epistemic"] = self.epistemic
        if self._likelihood is not None:
            values |= {"aleatoric": self.aleatoric, "std": self.std}
        if self._is_classes():
            names = ("entropy", "expected_entropy", "mutual_information")
            values |= {name: getattr(self, name) for name in names}
        elif self._likelihood is not None:
            values["lower"], values["upper"] = self.interval(coverage)
        return _data_frame(values)

    def __repr__(self) -> str:
        samples, rows, *rest = self._draws.shape
        outputs = f", outputs of shape {tuple(rest)}" if rest else ""
        return (
            f"<Predictive: {samples} draw{'s' * (samples != 1)} at {rows} "
            f"row{'s' * (rows != 1)}{outputs}, likelihood {self._likelihood!r}>"
        )

    @cached_property
    def _moments(self) -> tuple[Any, Any]:
        likelihood = self._likelihood

        def moments(draws: Any) -> Any:
            means = _float64(draws if likelihood is None else likelihood.mean(draws))
            return np.stack([means.mean(axis=0), means.var(axis=0)], axis=1)

        both = by_rows(moments, self._outputs)
        return self._per_row(both[:, 0]), self._per_row(both[:, 1])

    @cached_property
    def _class_moments(self) -> tuple[Any, Any]:
        likelihood: Any = self._likelihood

        def mean_probabilities(draws: Any) -> Any:
            return _float64(likelihood.probabilities(draws)).mean(axis=0)

        def mean_entropy(draws: Any) -> Any:
            return _entropy_of(likelihood, _float64(likelihood.probabilities(draws))).mean(axis=0)

        return (
            self._per_row(by_rows(mean_probabilities, self._outputs)),
            self._per_row(by_rows(mean_entropy, self._outputs)),
        )

    def _per_row(self, values: Any) -> Any:
        """Without the axis that was put at the end of outputs (S, N)."""
        return values[..., 0] if self._draws.ndim == 2 else values

    def _is_classes(self) -> bool:
        return isinstance(self._likelihood, (likelihoods.Bernoulli, likelihoods.Categorical))

    def _needs_likelihood(self, name: str) -> Any:
        if self._likelihood is None:
            raise ValueError(
                f"`{name}` needs the likelihood p(y | f), and this Predictive has none. "
                f"{self._why_none} Give one: keras_priors.predict(model, x, likelihood="
                "keras_priors.likelihoods.Normal(scale=...))."
            )
        return self._likelihood

    def _needs_classes(self, name: str) -> None:
        self._needs_likelihood(name)
        if not (self._is_classes() or isinstance(self._likelihood, likelihoods.Ordinal)):
            raise ValueError(
                f"`{name}` is for classes: the likelihoods Categorical, Bernoulli and Ordinal. "
                f"Received: {self._likelihood!r}. Use `std`, `epistemic`, `aleatoric`, `interval`."
            )


def _checked(draws: Any) -> Any:
    if masked := masked_elements(draws):
        raise ValueError(
            f"`draws` must hold numbers. Received: {masked}. Leave out the rows or the draws that "
            "are not known."
        )
    array = keras.ops.convert_to_numpy(draws) if keras.ops.is_tensor(draws) else np.asarray(draws)
    # The small floats of `ml_dtypes`, bfloat16 too, which NumPy does not count as numbers.
    if array.dtype.name.startswith("bfloat"):
        array = array.astype("float32")
    if not np.issubdtype(array.dtype, np.number):
        raise TypeError(f"`draws` must be an array of numbers. Received: dtype {array.dtype}.")
    if array.ndim < 2 or 0 in array.shape[:2]:
        raise ValueError(
            "`draws` must have the shape (S, N, ...): draws, then rows, at least one of each. "
            f"Received: shape {array.shape}. For one point estimate write draws[None]."
        )
    return array


def _float64(values: Any) -> Any:
    return keras.ops.convert_to_numpy(values).astype("float64")


def _entropy_of(likelihood: Any, probabilities: Any) -> Any:
    """Entropy in nats: over the last axis, or for Bernoulli of each probability of a 1."""
    if isinstance(likelihood, Bernoulli):
        return _plogp(probabilities) + _plogp(1.0 - probabilities)
    return _plogp(probabilities).sum(axis=-1)


def _plogp(p: Any) -> Any:
    # 0 log 0 is 0.
    return -p * np.log(np.where(p > 0, p, 1.0))


def _quantiles_of_mean(likelihood: Any, draws: Any, q: Any) -> Any:
    def each(f: Any) -> Any:
        means = _float64(f if likelihood is None else likelihood.mean(f))
        return np.quantile(means, np.atleast_1d(q), axis=0)

    found = by_rows(each, draws, axis=1)
    return found if q.ndim else found[0]


def _data_frame(values: dict[str, Any]) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "`to_pandas` needs pandas. Received: no module named pandas. Install it: "
            "pip install pandas."
        ) from error
    columns = {}
    for name, value in values.items():
        for place in np.ndindex(value.shape[1:]):
            label = f"{name}[{', '.join(map(str, place))}]" if value[0].size > 1 else name
            columns[label] = value[:, *place]
    return pd.DataFrame(columns)
