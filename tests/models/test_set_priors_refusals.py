import keras
import numpy as np
import pytest
from keras import layers

import keras_priors as kp
from tests.models._models import (
    Bare,
    Gain,
    attention,
    described,
    normal,
    sequential,
    variational,
)


def test_another_constraint_is_kept_or_refused():
    layer = layers.Dense(2, kernel_constraint="non_neg", name="out")
    model = keras.Sequential([keras.Input((3,)), layer])
    kp.set_priors(model, {"kernel": normal()})
    assert isinstance(layer.kernel.constraint, keras.constraints.NonNeg)
    with pytest.raises(ValueError, match=r"out/kernel of out has another one[\s\S]*NonNeg"):
        kp.set_priors(model, {"kernel": kp.HalfNormalPrior(1.0)})
    assert repr(layer.kernel.regularizer) == repr(normal())


def test_attention_keeps_one_prior_for_its_kernels():
    model = attention()
    with pytest.raises(ValueError, match=r"heads \(MultiHeadAttention\) keeps one `kernel_reg"):
        kp.set_priors(model, {"*": normal(), "heads/query/kernel": kp.LaplacePrior(0, 1)})
    assert set(kp.get_priors(model).values()) == {None}
    assert model.losses == []
    kp.set_priors(model, {"*/kernel": normal(), "heads/*/kernel": kp.LaplacePrior(0, 1)})


def test_nowhere_to_keep_it_is_refused_and_nothing_is_set():
    x = keras.Input((3,))
    inner = Bare(name="bare")
    model = keras.Model(x, inner(Gain(name="gain")(layers.Dense(3, name="first")(x))))
    config = model.get_config()
    with pytest.raises(ValueError, match=r"gain/gain of gain \(Gain\)[\s\S]*Leave the weight out"):
        kp.set_priors(model, {"first/*": normal(), "gain/*": normal()})
    with pytest.raises(ValueError, match=r"bare/inner/kernel of inner \(Dense\)[\s\S]*\(bare, fun"):
        kp.set_priors(model, {"first/*": normal(), "inner/kernel": normal()})
    with pytest.raises(ValueError, match=r"and 2 more weights"):
        kp.set_priors(model, normal())
    assert set(kp.get_priors(model).values()) == {None}
    assert model.get_config() == config
    assert inner.inner.kernel_regularizer is None
    # The way out.
    assert len(kp.set_priors(model, {"first/*": normal()})) == 2
    assert len(kp.set_priors(model, {"*": None})) == 5


def test_a_subclassed_model_by_itself():
    model = Bare()
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match="does not return its regularizer from `get_config`"):
        kp.set_priors(model, normal())


def test_a_model_that_keras_cannot_make_again():
    class Needy(keras.Model):
        def __init__(self, thing, **kwargs):
            super().__init__(**kwargs)
            self.thing = thing
            self.inner = layers.Dense(2)

        def call(self, x):
            return self.inner(x)

    model = Needy(object(), name="needy")
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match=r"cannot make needy \(Needy\) of its config"):
        kp.set_priors(model, normal())


def test_a_model_that_is_not_what_its_config_says():
    model = Bare()
    model.inner.units = 5
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match=r"has other layers or weights than the model"):
        kp.set_priors(model, normal())


def test_a_layer_in_two_nested_models_is_lost_by_keras_itself():
    x = keras.Input((3,))
    both = layers.Dense(3)
    parts = [keras.Sequential([keras.Input((3,)), both, layers.Dense(3)]) for _ in range(2)]
    model = keras.Model(x, parts[1](parts[0](x)))
    assert len(kp.get_priors(model)) == 6
    with pytest.raises(ValueError, match=r"8 weights, not 6[\s\S]*Keras makes two of it"):
        kp.set_priors(model, normal())


def test_mistakes_in_rules():
    model = sequential()
    with pytest.raises(ValueError, match=r"'hiden/kernel'\. Near it are: hidden/kernel"):
        kp.set_priors(model, {"*": normal(), "hiden/kernel": normal()})
    with pytest.raises(ValueError, match=r"Received: Conv2D, and a model whose[\s\S]*Dense"):
        kp.set_priors(model, {layers.Conv2D: normal()})
    with pytest.raises(ValueError, match="must match a trainable weight"):
        kp.set_priors(model, {lambda layer, variable: False: normal()})
    with pytest.raises(ValueError, match="empty mapping"):
        kp.set_priors(model, {})
    with pytest.raises(TypeError, match=r"must be a prior, or a mapping"):
        kp.set_priors(model, keras.regularizers.L2(0.1))
    with pytest.raises(TypeError, match=r"rule for 'kernel' must be a prior[\s\S]*In place of L2"):
        kp.set_priors(model, {"kernel": keras.regularizers.L2(0.1)})
    with pytest.raises(TypeError, match=r"must be a layer class\. Received: NormalPrior"):
        kp.set_priors(model, {kp.NormalPrior: normal()})
    with pytest.raises(TypeError, match=r"A pattern must be[\s\S]*Received: 3"):
        kp.set_priors(model, {3: normal()})
    with pytest.raises(ValueError, match=r"does not fit out/kernel[\s\S]*weight of shape \(4, 2\)"):
        kp.set_priors(model, {"*": normal(), "kernel": kp.NormalPrior(0, np.ones((3, 4)))})
    assert set(kp.get_priors(model).values()) == {None}


def test_mistakes_in_the_model():
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        kp.set_priors(layers.Dense(1), normal())
    for verb in (kp.get_priors, kp.summary, lambda model: kp.set_priors(model, normal())):
        with pytest.raises(ValueError, match=r"net, which is not\. Write `net\.build\(input_shape"):
            verb(keras.Sequential([layers.Dense(1)], name="net"))
    # Keras warns that this builds nothing, and marks it as built.
    model = Bare(name="net")
    with pytest.warns(UserWarning, match="does not have a `build"):
        model.build((None, 3))
    with pytest.raises(ValueError, match=r"net, whose layers are not\. [\s\S]*call it on a batch"):
        kp.set_priors(model, normal())


def test_the_support_of_a_posterior():
    model = variational()
    with pytest.raises(ValueError, match=r"does not fit hidden/kernel[\s\S]*must not leave"):
        kp.set_priors(model, {"*": kp.HalfNormalPrior(1.0)})
    with pytest.raises(ValueError, match=r"None for out/kernel of out\. Write a wide prior"):
        kp.set_priors(model, {"out/kernel": None})
    assert set(described(kp.get_priors(model)).values()) == {repr(kp.NormalPrior(0, 1))}
