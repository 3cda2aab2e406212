"""Labels and probabilities of classes, checked."""

from typing import Any

import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.rows import probability_array, row_weights, to_numpy, without_ones
from keras_priors.metrics.scores import squared_distances
from keras_priors.predictive.check_outputs_known import check_outputs_known
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import share


@share
def class_rows(y_true: Any, prediction: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """Integer labels (M,), float64 probabilities (M, C) and weights (M,).

    Steps of a row, and the several outputs of `Bernoulli`, are rows of their own here.

    Args:
        y_true: labels, or one-hot rows beside a `Predictive`.
        prediction: `Predictive` with a likelihood of classes; (M, C); or (M,), of class 1 of 2.
        sample_weight: for each row, or step; None for 1.
    """
    if isinstance(prediction, Predictive):
        return _of_predictive(y_true, prediction, sample_weight)
    labels, probabilities = labels_and_probabilities(y_true, prediction)
    return labels, probabilities, row_weights(sample_weight, labels.shape)


@share
def class_values(y_true: Any, prediction: Any) -> tuple[Any, Any]:
    """The squared distance of each row's probabilities, and whether its class is right."""
    labels, probabilities, _ = class_rows(y_true, prediction)
    right = probabilities.argmax(axis=-1) == labels
    values = (squared_distances(NUMPY, labels, probabilities), right.astype("float64"))
    if not isinstance(prediction, Predictive):
        return values
    shape = class_shape(prediction)
    return values[0].reshape(shape), values[1].reshape(shape)


def class_shape(predictive: Predictive) -> tuple[int, ...]:
    """The shape of labels of a predictive, one for each."""
    shape: tuple[int, ...] = predictive.probabilities.shape
    return shape if isinstance(predictive.likelihood, Bernoulli) else shape[:-1]


def _of_predictive(y_true: Any, predictive: Predictive, sample_weight: Any) -> tuple[Any, Any, Any]:
    check_outputs_known("A metric of classes", predictive)
    p, labels, shape = predictive.probabilities, to_numpy(y_true), class_shape(predictive)
    two = isinstance(predictive.likelihood, Bernoulli)
    if not two and labels.shape == p.shape:
        if not (np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=-1) == 1)):
            raise ValueError(
                f"`y` of the shape {labels.shape} must be one-hot rows. Received: rows that are "
                "not all zeros and one 1. Give labels, or one-hot rows."
            )
        labels = labels.argmax(axis=-1)
    if without_ones(labels.shape) != without_ones(shape):
        raise ValueError(
            f"`y` must hold one label for each prediction, of the shape {shape}. Received: shape "
            f"{labels.shape}."
        )
    labels, probabilities = labels_and_probabilities(
        labels.reshape(-1), p.reshape(-1) if two else p.reshape(-1, p.shape[-1])
    )
    return labels, probabilities, row_weights(sample_weight, shape).reshape(-1)


def labels_and_probabilities(y_true: Any, prediction: Any) -> tuple[Any, Any]:
    """Integer labels (N,) and float64 probabilities (N, C); (N,) of class 1 becomes (N, 2)."""
    y_true, (prediction, rounding) = to_numpy(y_true), probability_array(prediction)
    if prediction.ndim == 1 or prediction.shape[1:] == (1,):
        prediction = np.stack([1.0 - prediction.ravel(), prediction.ravel()], axis=1)
    if prediction.ndim != 2 or len(prediction) == 0:
        raise ValueError(
            "`prediction` must have the shape (N, C), or (N,) for the probability of class 1 of 2. "
            f"Received: shape {prediction.shape}."
        )
    if not (np.all(prediction >= 0) and np.allclose(prediction.sum(axis=1), 1.0, atol=rounding)):
        raise ValueError(
            "Rows of `prediction` must be probabilities: not negative, with the sum 1. Received: "
            f"values from {prediction.min():.4g} to {prediction.max():.4g}, sums from "
            f"{prediction.sum(axis=1).min():.4g} to {prediction.sum(axis=1).max():.4g}. "
            "Of logits take the softmax first."
        )
    if y_true.shape == (len(prediction), 1):
        y_true = y_true[:, 0]
    if y_true.shape != (len(prediction),):
        raise ValueError(
            f"`y_true` must hold one label for each of the {len(prediction)} rows of `prediction`. "
            f"Received: shape {y_true.shape}. Of one-hot rows take y_true.argmax(axis=-1)."
        )
    if y_true.dtype.kind in "UTSO":
        raise ValueError(
            "`y_true` must hold integer labels, the columns of `prediction`. Received: labels of "
            f"dtype {y_true.dtype}, first {y_true[0]!r}. Number the classes: classes, y_true = "
            "numpy.unique(y_true, return_inverse=True)."
        )
    classes = prediction.shape[1]
    if not np.all(np.isin(y_true, np.arange(classes))):
        raise ValueError(
            f"`y_true` must hold integer labels from 0 to {classes - 1}, the columns of "
            f"`prediction`. Received: values from {y_true.min()!r} to {y_true.max()!r}."
        )
    return y_true.astype("int64"), prediction
