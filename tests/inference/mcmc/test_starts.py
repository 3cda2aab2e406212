"""Where chains begin."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference.mcmc.starts import starts


@pytest.mark.parametrize(("start", "center"), [("map", np.log(1.5)), ("current", np.log(5.0))])
def test_chains_begin_around_the_mode_of_the_unbounded_weights_or_around_the_model(start, center):
    """Of Gamma(3, 2) and data that say nothing: 3 z - 2 exp(z) is highest at exp(z) = 3 / 2."""
    layer = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_regularizer=kp.GammaPrior(3.0, 2.0),
        kernel_initializer=keras.initializers.Constant(5.0),
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    zero = np.zeros((1, 1), "float32")
    log_posterior = kp.inference.LogPosterior(model, zero, zero, kp.likelihoods.Normal(1.0))
    z, *_ = starts(log_posterior, start, 400, np.array([1, 2], "uint32"))
    # As many on either side, however far each went: an error of the median of 1.25 sd / 20.
    assert abs(np.median(z) - center) < 4 * 1.25 * np.std(z) / 20
