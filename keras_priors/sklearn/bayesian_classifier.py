"""A Bayesian neural network as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from keras_priors.likelihoods.categorical import Categorical
from keras_priors.sklearn.bayesian_estimator import BayesianEstimator, checked_weights
from keras_priors.utils.export import export


@export()
class BayesianClassifier(ClassifierMixin, BayesianEstimator):
    """A Keras model with priors, its posterior and class probabilities, as scikit-learn has them.

    All is as in `BayesianRegressor`; the likelihood is `Categorical` with one logit for each class.
    It can be calibrated by `sklearn.calibration.CalibratedClassifierCV`.

    Args:
        model: function from the numbers of inputs and of classes to a new built `keras.Model` whose
            outputs are logits; at the top of a module, for pickle. Priors of its own are kept where
            `prior` is None. Defaults to None: a dense net of `hidden_units`.
        prior: `keras_priors.Prior` for all weights, or rules of `keras_priors.set_priors`.
            Defaults to None: of the default net `VarianceScalingPrior(2)` for kernels and N(0, 1)
            for biases.
        method: a method of `keras_priors.inference`. Defaults to None: `SGHMC()`.
        hidden_units: integer, or sequence of them, of the default net. Defaults to 50.
        activation: str, of its hidden layers. Defaults to "relu".
        num_steps: integer, steps of plain `fit` before the method begins; 0 for methods that do
            not begin at the model, such as `DeepEnsemble`. Defaults to 6000.
        standardize: bool, whether inputs get the mean 0 and the variance 1 of the training rows.
            Defaults to True.
        num_samples: integer, most draws of the weights in predictions. Defaults to 100.
        random_state: integer, `numpy.random.RandomState` or None. An integer gives the same
            posterior again. Defaults to None.
        verbose: "auto", 1 or 0, as in `fit` of the method. Defaults to 0.

    Attributes:
        classes_: array (C,), the labels in order.
        posterior_: the posterior, of standardized inputs and of classes from 0 to C - 1.
        n_features_in_: integer, the number of inputs.
        feature_names_in_: their names, of a pandas table.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: at `fit`, an argument of the wrong type.
        ValueError: at `fit`, one class alone, rows that are not finite, and as `fit` of the method.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> from keras_priors.sklearn import BayesianClassifier
        >>> X = np.linspace(-1, 1, 30)[:, None]
        >>> model = BayesianClassifier(
        ...     hidden_units=4, method=kp.inference.MAP(), num_steps=0, random_state=0)
        >>> model.fit(X, np.where(X[:, 0] > 0, "yes", "no")).predict([[-1.0], [1.0]]).tolist()
        ['no', 'yes']

    References:
        - The interface of scikit-learn, https://scikit-learn.org/stable/developers/develop.html.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BayesianClassifier:
        """Find the posterior.

        Args:
            X: array or pandas table (N, features).
            y: labels (N,), numbers or words.
            sample_weight: array (N,), factors of the log densities of the rows, or None.

        Returns:
            Itself.
        """
        X, y = validate_data(self, X, y, dtype="float64")
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "BayesianClassifier needs labels of at least two classes. Received: one class, "
                f"{self.classes_[0]!r}."
            )
        weights = checked_weights(sample_weight, X)
        self._fit(X, labels.astype("int32"), len(self.classes_), Categorical(), weights)
        return self

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, mean_s p(y* | f_s): (N, C), in the order of `classes_`.

        Args:
            X: array or pandas table (N, features).
        """
        return np.asarray(self._predictive(X).probabilities, "float64")

    def predict(self, X: Any) -> Any:
        """The most probable class of each row.

        Args:
            X: array or pandas table (N, features).
        """
        probabilities = self.predict_proba(X)  # first: it says what is not fitted
        return self.classes_[probabilities.argmax(axis=1)]

    def mutual_information(self, X: Any) -> Any:
        """What the weights leave open about y*, in nats: (N,). High where data were missing.

        Args:
            X: array or pandas table (N, features).
        """
        return np.asarray(self._predictive(X).mutual_information, "float64")

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Any:
        """Draws of the class, (N, n_samples).

        Args:
            X: array or pandas table (N, features).
            n_samples: integer. Defaults to 1.
            random_state: integer, `numpy.random.RandomState` or None. Defaults to 0.
        """
        drawn = self._observations(X, n_samples, random_state)
        return self.classes_[drawn.astype(int).reshape(len(drawn), -1).T]
