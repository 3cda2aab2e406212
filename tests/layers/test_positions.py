"""An observation that uses a weight at several positions has one draw of it."""

import numpy as np
import pytest
from keras import ops

from keras_priors.layers.estimators import ESTIMATORS
from tests.layers._twins import (
    CASES,
    EACH,
    basis_outputs,
    expected_joint,
    scattered,
    skip_unless_it_runs,
    twin,
    twin_class,
)
from tests.posteriors._calculus import as_numpy, over_seeds, standard_errors

DRAWS = 400
ROWS = 6


def near_each_other(case, batch):
    """The same row `batch` times, so that its positions are strongly correlated."""
    if case == "embedding":
        row = np.array([1, 2, 1], "int32")
    else:
        shape = (4, 3) if case == "dense" else CASES[case][2]
        row = 1.0 + 0.3 * np.random.default_rng(3).normal(size=shape).astype("float32")
    return np.stack([row] * batch).astype(row.dtype)


def drawn(layer, x, estimator, seed):
    """Outputs of a training call, activation aside, from `seed`."""
    y, maps = layer.prepare(ops.convert_to_tensor(x)), layer.linear_maps()
    for k, (op, kernel) in enumerate(maps):
        bias = layer.posteriors.get("bias") if k == len(maps) - 1 else None
        # The second word moves far, so that the maps have streams of their own.
        y = ESTIMATORS[estimator](op, y, kernel, bias, seed + ops.cast([0, k << 20], "uint32"))
    return ops.reshape(y, (len(x), -1))


def pooled_over_positions(shape, case):
    """The matrix that sums an output over all positions, and one that takes first and last."""
    units = 1 if CASES[case][1].get("data_format") else len(shape) - 1
    count = int(np.prod(shape))
    unit = np.indices(shape)[units].reshape(-1)
    total = np.eye(shape[units])[unit]
    first = np.eye(count)[[np.flatnonzero(unit == k)[0] for k in range(shape[units])]].T
    last = np.eye(count)[[np.flatnonzero(unit == k)[-1] for k in range(shape[units])]].T
    return total, first, last


@pytest.mark.parametrize("case", EACH)
def test_the_covariance_of_positions(case):
    skip_unless_it_runs(case)
    layer, x = scattered(twin(case)), near_each_other(case, ROWS)
    mean, covariance = expected_joint(case, layer, x[:1])
    total, first, last = pooled_over_positions(mean.shape[1:], case)

    def outputs(seed):
        both = [drawn(layer, x, name, seed) for name in ("reparameterization", "flipout")]
        return ops.stack(both)

    draws = over_seeds(outputs, DRAWS) - mean.reshape(-1)
    for k, name in enumerate(("reparameterization", "flipout")):
        centred = draws[:, k]
        pooled = centred @ total
        variance = np.diag(total.T @ covariance @ total)
        # Rows share the noise: one number for each draw of it.
        assert standard_errors((pooled**2).mean(axis=1), variance).max() < 4.5, name
        products = ((centred @ first) * (centred @ last)).mean(axis=1)
        assert standard_errors(products, np.diag(first.T @ covariance @ last)).max() < 4.5, name
    others = pooled[:, 0] * pooled[:, 1:].mean(axis=1)
    assert standard_errors(others, 0.0).max() < 4.5


@pytest.mark.parametrize("case", EACH)
def test_flipout_gives_an_observation_one_weight(case):
    skip_unless_it_runs(case)
    point = {"bias_posterior": "delta"} if "bias" in twin_class(case).weight_arguments else {}
    layer, x = scattered(twin(case, estimator="flipout", **point)), near_each_other(case, 8)
    if case != "embedding":
        x = np.ones_like(x)  # few outputs are possible then
    noise = as_numpy(layer(x, training=True) - layer(x)).reshape(8, -1)
    shapes = {name: tuple(q.shape) for name, q in layer.posteriors.items() if name != "bias"}
    basis, _ = basis_outputs(case, x[:1], list(shapes), shapes)
    columns = basis.reshape(-1, basis.shape[-1]).T
    w, *_ = np.linalg.lstsq(columns, noise.T, rcond=1e-5)
    np.testing.assert_allclose(columns @ w, noise.T, atol=1e-4)
    assert np.abs(noise - noise[0]).max() > 1e-3
