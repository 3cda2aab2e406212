"""What was forgotten, frozen or lost without a word: `num_data`, variables, NaN weights."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import likelihoods
from keras_priors.functional.check_finite_weights import check_finite_weights

X = np.ones((6, 2), "float32")


def net(**kwargs):
    return keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, name="one", **kwargs), keras.layers.Dense(1)]
    )


def test_set_priors_carries_num_data_on():
    model = net(kernel_regularizer=kp.NormalPrior(0, 1))
    kp.set_num_data(model, X)
    set_now = kp.set_priors(model, {"*kernel": kp.LaplacePrior(0, 1)})
    assert [prior.num_data for prior in set_now.values()] == [6, 6]
    own = kp.set_priors(model, {"one/kernel": kp.LaplacePrior(0, 1, num_data=9)})
    assert own["one/kernel"].num_data == 9
    # Two numbers: neither is that of the model.
    (prior,) = kp.set_priors(model, {"one/bias": kp.NormalPrior(0, 1)}).values()
    assert prior.num_data is None


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda v: likelihoods.StudentT(3.0, scale=v), "scale"),
        (lambda v: likelihoods.Normal(v), "scale"),
        (lambda v: likelihoods.NegativeBinomial(v), "total_count"),
        (lambda v: kp.NormalPrior(0, v), "scale"),
        (lambda v: kp.NormalPrior(v, 1.0), "loc"),
        (lambda v: kp.UniformPrior(0.0, v), "high"),
        (lambda v: kp.GammaPrior(v, 1.0), "concentration"),
    ],
)
def test_a_variable_is_no_parameter(make, name):
    variable = keras.Variable(1.0)
    with pytest.raises(TypeError, match=f"`{name}` of .* is a constant"):
        make(variable)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_predict_nothing(bad):
    model = net()
    normal = likelihoods.Normal(1.0)
    posterior = kp.inference.MAP().fit(
        _with_priors(),
        X,
        X[:, :1],
        normal,
        seed=0,
        verbose=0,
    )
    posterior.predict(X, verbose=0)
    kp.predict(model, X, likelihood=normal, verbose=0)
    model.layers[0].kernel.assign([[bad], [1.0]])
    with pytest.raises(ValueError, match=r"NaN or infinity in .*one/kernel"):
        kp.predict(model, X, likelihood=normal, verbose=0)
    posterior._values = lambda handles: [
        np.full((len(handles), *shape), bad, "float32") for shape in posterior.positions.shapes
    ]
    with pytest.raises(ValueError, match="Draws of weights must be finite"):
        posterior.predict(X, verbose=0)


def _with_priors():
    model = net()
    kp.set_priors(model, kp.NormalPrior(0, 1))
    return model


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_what_is_finite_in_every_dtype(dtype):
    largest = 6e4 if dtype == "float16" else 3e38
    # Of which the sum is beyond float32.
    model = net()
    variable = keras.Variable(np.full((4, 1), largest), dtype=dtype)
    check_finite_weights(model, [variable])
    for value in (np.nan, np.inf):
        variable.assign(np.array([[0.0], [value], [1.0], [2.0]]))
        with pytest.raises(ValueError, match="must be finite to predict with"):
            check_finite_weights(model, [variable])
