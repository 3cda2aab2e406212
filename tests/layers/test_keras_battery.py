"""Keras' own battery for layers."""

import keras
import pytest
from keras.src import testing

from keras_priors import posteriors
from keras_priors.layers import VariationalDense

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The battery trains from a generator.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),
]

CASES = {
    "default": ({"units": 2}, 4),
    "no bias": ({"units": 2, "use_bias": False}, 2),
    "local": ({"units": 2, "estimator": "local_reparameterization", "activation": "relu"}, 4),
    "flipout": ({"units": 2, "estimator": "flipout"}, 4),
    "point": ({"units": 2, "kernel_posterior": "delta", "bias_posterior": "delta"}, 2),
    "low rank": ({"units": 2, "kernel_posterior": posteriors.LowRankNormal(2)}, 5),
    "full": ({"units": 2, "kernel_posterior": "full"}, 4),
    "matrix": ({"units": 2, "kernel_posterior": "matrix_normal"}, 5),
}


class TestBattery(testing.TestCase):
    def run_case(self, name, shape):
        arguments, trainable = CASES[name]
        # Keras compares the public attributes before and after; filtering stays as it was.
        self.run_layer_test(
            VariationalDense,
            init_kwargs={**arguments, "num_data": 10, "seed": 0},
            input_shape=shape,
            expected_output_shape=(*shape[:-1], 2),
            expected_num_trainable_weights=trainable,
            expected_num_non_trainable_weights=1,
            expected_num_seed_generators=1,
            expected_num_losses=1 if name == "no bias" else 2,
            supports_masking=True,
        )

    def tearDown(self):
        keras.config.enable_traceback_filtering()
        super().tearDown()


def _add(name):
    def test(self):
        self.run_case(name, (2, 3))

    setattr(TestBattery, f"test_{name.replace(' ', '_')}", test)


for _name in CASES:
    _add(_name)


def test_with_a_time_axis():
    case = TestBattery()
    case.run_case("default", (2, 3, 4))
