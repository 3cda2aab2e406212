"""The outputs of every twin have the mean and variance that linearity gives them."""

import numpy as np
import pytest
from keras import ops

from tests.layers._twins import (
    ESTIMATORS,
    arguments_of,
    data,
    expected_moments,
    scattered,
    skip_unless_it_runs,
    twin,
)
from tests.posteriors._calculus import compiled, standard_errors
from tests.posteriors._families import FAMILIES

# Each of them compiles a layer and takes many draws.
pytestmark = pytest.mark.slow

DRAWS = 600
# Each linear map with each layout once.
CASES = [
    "einsum",
    "einsum transposed",
    "einsum batched",
    "einsum summed",
    "conv1d causal",
    "conv2d groups",
    "conv2d first",
    "conv3d",
    "conv1d transpose",
    "conv2d transpose first",
    "depthwise1d",
    "depthwise2d first",
    "separable1d",
    "separable2d",
    "embedding",
]
FAMILIES_OF_KERNELS = [
    ("conv2d groups", "local_reparameterization", "low_rank_3"),
    ("conv2d first", "local_reparameterization", "low_rank_1"),
    ("conv1d transpose", "reparameterization", "low_rank_1"),
    ("depthwise2d", "local_reparameterization", "low_rank_1"),
    ("einsum", "local_reparameterization", "low_rank_1"),
    ("einsum summed", "local_reparameterization", "low_rank_1"),
    ("einsum transposed", "local_reparameterization", "matrix_normal"),
    ("einsum ellipsis", "local_reparameterization", "matrix_normal"),
    ("einsum ellipsis", "reparameterization", "matrix_normal"),
    ("embedding", "local_reparameterization", "low_rank_3"),
    ("embedding", "local_reparameterization", "matrix_normal"),
    ("embedding", "reparameterization", "full"),
    ("conv2d no bias", "reparameterization", "log_normal"),
]


def draws_of(layer, x):
    """Many calls in training, compiled: (draws, *output)."""
    state = [layer.seed_generator.state]
    run = compiled(lambda tensor: layer(tensor, training=True), layer.trainable_variables, state)
    tensor = ops.convert_to_tensor(x)
    return np.stack([run(tensor)[0] for _ in range(DRAWS)])


def check(case, layer, family="mean_field"):
    x = data(case)
    mean, variance = expected_moments(case, layer, x, family)
    draws = draws_of(layer, x)
    assert standard_errors(draws, mean).max() < 4.5
    assert standard_errors((draws - mean) ** 2, variance).max() < 4.5


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("case", CASES)
def test_mean_and_variance(case, estimator):
    skip_unless_it_runs(case)
    check(case, scattered(twin(case, estimator=estimator)))


@pytest.mark.parametrize("case, estimator, family", FAMILIES_OF_KERNELS)
def test_mean_and_variance_of_other_families(case, estimator, family):
    skip_unless_it_runs(case)
    kernel = {f"{arguments_of(case)[0]}_posterior": FAMILIES[family]}
    check(case, scattered(twin(case, estimator=estimator, **kernel)), family)
