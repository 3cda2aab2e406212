"""A Bayesian neural network as a scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from keras_priors.inference.method import Method
from keras_priors.likelihoods.heteroscedastic_normal import HeteroscedasticNormal
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.sklearn.bayesian_estimator import (
    BayesianEstimator,
    centre_and_unit,
    checked_weights,
)
from keras_priors.utils.export import export


@export()
class BayesianRegressor(RegressorMixin, BayesianEstimator):
    """A Keras model with priors, its posterior and its predictions, as scikit-learn has them.

    `fit` makes the net, puts the priors on it, trains it to the MAP by Adam with a rate that falls
    to 0, and hands it to the method, whose posterior is `posterior_`. It works in `Pipeline`,
    `GridSearchCV` (over `prior`, say), `cross_val_predict`, `clone`, pickle and joblib.

    The default is what did best on rows held back of UCI's regressions (`docs/benchmarks.md`): one
    hidden layer, mean and standard deviation of each row, `SGHMC`. Its chains seldom agree about a
    net, and it says so by a warning.

    Args:
        model: function from the numbers of inputs and of outputs to a new built `keras.Model`; at
            the top of a module, for pickle. Outputs are those of the likelihood: two for each
            target by default. Priors of its own are kept where `prior` is None. Defaults to None:
            a dense net of `hidden_units`.
        prior: `keras_priors.Prior` for all weights, or rules of `keras_priors.set_priors`.
            Defaults to None: of the default net `VarianceScalingPrior(2)` for kernels and N(0, 1)
            for biases.
        method: a method of `keras_priors.inference`. Defaults to None: `SGHMC()`.
        likelihood: a likelihood, in the units of the targets. Defaults to None:
            `HeteroscedasticNormal` of standardized targets.
        hidden_units: integer, or sequence of them, of the default net. Defaults to 50.
        activation: str, of its hidden layers. Defaults to "relu".
        num_steps: integer, steps of plain `fit` before the method begins; 0 for methods that do
            not begin at the model, such as `DeepEnsemble`. Defaults to 6000.
        standardize: bool, whether inputs, and with the default likelihood targets, get the mean 0
            and the variance 1 of the training rows. Defaults to True.
        num_samples: integer, most draws of the weights in predictions. Defaults to 100.
        random_state: integer, `numpy.random.RandomState` or None. An integer gives the same
            posterior again. Defaults to None.
        verbose: "auto", 1 or 0, as in `fit` of the method. Defaults to 0.

    Attributes:
        posterior_: the posterior, of standardized rows: `summary`, `save`, `diagnose` and so on.
        n_features_in_: integer, the number of inputs.
        feature_names_in_: their names, of a pandas table.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: at `fit`, an argument of the wrong type.
        ValueError: at `fit`, rows that are not finite, and as `fit` of the method.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> from keras_priors.sklearn import BayesianRegressor
        >>> X = np.linspace(-1, 1, 30)[:, None]
        >>> model = BayesianRegressor(
        ...     likelihood=kp.likelihoods.Normal(0.5), method=kp.inference.MAP(), hidden_units=4,
        ...     num_steps=0, random_state=0)
        >>> mean, std = model.fit(X, 3 * X[:, 0] + 2).predict(X, return_std=True)
        >>> mean.shape, std.shape
        ((30,), (30,))

    References:
        - The interface of scikit-learn, https://scikit-learn.org/stable/developers/develop.html.
    """

    def __init__(
        self,
        model: Callable[[int, int], Any] | None = None,
        prior: Any = None,
        method: Method | None = None,
        likelihood: Likelihood | None = None,
        *,
        hidden_units: Any = 50,
        activation: str = "relu",
        num_steps: int = 6000,
        standardize: bool = True,
        num_samples: int = 100,
        random_state: Any = None,
        verbose: Any = 0,
    ) -> None:
        super().__init__(
            model,
            prior,
            method,
            hidden_units=hidden_units,
            activation=activation,
            num_steps=num_steps,
            standardize=standardize,
            num_samples=num_samples,
            random_state=random_state,
            verbose=verbose,
        )
        self.likelihood = likelihood

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianRegressor:
        """Find the posterior.

        Args:
            X: array or pandas table (N, features).
            y: array (N,) or (N, targets).
            sample_weight: array (N,), factors of the log densities of the rows, or None.

        Returns:
            Itself.
        """
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype="float64")
        y = np.asarray(y, "float64")
        self._flat_ = y.ndim == 1
        y = y.reshape(len(y), -1)
        likelihood = self.likelihood
        scaled = self.standardize and likelihood is None
        weights = checked_weights(sample_weight, X)
        self._y_centre_, self._y_unit_ = centre_and_unit(y, weights, scaled)
        if likelihood is None:
            likelihood = HeteroscedasticNormal()
        if not isinstance(likelihood, Likelihood):
            raise TypeError(
                "`likelihood` of BayesianRegressor must be one of keras_priors.likelihoods. "
                f"Received: {likelihood!r}."
            )
        target = ((y - self._y_centre_) / self._y_unit_).astype("float32")
        outputs = y.shape[1] * likelihood._outputs_per_target
        self._fit(X, target, outputs, likelihood, weights)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """E[y*], and the standard deviation of y* if asked for: noise and weights together.

        Args:
            X: array or pandas table (N, features).
            return_std: bool. Defaults to False.

        Returns:
            float64 array in the shape of the targets of `fit`; with `return_std` a pair of them.
        """
        predictive = self._predictive(X)
        mean = self._shaped(predictive.mean * self._y_unit_ + self._y_centre_)
        if not return_std:
            return mean
        return mean, self._shaped(predictive.std * self._y_unit_)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Any, Any]:
        """The central interval that holds y* with this probability: (low, high).

        Args:
            X: array or pandas table (N, features).
            coverage: float in (0, 1). Defaults to 0.9.
        """
        ends = self._predictive(X).interval(coverage)
        low, high = (self._shaped(end * self._y_unit_ + self._y_centre_) for end in ends)
        return low, high

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Any:
        """Draws of y*, (N, n_samples) or (N, targets, n_samples).

        Args:
            X: array or pandas table (N, features).
            n_samples: integer. Defaults to 1.
            random_state: integer, `numpy.random.RandomState` or None. Defaults to 0.
        """
        drawn = self._observations(X, n_samples, random_state)
        drawn = drawn.astype("float64") * self._y_unit_ + self._y_centre_
        drawn = np.moveaxis(drawn, 0, -1)
        return drawn[:, 0] if self._flat_ else drawn

    def log_prob(self, X: Any, y: Any) -> Any:
        """log p(y | x) of each row in nats, in the units of the targets: (N,).

        Args:
            X: array or pandas table (N, features).
            y: array (N,) or (N, targets).
        """
        predictive = self._predictive(X)
        y = np.asarray(y, "float64").reshape(len(predictive.mean), -1)
        scaled = (y - self._y_centre_) / self._y_unit_
        return np.asarray(predictive.log_prob(scaled)) - np.log(self._y_unit_).sum()

    def _shaped(self, values: Any) -> Any:
        values = np.asarray(values, "float64").reshape(len(values), -1)
        return values[:, 0] if self._flat_ else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
