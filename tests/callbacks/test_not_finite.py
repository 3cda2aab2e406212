"""What the error for a penalty that is not finite tells."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_priors.callbacks import BayesianMonitor
from keras_priors.likelihoods import Normal
from keras_priors.priors import LogNormalPrior, NormalPrior


@pytest.mark.parametrize(
    ("layer", "sizes", "argument", "shape"),
    [
        (layers.LSTM, (2,), "recurrent", (4, 3)),
        (layers.GRU, (2,), "recurrent", (4, 3)),
        (layers.LSTM, (2,), "kernel", (4, 3)),
        (layers.DepthwiseConv2D, (2,), "depthwise", (4, 4, 1)),
        (layers.SeparableConv1D, (2, 2), "pointwise", (4, 3)),
        (layers.Embedding, (3, 2), "embeddings", (4,)),
    ],
)
def test_the_constraint_is_named_as_the_layer_takes_it(layer, sizes, argument, shape):
    prior = LogNormalPrior(0.0, 1.0, num_data=2)
    built = layer(*sizes, **{f"{argument}_regularizer": prior})
    model = keras.Sequential([keras.Input(shape), built, layers.Flatten(), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), Normal(1.0))
    (weight,) = [w for w in model.trainable_weights if w.regularizer is prior]
    weight.assign(-np.ones(weight.shape))
    with pytest.raises(ValueError, match=rf" `{argument}_constraint=prior") as error:
        model.fit(np.zeros((2, *shape)), np.zeros(2), callbacks=[BayesianMonitor()], verbose=0)
    assert f"`{argument}_initializer=prior.initializer()`" in str(error.value)
    layer(*sizes, **{f"{argument}_constraint": prior.constraint()})  # it takes what is named


@pytest.mark.parametrize("with_prior", [True, False])
def test_inputs_that_are_not_finite_are_named_among_the_causes(with_prior):
    # Under TensorFlow the loss stays finite, and the weights become NaN.
    x = np.ones((8, 3), "float32")
    x[5, 1] = np.nan
    prior = NormalPrior(0.0, 1.0, num_data=8) if with_prior else None
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation="relu", kernel_regularizer=prior),
            layers.Dense(1, kernel_regularizer=NormalPrior(0.0, 1.0, num_data=8)),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01), Normal(1.0))
    with pytest.raises(ValueError, match=r"/kernel has .* not finite: NaN .* by the data"):
        model.fit(x, x[:, :1], batch_size=4, callbacks=[BayesianMonitor()], verbose=0)
