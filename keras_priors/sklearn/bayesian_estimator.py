"""What the two scikit-learn estimators share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.inference.ensembles.deep_ensemble import DeepEnsemble
from keras_priors.inference.method import Method
from keras_priors.inference.sgmcmc.sghmc import SGHMC
from keras_priors.models.set_priors import set_priors
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.priors.variance_scaling_prior import VarianceScalingPrior
from keras_priors.utils.keras_internals import seeded_initializers
from keras_priors.utils.parameters import whole_number

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "keras_priors.sklearn needs scikit-learn 1.6 or newer. "
        "Write `pip install 'keras-priors[sklearn]'`."
    ) from error

_BATCH = 64
# The recipe that `benchmarks/uci.py` chose on rows held back.
_RATE = 0.01


class BayesianEstimator(BaseEstimator):
    """From rows to a posterior: the net, its priors, plain `fit`, then the method. Abstract."""

    def __init__(
        self,
        model: Callable[[int, int], Any] | None = None,
        prior: Any = None,
        method: Method | None = None,
        *,
        hidden_units: Any = 50,
        activation: str = "relu",
        num_steps: int = 6000,
        standardize: bool = True,
        num_samples: int = 100,
        random_state: Any = None,
        verbose: Any = 0,
    ) -> None:
        # As they are: scikit-learn wants arguments checked in `fit`.
        self.model = model
        self.prior = prior
        self.method = method
        self.hidden_units = hidden_units
        self.activation = activation
        self.num_steps = num_steps
        self.standardize = standardize
        self.num_samples = num_samples
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X: Any, y: Any, outputs: int, likelihood: Any, weights: Any) -> None:
        """`X` is checked, `y` in the form in which the likelihood takes it."""
        self._centre_, self._unit_ = centre_and_unit(X, weights, self.standardize)
        x = self._inputs(X)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with seeded_initializers(seed):
            model = self._model(x.shape[1], outputs)
        method = SGHMC() if self.method is None else self.method
        if not isinstance(method, Method):
            raise TypeError(
                f"`method` of {type(self).__name__} must be a method of keras_priors.inference, "
                f"such as SGHMC(). Received: {self.method!r}."
            )
        options = {"sample_weight": weights, "seed": seed, "verbose": self.verbose}
        if self.num_steps:
            self._begin(model, x, y, likelihood, options)
        self.posterior_ = method.fit(model, x, y, likelihood, **options)

    def _begin(self, model: Any, x: Any, y: Any, likelihood: Any, options: Any) -> None:
        """Plain `fit` to the MAP, as an ensemble of one, whose seeds are its own."""
        steps = whole_number(type(self).__name__, "num_steps", self.num_steps)
        batch = min(_BATCH, len(x))
        each = -(-len(x) // batch)
        epochs = max(1, round(steps / each))
        adam = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, epochs * each))
        one = DeepEnsemble(1, epochs, batch, adam, start="model")
        with warnings.catch_warnings():
            # It is where the method begins, which says itself how far it came.
            warnings.filterwarnings("ignore", ".* members of DeepEnsemble", UserWarning)
            found = one.fit(model, x, y, likelihood, **options)
        draws = found.draws()
        for path, variable in zip(found.paths, found.positions.variables, strict=True):
            variable.assign(draws[path][0])

    def _model(self, inputs: int, outputs: int) -> Any:
        """The net with its priors."""
        if self.model is None:
            layers: list[Any] = [keras.Input((inputs,))]
            for k, units in enumerate(np.atleast_1d(np.asarray(self.hidden_units, object))):
                units = whole_number(type(self).__name__, "hidden_units", units)
                name = f"hidden_{k}" if k else "hidden"
                layers.append(keras.layers.Dense(units, activation=self.activation, name=name))
            model: Any = keras.Sequential([*layers, keras.layers.Dense(outputs, name="last")])
        else:
            model = self.model(inputs, outputs)
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`model` of {type(self).__name__} must be a function of the numbers of inputs and "
                f"outputs that returns a built keras.Model. Received: one that returns {model!r}."
            )
        rules = self.prior
        if rules is None and self.model is None:
            rules = {"*kernel": VarianceScalingPrior(2.0), "*bias": NormalPrior(0.0, 1.0)}
        if rules is not None:
            if not isinstance(rules, (Prior, Mapping)):
                raise TypeError(
                    f"`prior` of {type(self).__name__} must be a prior, or rules of "
                    f"keras_priors.set_priors. Received: {rules!r}."
                )
            set_priors(model, rules)
        return model

    def _inputs(self, X: Any) -> Any:
        return ((X - self._centre_) / self._unit_).astype("float32")

    def _observations(self, X: Any, n_samples: Any, random_state: Any) -> Any:
        """Draws of y* (n_samples, N, ...), of the targets as the likelihood has them."""
        n_samples = whole_number("sample_y", "n_samples", n_samples)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return np.asarray(self._predictive(X).sample_observations(n_samples, seed))

    def _predictive(self, X: Any) -> Any:
        """The `Predictive` of rows that were not checked, by the same draws each time."""
        check_is_fitted(self, "posterior_")
        X = validate_data(self, X, reset=False, dtype="float64")
        posterior = self.posterior_
        most = posterior._most_samples
        num_samples = self.num_samples if most is None else min(most, self.num_samples)
        return posterior.predict(self._inputs(X), num_samples, seed=0, verbose=0)


def checked_weights(weights: Any, X: Any) -> Any:
    """float64 (N,), or None."""
    if weights is None:
        return None
    return _check_sample_weight(weights, X, dtype="float64", ensure_non_negative=True)


def centre_and_unit(X: Any, weights: Any, standardize: bool) -> tuple[Any, Any]:
    """Mean and standard deviation of each column, or 0 and 1; 1 where a column does not vary."""
    if not standardize:
        return np.zeros(X.shape[1:]), np.ones(X.shape[1:])
    centre = np.average(X, axis=0, weights=weights)
    unit = np.sqrt(np.average(np.square(X - centre), axis=0, weights=weights))
    return centre, np.where(unit > 0.0, unit, 1.0)
