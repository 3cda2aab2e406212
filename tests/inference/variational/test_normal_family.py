"""A family over one vector."""

import keras
import numpy as np

from keras_priors import posteriors
from keras_priors.inference.variational.normal_family import NormalFamily


def test_a_fit_over_one_vector_starts_where_its_own_seed_says():
    starts = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        starts.append(NormalFamily(posteriors.LowRankNormal(2), 5).arrays()["factor"])
    np.testing.assert_array_equal(*starts)
