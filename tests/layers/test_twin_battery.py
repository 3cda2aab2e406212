"""Keras' own battery for layers: config, shapes, dtypes, training, saving of every twin."""

import keras
import pytest
from keras.src import testing

from tests.layers._twins import CASES, ESTIMATORS, data, plain, skip_unless_it_runs, twin_class

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The battery trains from a generator.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),
]


class TestBattery(testing.TestCase):
    def run_case(self, case):
        skip_unless_it_runs(case)
        layer = plain(case)
        weights = len(layer.weights)
        # Each estimator in a third of the cases.
        estimator = ESTIMATORS[list(CASES).index(case) % 3]
        x = data(case)
        # Keras' einsum layer leaves unknown what its `output_shape` leaves out.
        shape = layer.compute_output_shape(x.shape)
        self.run_layer_test(
            twin_class(case),
            init_kwargs={**CASES[case][1], "estimator": estimator, "num_data": 10, "seed": 0},
            input_shape=x.shape,
            input_dtype=x.dtype.name,
            expected_output_shape=shape,
            expected_num_trainable_weights=2 * weights,
            expected_num_non_trainable_weights=1,
            expected_num_seed_generators=1,
            expected_num_losses=weights,
            supports_masking=layer.supports_masking,
        )

    def tearDown(self):
        keras.config.enable_traceback_filtering()
        super().tearDown()


def _add(case):
    def test(self):
        self.run_case(case)

    setattr(TestBattery, f"test_{case.replace(' ', '_')}", test)


for _case in CASES:
    _add(_case)
