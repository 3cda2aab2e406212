"""Subclassed models with Keras' own get_config: converted where Keras can copy them."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.models._zoo import difference


class DefaultConfig(keras.Model):
    """As people write it: Keras' own `get_config`, which returns the default of `units`."""

    def __init__(self, units=5, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(units)
        self.drop = keras.layers.Dropout(rate)

    def call(self, x, training=None):
        return self.drop(self.hidden(x), training=training)


class NoKeywords(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(2)

    def call(self, x):
        return self.out(x)


class WithOptions(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = keras.layers.Dense(2)

    def call(self, x, scale=None, twice=False):
        y = self.out(x) if scale is None else self.out(x) * scale
        return y + y if twice else y


def test_a_converted_model_takes_the_arguments_of_its_own():
    model, x = WithOptions(name="options"), np.ones((2, 3), "float32")
    model(x)
    new = kp.to_variational(model, seed=0)
    for options in ({}, {"twice": True}, {"scale": np.float32([[2.0]]), "twice": True}):
        found, expected = (keras.ops.convert_to_numpy(m(x, **options)) for m in (new, model))
        np.testing.assert_allclose(found, expected, atol=1e-6)


class TestSubclassedModelsWithTheDefaultConfig:
    X = np.ones((2, 3), "float32")

    def built(self, make, **arguments):
        model = make(**arguments)
        model(self.X)
        return model

    def test_of_default_arguments_they_are_converted(self):
        model = self.built(DefaultConfig)
        new = kp.to_variational(model, seed=0)
        assert difference(model, new, self.X) < 1e-6
        assert difference(model, kp.to_deterministic(new), self.X) < 1e-6

    @pytest.mark.parametrize("lost", [{"units": 6}, {"rate": 0.4}])
    def test_arguments_that_keras_loses_are_named(self, lost):
        model = self.built(DefaultConfig, **lost)
        for verb in (kp.to_variational, kp.to_deterministic):
            with pytest.raises(ValueError, match=f"{next(iter(lost))}=.*which is .*get_config"):
                verb(model)

    def test_set_priors_refuses_too(self):
        with pytest.raises(ValueError, match=r"returns the defaults"):
            kp.set_priors(self.built(DefaultConfig, units=6), kp.NormalPrior())

    def test_what_keras_cannot_make_is_refused_at_the_call(self):
        model = self.built(NoKeywords)
        for verb in (kp.to_variational, kp.to_deterministic):
            with pytest.raises(ValueError, match=r"NoKeywords.*Let `__init__` take `\*\*kwargs`"):
                verb(model)
        with pytest.raises(ValueError, match="Keras cannot make no_keywords"):
            kp.set_priors(model, kp.NormalPrior())
