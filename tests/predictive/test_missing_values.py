"""NaN and infinity in x: refused, unless the model fills them in."""

import keras
import numpy as np
import pytest

import keras_priors as kp

NORMAL = kp.likelihoods.Normal(1.0)


@keras.saving.register_keras_serializable("keras_priors_tests")
class FillIn(keras.layers.Layer):
    def call(self, x):
        return keras.ops.where(keras.ops.isnan(x), 2.0, x)


def net(activation="relu", fill=False, layer=None):
    prior = {"kernel_regularizer": kp.NormalPrior(0, 1), "bias_regularizer": kp.NormalPrior(0, 1)}
    dense = layer or (lambda units, **kw: keras.layers.Dense(units, **kw, **prior))
    model = keras.Sequential(
        [
            keras.Input((3,)),
            *([FillIn()] if fill else []),
            dense(4, activation=activation),
            dense(1),
        ],
        name="net",
    )
    model.compile("sgd", loss=NORMAL)
    return model


def variational(units, **kwargs):
    return kp.VariationalDense(units, num_data=6, **kwargs)


def rows(bad, count=6):
    x = np.random.default_rng(0).standard_normal((count, 3)).astype("float32")
    x[4, 1] = bad
    return x


# `relu` of NaN is 0 under TensorFlow, tanh of infinity is 1 everywhere: the outputs are finite.
BAD = [("relu", np.nan), ("tanh", np.nan), ("tanh", np.inf), ("relu", -np.inf)]
WAYS = {
    "predict": lambda m, x: kp.predict(m, x, 2, seed=0, verbose=0),
    "prior": lambda m, x: kp.prior_predictive(m, x, 2, seed=0, verbose=0),
}
MESSAGE = r"`x` must be finite where net needs it\. Received: .* in 1 of 6 rows, first in row 4\."


@pytest.mark.parametrize(("activation", "bad"), BAD)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused(way, activation, bad):
    with pytest.raises(ValueError, match=MESSAGE + " Leave these rows out"):
        WAYS[way](net(activation), rows(bad))


def test_it_is_refused_by_variational_layers():
    with pytest.raises(ValueError, match=MESSAGE):
        kp.predict(net(layer=variational), rows(np.nan), 2, seed=0, verbose=0)


def test_posteriors_refuse_it():
    x = rows(0.0)
    prior = kp.NormalPrior(0, 1)
    dense = keras.layers.Dense(1, "tanh", use_bias=False, kernel_regularizer=prior)
    model = keras.Sequential([keras.Input((3,)), dense], name="net")
    draws = kp.inference.SamplePosterior(model, NORMAL, [np.ones((1, 2, 3, 1), "float32")])
    laplace = kp.inference.Laplace("full").fit(model, x, x[:, :1], NORMAL, verbose=0)
    for predict in (draws.predict, laplace.predict, lambda x: laplace.predict(x, method="mc")):
        with pytest.raises(ValueError, match=MESSAGE):
            predict(rows(np.inf))


@pytest.mark.parametrize(("activation", "bad"), BAD)
def test_no_posterior_begins_with_it(activation, bad):
    x = rows(bad)
    with pytest.raises(ValueError, match=MESSAGE[:-2]):
        kp.inference.LogPosterior(net(activation), x, np.ones((6, 1)), NORMAL)


def test_the_row_is_that_of_the_data_set():
    x = rows(np.nan, 7)
    with pytest.raises(ValueError, match="1 of 3 rows, first in row 4"):
        kp.predict(net(), iter([x[:3], x[3:6], x[6:]]), verbose=0)


def test_each_place_is_looked_at():
    x = rows(np.nan)
    x[2, 0] = np.inf
    with pytest.raises(ValueError, match="in 2 of 6 rows, first in row 2"):
        kp.predict(net(fill=True), x, verbose=0)


def test_a_model_may_fill_it_in():
    model, x = net(fill=True), rows(np.nan)
    filled = np.where(np.isnan(x), 2.0, x).astype("float32")
    found = kp.predict(model, x, verbose=0)
    np.testing.assert_array_equal(found.draws, kp.predict(model, filled, verbose=0).draws)


def test_integers_are_let_alone():
    model = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(4, 2)])
    assert kp.predict(model, np.ones((3, 2), "int32"), verbose=0).draws.shape == (1, 3, 2, 2)
