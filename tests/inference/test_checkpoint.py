"""A fit that is killed and goes on gives the posterior of one that nobody killed."""

import contextlib
import json
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference import journal as journals
from tests.inference._chains import SHORT_CHAINS

TORCH = keras.config.backend() == "torch"
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 2)).astype("float32")
Y = (X @ np.array([[1.0], [-0.5]]) + 0.3 * RANDOM.normal(size=(12, 1))).astype("float32")
CHAIN = {"batch_size": 4, "num_burnin": 40, "num_samples": 300, "thinning": 4, "num_chains": 2}
SHORT = {"batch_size": 4, "num_burnin": 4, "num_samples": 3, "thinning": 2, "num_chains": 1}
# With so many steps that a process can die after the first and after the third.
METHODS = {
    "SGLD": kp.inference.SGLD(1e-3, **CHAIN),
    "SGHMC": kp.inference.SGHMC(1e-4, **CHAIN),
    "NUTS": kp.inference.NUTS(2, 120, 60),
    "HMC": kp.inference.HMC(2, 120, 60),
    "MeanField": kp.inference.MeanField(60, batch_size=5),
    "FullRank": kp.inference.FullRank(60),
    "LowRank": kp.inference.LowRank(1, 60),
    "IVON": kp.inference.IVON(60, batch_size=5),
    "SWAG": kp.inference.SWAG(1e-3, batch_size=4, burnin_epochs=2, num_snapshots=4),
    "DeepEnsemble": kp.inference.DeepEnsemble(3, epochs=2, batch_size=4),
    "RandomizedMAP": kp.inference.RandomizedMAP(3),
    "MAP": kp.inference.MAP(),
    "Laplace": kp.inference.Laplace("full"),
    "Laplace low rank": kp.inference.Laplace("low_rank", rank=2),
}
# What others of the family, or of the same loop, do here.
SLOW = {*METHODS} - {"SGHMC", "MeanField", "DeepEnsemble", "RandomizedMAP", "Laplace"}
quiet = pytest.mark.filterwarnings("ignore::UserWarning")  # few draws, few steps
METHODS["short"] = kp.inference.SGHMC(1e-4, **SHORT)
each_method = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW))
        for name in METHODS
        if name != "short"
    ],
)


def line():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="line")])
    kp.set_priors(model, kp.NormalPrior(0, 1))
    return model


def fit(name, checkpoint=None, y=Y, **more):
    more = {"seed": 0, "likelihood": kp.likelihoods.Normal(0.5), **more}
    return METHODS[name].fit(line(), X, y, verbose=0, checkpoint=checkpoint, **more)


def values(posterior):
    return np.concatenate([np.ravel(v) for v in posterior.draws(None, seed=1).values()])


class Killed(BaseException):
    """What a process that dies does not live to see: no handler of ours names it."""


@pytest.fixture
def killed_after(monkeypatch):
    """A process that dies in the step after `count` kept ones; what was done is counted."""
    done, limit, step = [], [np.inf], journals.Journal.step

    def dying(self, name, advance, state):
        def work():
            if len(done) >= limit[0]:
                raise Killed
            done.append(name)
            return advance()

        return step(self, name, work, state)

    monkeypatch.setattr(journals.Journal, "step", dying)

    def after(count):
        limit[0] = count

    return after, done


@each_method
@quiet
def test_it_goes_on_as_if_nobody_had_killed_it(name, tmp_path, killed_after):
    if TORCH and name in ("NUTS", "HMC"):
        pytest.skip("its kernels are not on PyTorch")
    after, done = killed_after
    whole = values(fit(name))
    steps = len(done)
    done.clear()
    place = kp.inference.Checkpoint(tmp_path / "run", seconds=0)
    for count in (1, 3):
        after(count)
        with contextlib.suppress(Killed):  # at the second time not where there are three in all
            fit(name, place)
    assert len(done) == min(steps, 3)
    after(np.inf)
    np.testing.assert_array_equal(values(fit(name, place)), whole)
    assert len(done) == steps  # of all processes together: nothing is done twice
    done.clear()
    np.testing.assert_array_equal(values(fit(name, place)), whole)
    assert done == []  # at its end it is there at once


