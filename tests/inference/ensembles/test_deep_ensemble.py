"""Deep ensembles: members, their starts and statistics."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.functional.positions import Positions
from keras_priors.inference.ensembles.member_trainer import begin_at, initial_value
from tests.inference._lines import SIGMA, exact, line_data, line_model

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)
_numpy = keras.ops.convert_to_numpy


def net():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", kernel_regularizer=kp.NormalPrior(0, 1)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), name="last"),
        ]
    )


@pytest.mark.filterwarnings("ignore:A weight without a prior")
def test_members_differ_are_repeatable_and_keep_their_statistics(tmp_path):
    x, y = line_data()
    model = net()
    before = [w.copy() for w in model.get_weights()]
    method = kp.inference.DeepEnsemble(2, epochs=2, batch_size=64)
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    draws = posterior.draws()["last/kernel"]
    assert draws.shape == (2, 4, 1)
    assert np.abs(draws[0] - draws[1]).max() > 0.01
    # The first members of an ensemble do not depend on how many follow.
    one = kp.inference.DeepEnsemble(1, epochs=2, batch_size=64)
    again = one.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    np.testing.assert_allclose(again.draws()["last/kernel"], draws[:1], rtol=1e-3, atol=1e-4)
    # Each member predicts with its own moving statistics.
    predictive = posterior.predict(x[:6])
    for k in range(2):
        np.testing.assert_allclose(
            posterior.to_model(k).predict(x[:6], verbose=0),
            keras.ops.convert_to_numpy(predictive.draws)[k],
            rtol=1e-4,
            atol=1e-5,
        )
    statistics = [v for v in posterior._states.values() if v.ndim == 3]
    assert len(statistics) == 2
    assert all(np.abs(v[0, 0] - v[0, 1]).max() > 1e-3 for v in statistics)
    posterior.save(tmp_path / "e.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "e.posterior")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loaded.predict(x[:6]).draws),
        keras.ops.convert_to_numpy(predictive.draws),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.closed_form
@pytest.mark.slow
def test_members_of_a_convex_problem_meet_at_the_map():
    x, y = line_data()
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0.2, 0.8)),
        ]
    )
    method = kp.inference.DeepEnsemble(
        2, epochs=60, batch_size=256, optimizer=keras.optimizers.SGD(0.1)
    )
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    mean, _ = exact(x, y)
    for draw in posterior.draws()[posterior.paths[0]]:
        np.testing.assert_allclose(draw[:, 0], mean, atol=1e-3)


def test_members_begin_at_initializers_or_at_the_prior():
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            keras.layers.LSTM(4, recurrent_regularizer=kp.NormalPrior(5.0, 0.1)),
            keras.layers.Dense(2, bias_initializer=keras.initializers.Constant(0.5)),
        ]
    )
    model.set_weights([w + 9.0 for w in model.get_weights()])
    weights = {w.path.split("/", 1)[1]: w for w in Positions(model).weights}
    found = [{p: _numpy(initial_value(w, seed)) for p, w in weights.items()} for seed in (1, 2)]
    names = {path.rsplit("/", 1)[-1]: path for path in weights if "lstm_cell" in path}
    kernel, recurrent, gates = (
        [f[names[n]] for f in found] for n in ("kernel", "recurrent_kernel", "bias")
    )
    for start, low in ((kernel, 1.0), (recurrent, 0.1)):
        assert np.abs(start[0]).max() < low + 1
        assert np.abs(start[0] - start[1]).max() > 0.1
    # Keras' own: an orthogonal recurrent kernel, ones for the forget gate, the given constant.
    np.testing.assert_allclose(recurrent[0] @ recurrent[0].T, np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(gates[0], np.repeat([0.0, 1.0, 0.0, 0.0], 4))
    np.testing.assert_array_equal(found[0]["bias"], [0.5, 0.5])
    before = _numpy(weights[names["recurrent_kernel"]].variable)
    begin_at("model", weights[names["recurrent_kernel"]], [1, 2])
    np.testing.assert_array_equal(_numpy(weights[names["recurrent_kernel"]].variable), before)
    assert kp.inference.DeepEnsemble().start == "initializer"
    drawn = weights[names["recurrent_kernel"]]
    begin_at("prior", drawn, np.array([1, 2], "uint32"))
    assert np.all(np.abs(_numpy(drawn.variable) - 5.0) < 0.6)


@pytest.mark.parametrize(
    ("layer", "outputs", "start"),
    [
        (lambda: kp.layers.NoiseScale(initial_scale=0.5), 1, 0.5),
        (lambda: kp.layers.NoiseScale(kp.HalfCauchyPrior(7.0), per_output=True), 2, 7.0),
        (lambda: kp.layers.Cutpoints(4), 1, np.log(np.e - 1.0)),
    ],
    ids=["one", "per output", "cutpoints"],
)
def test_layers_of_ours_begin_anew_too(layer, outputs, start):
    """And not where an earlier fit has left them: a noise that is learned already is too little."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(outputs), layer()])
    model.layers[-1].set_weights([w * 0.0 + 0.01 for w in model.layers[-1].get_weights()])
    (weight,) = [w for w in Positions(model).weights if w.owner is model.layers[-1]]
    begin_at("initializer", weight, np.array([1, 2], "uint32"))
    assert _numpy(weight.variable) == pytest.approx(start)
    again = type(model.layers[-1]).from_config(model.layers[-1].get_config())
    again.build((None, outputs))
    assert again.get_weights()[0] == pytest.approx(start)


