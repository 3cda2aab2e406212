"""The temperature of the lowest negative log density of held rows, against its closed form."""

import concurrent.futures
import functools
import multiprocessing
import pickle
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


def fit_of_a_module(temperature, warns_at=None, fails_at=None):
    if temperature == warns_at:
        warnings.warn("something of a fit", UserWarning, stacklevel=1)
    if temperature == fails_at:
        raise OSError("no fit")
    laplace = kp.inference.Laplace("full")
    return laplace.fit(line(), ONES, ONES, NOISE, verbose=0, temperature=temperature)


class Elsewhere(concurrent.futures.Executor):
    """What comes and goes is pickled, and the process that asks is another."""

    def __init__(self):
        self.futures = []

    def submit(self, work, function, arguments, setting, parent):
        future = concurrent.futures.Future()
        self.futures.append(future)
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))
        try:
            given = work(function, arguments, setting, (0, "another"))
        except OSError as error:
            future.set_exception(error)
        else:
            future.set_result(pickle.loads(pickle.dumps(given)))
        return future


def same(here, there):
    """But for the seconds that each took."""
    assert there.temperature == here.temperature == 4.0
    assert list(there.table) == list(here.table) == ["4", "1", "0.25"]
    for name, row in here.table.items():
        for key, value in row.items():
            if not key.endswith("_s"):
                assert there.table[name][key] == pytest.approx(value, rel=1e-5), (name, key)
    for path, mean in here.fitted.mean().items():
        np.testing.assert_allclose(there.fitted.mean()[path], mean, rtol=1e-5)


def test_an_executor_gives_what_a_loop_gives():
    executor, y = Elsewhere(), 3.5 * ONES
    fit = functools.partial(fit_of_a_module, warns_at=1.0)
    with pytest.warns(UserWarning, match="^Temperature 1.0: something of a fit$"):
        there = kp.inference.tune_temperature(fit, ONES, y, GRID, executor=executor)
    here = kp.inference.tune_temperature(fit_of_a_module, ONES, y, GRID)
    assert len(executor.futures) == 3
    same(here, there)


def test_a_failure_elsewhere_names_its_temperature():
    fit, executor = functools.partial(fit_of_a_module, fails_at=1.0), Elsewhere()
    with pytest.raises(OSError, match="no fit") as failed:
        kp.inference.tune_temperature(fit, ONES, ONES, GRID, executor=executor)
    assert failed.value.__notes__ == ["Raised by temperature 1.0 of tune_temperature."]
    with pytest.raises(TypeError, match="`executor` must be a concurrent"):
        kp.inference.tune_temperature(fit, ONES, ONES, GRID, executor=2)
    with (
        concurrent.futures.ThreadPoolExecutor(1) as threads,
        pytest.raises(ValueError, match="works in a thread of this process"),
    ):
        kp.inference.tune_temperature(fit, ONES, ONES, GRID, executor=threads)


@pytest.mark.slow
def test_processes_of_a_pool_and_of_dask():
    y = 3.5 * ONES
    here = kp.inference.tune_temperature(fit_of_a_module, ONES, y, GRID)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        same(here, kp.inference.tune_temperature(fit_of_a_module, ONES, y, GRID, executor=pool))
        with pytest.raises(ValueError, match="function of a module") as refused:
            kp.inference.tune_temperature(
                lambda T: fit_of_a_module(T), ONES, y, GRID, executor=pool
            )
        assert "temperature 4.0" in refused.value.__cause__.__notes__[0]
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = kp.inference.tune_temperature(
            lambda T: fit_of_a_module(T), ONES, y, GRID, executor=client.get_executor()
        )
    same(here, there)