@quiet
def test_a_seed_of_its_own_is_kept(tmp_path, killed_after):
    after, _ = killed_after
    place = kp.inference.Checkpoint(tmp_path / "run", seconds=0)
    after(1)
    with pytest.raises(Killed):
        fit("RandomizedMAP", place, seed=None)
    after(np.inf)
    first = values(fit("RandomizedMAP", place, seed=None))
    np.testing.assert_array_equal(values(fit("RandomizedMAP", place, seed=None)), first)
    with pytest.raises(ValueError, match="another seed"):
        fit("RandomizedMAP", place, seed=5)


@SHORT_CHAINS
@quiet
def test_another_run_is_refused_and_what_differs_named(tmp_path):
    folder = tmp_path / "run"
    first = fit("short", folder)
    for change, words in (
        ({"y": -Y}, "with other targets"),
        ({"likelihood": kp.likelihoods.Normal(0.1)}, "another likelihood"),
        ({"temperature": 0.5}, r"temperature=1.0 there and 0.5 here"),
        ({"seed": 1}, "another seed"),
        ({"resume": first}, "another posterior to go on from"),
    ):
        with pytest.raises(ValueError, match=words):
            fit("short", folder, **change)
    with pytest.raises(ValueError, match="another method"):
        fit("SGLD", folder)
    other = kp.inference.SGHMC(1e-4, **{**SHORT, "num_samples": 4})
    arguments = {"likelihood": kp.likelihoods.Normal(0.5), "seed": 0, "verbose": 0}
    with pytest.raises(ValueError, match="num_samples=3 there and 4 here"):
        other.fit(line(), X, Y, checkpoint=folder, **arguments)
    model = line()
    model.layers[-1].bias.assign([1.0])
    with pytest.raises(ValueError, match="another model, or other weights"):
        METHODS["short"].fit(model, X, Y, checkpoint=folder, **arguments)
    np.testing.assert_array_equal(values(fit("short", folder)), values(first))
    # A posterior to go on from is the same by what it holds.
    more = [fit("short", tmp_path / "more", resume=first) for _ in range(2)]
    np.testing.assert_array_equal(*map(values, more))


def test_other_layers_of_the_same_weights_are_refused(tmp_path):
    def net(layers):
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((2,)), *layers()])
        kp.set_priors(model, kp.NormalPrior(0, 1))
        return model

    def fit_of(model):
        likelihood = kp.likelihoods.Normal(0.5)
        return kp.inference.MAP().fit(model, X, Y, likelihood, verbose=0, checkpoint=tmp_path)

    dense = keras.layers.Dense
    runs = [fit_of(net(lambda: [dense(3, "relu"), dense(1)])) for _ in range(2)]
    np.testing.assert_array_equal(*map(values, runs))
    for other in (
        lambda: [dense(3, "tanh"), dense(1)],
        lambda: [keras.layers.Rescaling(5.0), dense(3, "relu"), dense(1)],
        lambda: [dense(3, "relu"), keras.layers.Dropout(0.5), dense(1)],
    ):
        with pytest.raises(ValueError, match="other layers, or other arguments"):
            fit_of(net(other))


def test_fewer_rows_are_other_inputs(tmp_path):
    arguments = {"verbose": 0, "checkpoint": tmp_path}
    likelihood = kp.likelihoods.Normal(0.5)
    kp.inference.MAP().fit(line(), X, Y, likelihood, **arguments)
    with pytest.raises(ValueError, match=r"same call of `fit`.*other inputs; other targets"):
        kp.inference.MAP().fit(line(), X[:3], Y[:3], likelihood, **arguments)


def test_how_layers_go_together_is_seen_too(tmp_path):
    def net(swapped):
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        x = keras.Input((2,))
        a, b = keras.layers.Dense(2, name="a"), keras.layers.Dense(2, name="b")
        hidden = [a(x), b(x)]
        gate = keras.layers.Subtract()(hidden[::-1] if swapped else hidden)
        model = keras.Model(x, keras.layers.Dense(1)(gate))
        kp.set_priors(model, kp.NormalPrior(0, 1))
        return model

    arguments = (X, Y, kp.likelihoods.Normal(0.5))
    kp.inference.MAP().fit(net(False), *arguments, verbose=0, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="other outputs of the model at the start"):
        kp.inference.MAP().fit(net(True), *arguments, verbose=0, checkpoint=tmp_path)