def test_an_interrupted_run_gives_what_there_is(monkeypatch):
    x, y = line_data()

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_priors.inference.ensembles.members.Progress.step", interrupt)
    with pytest.warns(UserWarning, match="there are 1 of 4 members"):
        posterior = kp.inference.DeepEnsemble(4, epochs=1, batch_size=256).fit(
            line_model(), x, y, LIKELIHOOD, seed=0, verbose=0
        )
    assert posterior.num_draws == 1

    def stop(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "keras_priors.inference.ensembles.deep_ensemble.DeepEnsemble._trained", stop
    )
    with pytest.raises(KeyboardInterrupt):
        kp.inference.DeepEnsemble(4, epochs=50, batch_size=128).fit(
            line_model(), x, y, LIKELIHOOD, seed=0, verbose=0
        )


@pytest.mark.parametrize(
    "rows, plan",
    [
        (1, (2000, 32)),
        (277, (223, 32)),  # 9 steps an epoch
        (1280, (50, 32)),
        (4095, (50, 32)),
        (4096, (63, 128)),  # 32 steps
        (20_000, (50, 128)),
    ],
)
def test_epochs_of_few_rows_are_more(rows, plan):
    assert kp.inference.DeepEnsemble()._plan(rows) == plan
    assert kp.inference.DeepEnsemble(epochs=3)._plan(rows) == (3, plan[1])
    assert kp.inference.DeepEnsemble(epochs=3, batch_size=7)._plan(rows) == (3, 7)
    assert kp.inference.DeepEnsemble(batch_size=1000)._plan(277) == (2000, 1000)


def test_the_plan_is_that_of_the_rows_that_train():
    """30 of 40 rows are one batch: with 40, there would be two in each epoch."""
    seen = []

    class Count(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)
            self.model.stop_training = len(seen) == 3

    x, y = line_data()
    method = kp.inference.DeepEnsemble(1)
    method.fit(
        line_model(), x[:40], y[:40], LIKELIHOOD, seed=0, verbose=0, callbacks=[Count()],
        validation_split=0.25,
    )  # fmt: skip
    assert seen == [0, 0, 0]


def test_failures_say_what_to_do():
    x, y = line_data()
    with pytest.raises(ValueError, match="start"):
        kp.inference.DeepEnsemble(start="zero")
    method = kp.inference.DeepEnsemble(2, epochs=8, optimizer=keras.optimizers.SGD(1e6))
    with pytest.raises(ValueError, match=r"Member 0 .* finite"):
        method.fit(line_model(), x, y, LIKELIHOOD, seed=0, verbose=0)


class Record(keras.callbacks.Callback):
    """What a member was trained on, and what its logs have."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


def test_members_are_validated_on_what_is_held_out():
    x, y = line_data()
    record = Record()
    method = kp.inference.DeepEnsemble(1, epochs=1, batch_size=64)
    posterior = method.fit(
        line_model(), x, y, LIKELIHOOD, seed=0, verbose=0, callbacks=[record], validation_split=0.25
    )
    w = posterior.draws()["line/kernel"][0].astype("float64")
    held, count = slice(192, None), 192
    prior = -stats.norm.logpdf(w, 0.2, 0.8).sum() / count
    expected = -stats.norm.logpdf(y[held], x[held] @ w, SIGMA).mean() + prior
    assert record.logs[0]["val_loss"] == pytest.approx(expected, rel=1e-4)
    # The same as training on the others, and validating on these.
    other = method.fit(
        line_model(),
        x[:192],
        y[:192],
        LIKELIHOOD,
        seed=0,
        verbose=0,
        callbacks=lambda number: [record],
        validation_data=(x[held], y[held]),
    )
    np.testing.assert_allclose(other.draws()["line/kernel"][0], w, rtol=1e-6)
    assert record.logs[1]["val_loss"] == pytest.approx(expected, rel=1e-4)
    assert np.shape(posterior.log_likelihood(x, y)) == (1, 256)


def test_callbacks_stop_each_member_by_itself():
    x, y = line_data()
    numbers = []
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1)
    records = [Record(), Record()]

    def callbacks(number):
        numbers.append(number)
        return [stop, records[number]]

    method = kp.inference.DeepEnsemble(2, epochs=9, batch_size=256)
    method.fit(
        line_model(), x, y, LIKELIHOOD, seed=0, verbose=0, callbacks=callbacks, validation_split=0.5
    )
    assert numbers == [0, 1]
    assert [len(record.logs) for record in records] == [2, 2]


def test_mistakes_in_validation_are_refused():
    x, y = line_data()
    fit = kp.inference.DeepEnsemble(1, epochs=1).fit
    with pytest.raises(TypeError, match=r"list of Keras callbacks.*'stop'"):
        fit(line_model(), x, y, LIKELIHOOD, callbacks=["stop"])
    for wrong in ({"validation_split": 1.0}, {"validation_split": 0.1, "validation_data": (x, y)}):
        with pytest.raises(ValueError, match="`validation_split` must be at least 0"):
            fit(line_model(), x, y, LIKELIHOOD, **wrong)
    with pytest.raises(ValueError, match="leave rows to train on"):
        fit(line_model(), x[:2], y[:2], LIKELIHOOD, validation_split=0.9)
