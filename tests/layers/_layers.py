"""Built layers with arbitrary posteriors, and what their outputs should be, in numpy."""

import numpy as np

from keras_priors.layers import VariationalDense
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import FAMILIES, moments, scatter

ESTIMATORS = {
    "reparameterization": list(FAMILIES),
    "local_reparameterization": [
        "mean_field",
        "delta",
        "low_rank_1",
        "low_rank_3",
        "matrix_normal",
    ],
    "flipout": ["mean_field", "delta"],
}
PAIRS = [(estimator, family) for estimator, families in ESTIMATORS.items() for family in families]
X = np.random.default_rng(3).normal(size=(3, 3)).astype("float32")


def dense(estimator, family, bias="mean_field", units=2, inputs=3, seed=0):
    """A built layer whose variables have arbitrary values."""
    layer = VariationalDense(
        units,
        kernel_posterior=FAMILIES[family],
        bias_posterior=FAMILIES[bias],
        estimator=estimator,
        num_data=100,
        seed=seed,
    )
    layer.build((None, inputs))
    scatter(variables_of(layer.kernel_posterior), seed=seed + 1)
    scatter(variables_of(layer.bias_posterior), seed=seed + 2)
    return layer


def variables_of(posterior):
    names = ("loc", "rho", "factor", "scale_tril", "scale_row", "scale_column")
    return {name: vars(posterior)[name] for name in names if name in vars(posterior)}


def raw_of(posterior):
    return {part: as_numpy(variable) for part, variable in variables_of(posterior).items()}


def output_moments(x, kernel, bias):
    """Mean (rows, units) and within-row covariance (rows, units, units) of x w + b.

    `kernel` and `bias` are pairs of mean and covariance of the flattened weights.
    """
    units = len(bias[0])
    inputs = x.shape[-1]
    mean = x @ kernel[0].reshape(inputs, units) + bias[0]
    blocks = kernel[1].reshape(inputs, units, inputs, units)
    covariance = np.einsum("ri,iojp,rj->rop", x, blocks, x) + bias[1]
    return mean, covariance


def expected(layer, family, bias, x):
    kernel = moments(family, raw_of(layer.kernel_posterior))
    return output_moments(x, kernel, moments(bias, raw_of(layer.bias_posterior)))