@quiet
def test_what_an_ensemble_takes_beside_is_the_same(tmp_path):
    def fit_with(**more):
        return METHODS["DeepEnsemble"].fit(
            line(), X, Y, kp.likelihoods.Normal(0.5), seed=0, verbose=0, checkpoint=tmp_path, **more
        )

    fit_with()
    stop = keras.callbacks.EarlyStopping(monitor="loss")
    for more in (
        {"validation_split": 0.5},
        {"validation_data": (X, Y)},
        {"callbacks": [stop]},
        {"callbacks": lambda number: [stop]},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(more))}=.* there and .* here"):
            fit_with(**more)


@pytest.mark.parametrize("name", ["SGHMC", "MeanField", "MAP"])
@quiet
def test_ctrl_c_while_kept_steps_are_taken_over_ends_the_run(name, tmp_path, monkeypatch):
    place = kp.inference.Checkpoint(tmp_path, seconds=0)
    whole = values(fit(name, place))
    step = journals.Journal.step

    def once(self, *arguments):
        found = step(self, *arguments)
        if self._replayed == 1:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(journals.Journal, "step", once)
        with pytest.raises(KeyboardInterrupt):
            fit(name, place)
    np.testing.assert_array_equal(values(fit(name, place)), whole)


def test_another_version_is_refused(tmp_path):
    fit("MAP", tmp_path)
    head = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**head, "keras_priors": "0.0.1"}))
    with pytest.raises(ValueError, match="another version of keras_priors"):
        fit("MAP", tmp_path)


@quiet
def test_an_optimizer_is_the_same_in_another_process(tmp_path):
    def fit_with(rate):
        optimizer = keras.optimizers.Adam(rate)
        method = kp.inference.DeepEnsemble(2, epochs=1, optimizer=optimizer)
        return method.fit(
            line(), X, Y, kp.likelihoods.Normal(0.5), seed=0, verbose=0, checkpoint=tmp_path / "run"
        )

    np.testing.assert_array_equal(values(fit_with(0.1)), values(fit_with(0.1)))
    with pytest.raises(ValueError, match="optimizer="):
        fit_with(0.2)


@pytest.mark.parametrize("value", [3, True, ["a"]])
def test_a_checkpoint_is_a_path(value):
    with pytest.raises(TypeError, match="path of a folder"):
        fit("MAP", value)


def test_what_has_no_run_has_no_checkpoint(tmp_path):
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="MCDropout has no run of its own"):
        kp.inference.MCDropout().fit(
            net, X, Y, kp.likelihoods.Normal(0.5), checkpoint=tmp_path / "run"
        )
    with pytest.raises(ValueError, match="VariationalLayers has no run of its own"):
        kp.inference.VariationalLayers().fit(net, X, Y, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="`seconds`"):
        kp.inference.Checkpoint(tmp_path, seconds=-1)


PROGRAM = """
import keras, numpy as np, sys
import keras_priors as kp
keras.utils.set_random_seed(3)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
kp.set_priors(model, kp.NormalPrior(0, 1))
x = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
method = kp.inference.SGHMC(
    1e-4, batch_size=8, num_samples=int(sys.argv[1]), thinning=4, num_chains=2)
folder = sys.argv[2] if len(sys.argv) > 2 else None
place = folder and kp.inference.Checkpoint(folder, 0)
print("begun", flush=True)
posterior = method.fit(
    model, x, x[:, :1], kp.likelihoods.Normal(0.5), seed=0, verbose=0, checkpoint=place)
print(repr(float(posterior.draws()[model.layers[0].kernel.path].sum())), flush=True)
"""


@pytest.mark.slow
def test_real_processes_killed_while_they_sample(tmp_path):
    draws = "1000" if TORCH else "20000"

    def process(*arguments):
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, draws, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    whole = process().communicate()[0].split()[-1]
    random, folder = np.random.default_rng(0), tmp_path / "run"
    seen = []
    for _ in range(6):
        child = process(str(folder))
        assert child.stdout.readline() == "begun\n"
        time.sleep(random.uniform(1.0, 4.0))
        child.kill()
        child.communicate()
        seen.append(len(list(folder.glob("steps-*"))))
    assert seen == sorted(seen) and seen[-1] > 0
    assert process(str(folder)).communicate()[0].split()[-1] == whole
