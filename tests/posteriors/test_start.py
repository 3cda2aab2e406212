"""Where posteriors begin: unlike in equal layers, and again the same by `set_random_seed`."""

import keras
import numpy as np
import pytest

from keras_priors import posteriors
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import FAMILIES, build

RANDOM = [("factor", "low_rank_1"), ("factor", "low_rank_3")] + [("loc", f) for f in FAMILIES]


def started(family, seed=None):
    """The variables of two posteriors built one after the other, as in two equal layers."""
    if seed is not None:
        keras.utils.set_random_seed(seed)
    both = [build(FAMILIES[family], initializer="glorot_uniform")[1] for _ in range(2)]
    return [{name: as_numpy(v) for name, v in one.items()} for one in both]


@pytest.mark.parametrize("part, family", RANDOM)
def test_equal_layers_begin_unlike(part, family):
    first, second = started(family)
    assert np.all(first[part] != second[part])


@pytest.mark.parametrize("family", FAMILIES)
def test_set_random_seed_repeats_it(family):
    first, again, other = started(family, 3), started(family, 3), started(family, 4)
    for one, two in zip(first, again, strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(value, two[name], err_msg=name)
    random = [part for part, name in RANDOM if name == family]
    assert all(np.all(first[0][part] != other[0][part]) for part in random)


def test_the_factor_of_a_low_rank_normal_is_a_tenth_of_its_diagonal():
    keras.utils.set_random_seed(0)
    _, variables = build(posteriors.LowRankNormal(40, initial_scale=0.5), (50, 20))
    factor = as_numpy(variables["factor"])
    # The standard error of a sample's standard deviation is sd / sqrt(2 n).
    error = 0.05 / np.sqrt(2 * factor.size)
    assert abs(factor.std() - 0.05) < 4 * error
    assert abs(factor.mean()) < 4 * 0.05 / np.sqrt(factor.size)
