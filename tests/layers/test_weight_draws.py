"""Inside the scope each posterior has one draw, independent of all others."""

import numpy as np
import pytest
from keras import ops

from keras_priors.layers.weight_draws import WeightDraws, active_draws
from tests.layers._layers import dense
from tests.posteriors._calculus import as_numpy, over_seeds, standard_errors
from tests.posteriors._families import SPREAD, make, moments, raw_values

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.mark.parametrize("estimator", ["reparameterization", "local_reparameterization", "flipout"])
def test_one_draw_for_all_rows_and_calls(estimator):
    layer = dense(estimator, "mean_field")
    with WeightDraws(np.array([1, 2], "uint32")):
        first = as_numpy(layer(X))
        assert np.array_equal(first, as_numpy(layer(X)))
        # `training` does not matter.
        assert np.array_equal(first, as_numpy(layer(X, training=True)))
        rows = np.concatenate([as_numpy(layer(X[i : i + 1])) for i in range(4)])
    np.testing.assert_allclose(rows, first, rtol=1e-5)
    assert active_draws() is None
    with WeightDraws(np.array([1, 3], "uint32")):
        assert not np.allclose(first, as_numpy(layer(X)))
    assert not np.allclose(first, as_numpy(layer(X)))


def test_scopes_nest():
    layer = dense("reparameterization", "mean_field")
    with WeightDraws(np.array([1, 2], "uint32")) as outer:
        first = as_numpy(layer(X))
        with WeightDraws(np.array([5, 6], "uint32")):
            assert not np.allclose(first, as_numpy(layer(X)))
        assert active_draws() is outer
        assert np.array_equal(first, as_numpy(layer(X)))


@pytest.mark.parametrize("family", SPREAD)
def test_posteriors_are_drawn_independently(family):
    # Streams of one seed must not meet: not across posteriors, nor with the parts of one draw.
    first, first_variables = make(family, seed=0)
    second, second_variables = make(family, seed=1)

    def both(seed):
        with WeightDraws(seed) as scope:
            return ops.stack([scope.draw(first), scope.draw(second)])

    draws = over_seeds(both, 2000).reshape(2000, 2, -1)
    mean_1, _ = moments(family, raw_values(first_variables))
    mean_2, _ = moments(family, raw_values(second_variables))
    products = (draws[:, 0] - mean_1)[:, :, None] * (draws[:, 1] - mean_2)[:, None, :]
    assert standard_errors(products, 0.0).max() < 4
