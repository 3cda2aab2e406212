"""Keras' own battery for layers: config, shapes, dtypes, training, saving of what is wrapped."""

import keras
import pytest
from keras.src import testing

from keras_priors.layers import Variational
from tests.layers._wrapped import TWICE, WRAPPED, rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The battery trains from a generator.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),
]


class TestBattery(testing.TestCase):
    def run_case(self, name):
        layer = WRAPPED[name][0]()
        # As a config: the battery makes several of it, which cannot share the layer.
        wrapped = keras.saving.serialize_keras_object(layer)
        (x,) = rows(name)
        shape = tuple(layer(x).shape)
        weights = len(layer.trainable_weights)
        self.run_layer_test(
            Variational,
            init_kwargs={"layer": wrapped, "num_data": 10, "seed": 0},
            input_shape=x.shape,
            expected_output_shape=shape,
            expected_num_trainable_weights=2 * weights,
            expected_num_losses=weights,
            supports_masking=layer.supports_masking,
        )

    def tearDown(self):
        keras.config.enable_traceback_filtering()
        super().tearDown()


def _add(name):
    def test(self):
        self.run_case(name)

    setattr(TestBattery, f"test_{name.replace(' ', '_')}", test)


for _name in WRAPPED:
    # The battery has one input, of numbers, and builds from shapes, which such a model refuses.
    if _name not in (*TWICE, "embedding", "backbone", "model by hand"):
        _add(_name)
