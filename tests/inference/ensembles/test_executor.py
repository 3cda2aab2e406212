"""Members in other processes are those of this one."""

import concurrent.futures
import multiprocessing
import os
import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference import workers
from tests.inference._lines import SIGMA, line_data, line_model

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)


@pytest.fixture(scope="module")
def pool():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool


class Here(concurrent.futures.Executor):
    """Does in this process what a worker would do, when it is asked to."""

    def __init__(self, outcomes=()):
        self.outcomes, self.futures = dict(outcomes), []

    def submit(self, work, function, arguments, setting, parent):
        number = arguments[-1]
        future = concurrent.futures.Future()
        self.futures.append(future)
        outcome = self.outcomes.get(number)
        if outcome is None:
            future.set_result(work(function, arguments, setting, (0, "another")))
        elif outcome != "never":
            future.set_exception(outcome)
        return future


class Said(keras.callbacks.Callback):
    """Warns, or fails, in the members that it is told."""

    def __init__(self, warns=(), fails=()):
        super().__init__()
        self.warns, self.fails = warns, fails
        self.number = None

    def __call__(self, number):
        self.number = number
        return [self]

    def on_epoch_end(self, epoch, logs=None):
        if self.number in self.warns:
            warnings.warn("something of a member", UserWarning, stacklevel=1)
        if self.number in self.fails:
            raise _Odd(f"failed, in process {os.getpid()}")


class _Odd(Exception):
    """One that pickle cannot bring back."""

    def __reduce__(self):
        raise TypeError("not this one")


def net():
    prior = kp.NormalPrior(0, 1)
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, "tanh", kernel_regularizer=prior, bias_regularizer=prior),
            keras.layers.BatchNormalization(beta_regularizer=prior, gamma_regularizer=prior),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="last"),
        ]
    )


def fit(method, model, seed=3, **arguments):
    x, y = line_data()
    return method.fit(model, x, y, LIKELIHOOD, seed=seed, verbose=0, **arguments)


def same(one, other):
    for path, draws in one.draws().items():
        np.testing.assert_allclose(other.draws()[path], draws, rtol=1e-5, atol=1e-6)
    for place, states in one._states.items():
        np.testing.assert_allclose(other._states[place], states, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_processes_give_the_same_members_and_what_they_say_has_their_number(pool, tmp_path):
    model, method = net(), kp.inference.DeepEnsemble(2, epochs=2, batch_size=64)
    with pytest.warns(UserWarning, match="^Member 1: something of a member$") as said:
        there = fit(
            method, model, executor=pool, checkpoint=tmp_path / "c",
            callbacks=Said(warns=[1]), validation_split=0.25,
        )  # fmt: skip
    of_users = [w for w in said if w.category is UserWarning]
    assert len(of_users) == 1 and of_users[0].filename == __file__
    here = fit(method, model, validation_split=0.25)
    same(here, there)
    first, second = here.draws()["last/kernel"]
    assert np.abs(first - second).max() > 0.01
    # What they did is kept: nothing is left to do, with workers or without.
    for executor in (None, Here({0: RuntimeError(), 1: RuntimeError()})):
        again = fit(
            method, model, executor=executor, checkpoint=tmp_path / "c",
            callbacks=Said(), validation_split=0.25,
        )  # fmt: skip
        same(there, again)
    with pytest.raises(RuntimeError, match="_Odd: failed, in process") as failed:
        fit(method, model, executor=pool, callbacks=Said(fails=[1]))
    assert failed.value.__notes__ == ["Raised by member 1 of DeepEnsemble."]
    assert str(os.getpid()) not in str(failed.value)


@pytest.mark.slow
def test_randomized_map_in_processes(pool):
    method = kp.inference.RandomizedMAP(2)
    same(fit(method, line_model()), fit(method, line_model(), executor=pool))


@pytest.mark.slow
def test_a_cluster_of_dask_gives_the_same_members():
    distributed = pytest.importorskip("distributed")
    model, method = net(), kp.inference.DeepEnsemble(2, epochs=2, batch_size=64)
    with (
        distributed.LocalCluster(2, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = fit(method, model, executor=client.get_executor())
    same(fit(method, model), there)


def test_priors_travel():
    """Keras' file has no prior that is set for a time, and a joint one not as one."""
    model, shape = line_model(), (3, 1)
    covariance = 0.01 * (np.eye(3) + 1.0)
    joint = kp.JointNormalPrior({"line/kernel": np.full(shape, 3.0)}, covariance=covariance)
    method = kp.inference.DeepEnsemble(2, epochs=1, batch_size=256, start="prior")
    for prior in (joint, kp.NormalPrior(3, 0.1)):
        kp.set_priors(model, prior, saved=False)
        same(fit(method, model), fit(method, model, executor=Here()))


def test_the_first_failure_ends_all_and_ctrl_c_gives_what_there_is():
    method = kp.inference.DeepEnsemble(3, epochs=1, batch_size=256)
    executor = Here({0: "never", 1: "never", 2: OSError("gone")})
    with pytest.raises(OSError, match="gone") as failed:
        fit(method, line_model(), executor=executor)
    assert "member 2" in failed.value.__notes__[0]
    assert [f.cancelled() for f in executor.futures] == [True, True, False]
    executor = Here({1: KeyboardInterrupt()})
    with pytest.warns(UserWarning, match="there are 2 of 3 members"):
        posterior = fit(method, line_model(), executor=executor)
    path = posterior.paths[0]
    np.testing.assert_allclose(
        posterior.draws()[path], fit(method, line_model()).draws()[path][[0, 2]], rtol=1e-5
    )


def test_what_cannot_give_the_same_members_is_refused(monkeypatch):
    method, model = kp.inference.DeepEnsemble(2, epochs=1, batch_size=256), line_model()
    with pytest.raises(TypeError, match=r"get_executor\(\).*Received: executor=2 of type int"):
        fit(method, model, executor=2)
    with pytest.raises(TypeError, match="executor"):
        fit(kp.inference.RandomizedMAP(2), model, executor=2)
    with pytest.raises(ValueError, match=r"known there.*PicklingError|AttributeError"):
        fit(method, model, executor=Here(), callbacks=lambda number: [])
    with (
        concurrent.futures.ThreadPoolExecutor(2) as threads,
        pytest.raises(ValueError, match="works in a thread of this process"),
    ):
        fit(method, model, executor=threads)
    # As in a process forked from this one, and in one of another backend.
    with monkeypatch.context() as patched:
        patched.setattr(workers, "_PROCESS", (os.getppid(), "mine"))
        with pytest.raises(ValueError, match="works in a forked process"):
            fit(method, model, executor=Here())
    here = workers._setting()

    class Elsewhere(Here):
        def submit(self, work, function, arguments, setting, parent):
            other = {**setting, "floatx": "float64"}
            return super().submit(work, function, arguments, other, parent)

    with pytest.raises(ValueError, match="floatx='float32' for 'float64'"):
        fit(method, model, executor=Elsewhere())
    assert here["KERAS_BACKEND"] == keras.config.backend()
