"""The temperature of the lowest negative log density of held rows, against its closed form."""

import functools
import warnings

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp

ONES = np.ones((3, 1), "float32")
NOISE = kp.likelihoods.Normal(1.0)
GRID = (4.0, 1.0, 0.25)


def line():
    dense = keras.layers.Dense(
        1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line"
    )
    return keras.Sequential([keras.Input((1,)), dense])


@pytest.fixture(scope="module")
def fit():
    model, laplace = line(), kp.inference.Laplace("full")
    # The same for each test: a fit at a temperature is made once.
    return functools.cache(
        lambda T: laplace.fit(model, ONES, ONES, NOISE, verbose=0, temperature=T)
    )


def exact(temperature, y):
    """y* ~ N(3/4, 1 + T/4) at x = 1."""
    return -stats.norm.logpdf(y, 0.75, np.sqrt(1 + temperature / 4))


@pytest.mark.parametrize(("y", "best"), [(3.5, 4.0), (1.868, 1.0)])
def test_the_lowest_is_chosen(fit, y, best):
    assert min(GRID, key=lambda T: exact(T, y)) == best
    found = kp.inference.tune_temperature(fit, ONES, y * ONES, GRID, num_samples=4000)
    assert found.temperature == best == found.fitted.temperature
    assert list(found.table) == ["4", "1", "0.25"]
    for temperature in GRID:
        nll = found.table[f"{temperature:g}"]["nll"]
        assert nll == pytest.approx(exact(temperature, y), abs=0.03)


def test_the_coldest_is_told(fit):
    with pytest.warns(UserWarning, match=r"the coldest, 0\.25"):
        found = kp.inference.tune_temperature(fit, ONES, 0.75 * ONES, GRID)
    assert found.temperature == 0.25
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        kp.inference.tune_temperature(fit, ONES, ONES, (1.0,))
    assert not [one for one in said if issubclass(one.category, UserWarning)]


def test_a_model_of_variational_layers():
    def trained(temperature):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((1,)), kp.VariationalDense(1)])
        kp.set_num_data(model, 3, temperature=temperature)
        model.compile("sgd", NOISE)
        model.fit(ONES, ONES, verbose=0)
        return model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one step, whichever is better
        found = kp.inference.tune_temperature(trained, ONES, ONES, (1.0, 0.1))
    assert found.fitted.layers[0].temperature == found.temperature


def test_mistakes(fit):
    with pytest.raises(TypeError, match="function of the temperature"):
        kp.inference.tune_temperature(kp.inference.SGLD(), ONES, ONES)
    for wrong in ((), (0.0,), (1.0, -1.0)):
        with pytest.raises(ValueError, match=r"temperatures.*Received"):
            kp.inference.tune_temperature(fit, ONES, ONES, wrong)
