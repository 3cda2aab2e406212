"""The measurements, and the table that a person reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import keras_priors as kp
from keras_priors.demo.data import Data
from keras_priors.demo.fits import Fit

COLUMNS = ("accuracy", "NLL", "Brier", "ECE", "entropy", "entropy on patches")


@dataclass(frozen=True)
class Row:
    """One fit, its predictions and its numbers."""

    fit: Fit
    predictive: Any
    values: tuple[float, ...]


def measure(fit: Fit, data: Data, num_samples: int, seed: int) -> Row:
    """Predictions on test digits and on patches, and the numbers of the table."""
    predictive = kp.predict(fit.model, data.x_test, num_samples=num_samples, seed=seed)
    outside = kp.predict(fit.model, data.x_out, num_samples=num_samples, seed=seed)
    p = predictive.probabilities
    values = (
        float(np.mean(p.argmax(axis=-1) == data.y_test)),
        -float(np.mean(predictive.log_prob(data.y_test))),
        kp.metrics.brier_score(data.y_test, p),
        kp.metrics.expected_calibration_error(data.y_test, p),
        float(np.mean(predictive.entropy)),
        float(np.mean(outside.entropy)),
    )
    return Row(fit, predictive, values)


def format_table(rows: list[Row]) -> str:
    """Lines of a table with one row a fit."""
    lines = [
        f"{'net':<11}{'fit':<13}" + "".join(f"{c:>10}" for c in COLUMNS[:5]) + f"{COLUMNS[5]:>20}"
    ]
    for row in rows:
        numbers = "".join(f"{value:>10.3f}" for value in row.values[:5])
        lines.append(f"{row.fit.net:<11}{row.fit.method:<13}{numbers}{row.values[5]:>20.3f}")
    return "\n".join(lines)
