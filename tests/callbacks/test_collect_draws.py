"""Draws of plain `fit` with a sampler as its optimizer."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference._lines import COUNT, SIGMA, exact, line_data

CHAINS, ROWS = 512, 64
SGLD = kp.inference.SGLDOptimizer
LIKELIHOOD = kp.likelihoods.Normal(SIGMA)


def compiled(optimizer, units=1, num_data=COUNT, **arguments):
    prior = kp.NormalPrior(0.2, 0.8, num_data=num_data)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(units, use_bias=False, kernel_regularizer=prior, name="line"),
        ]
    )
    model.compile(optimizer, kp.likelihoods.Normal(SIGMA), **arguments)
    return model


class Watch(keras.callbacks.Callback):
    """All weights at the end of each execution."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append([w.copy() for w in self.model.get_weights()])


def test_plain_fit_recovers_conjugate_linear_regression():
    """Each unit of the layer is a chain: likelihood and prior are sums over units."""
    x, y = (leaf[:ROWS] for leaf in line_data())
    mean, covariance = exact(x, y)
    sd = np.sqrt(np.diag(covariance))
    model = compiled(SGLD(0.02, num_data=ROWS, seed=1), CHAINS, num_data=ROWS)
    model.set_weights([np.repeat((mean + 2 * sd)[:, None], CHAINS, axis=1)])
    collect = kp.callbacks.CollectDraws(burnin=150, every=10)
    # An epoch of Keras costs more than its steps do here: one has the data 27 times.
    data = (np.tile(x, (27, 1)), np.tile(y, (27, CHAINS)))
    model.fit(*data, batch_size=ROWS, epochs=10, shuffle=False, callbacks=[collect], verbose=0)
    posterior = collect.posterior()
    assert (posterior.num_chains, posterior.num_draws) == (1, 12)
    draws = posterior.draws()["line/kernel"].transpose(0, 2, 1).reshape(-1, 3)
    assert np.all(np.abs(draws.mean(0) - mean) < 0.1 * sd)
    assert np.all(np.abs(draws.std(0) / sd - 1) < 0.15)
    correlation = np.corrcoef(draws.T) - covariance / np.outer(sd, sd)
    assert np.all(np.abs(correlation) < 0.15)


@pytest.mark.parametrize("executed", [1, 4])
def test_draws_are_the_weights_after_their_steps(executed, backend):
    if executed > 1 and backend == "torch":
        pytest.skip("Keras refuses steps_per_execution on PyTorch")
    x, y = line_data()
    model = compiled(
        kp.inference.SGHMCOptimizer(1e-3, num_data=COUNT, temperature=0.5, seed=0),
        steps_per_execution=executed,
    )
    collect, watch = kp.callbacks.CollectDraws(burnin=3, every=5), Watch()
    for _ in range(2):  # ten batches an epoch, the last of them short
        model.fit(x, y, batch_size=26, epochs=2, callbacks=[watch, collect], verbose=0)
    ends = [10 * e + min(k + executed, 10) for e in range(4) for k in range(0, 10, executed)]
    expected, due = [], 8
    for step, weights in zip(ends, watch.seen, strict=True):
        if step >= due:
            expected.append(weights[0])
            due += 5 * (1 + (step - due) // 5)
    assert len(expected) == collect.num_draws == 7
    assert collect.posterior().temperature == 0.5
    np.testing.assert_array_equal(collect.posterior().draws()["line/kernel"], expected)


@pytest.mark.filterwarnings("ignore:A weight without a prior")
def test_the_posterior_is_that_of_the_methods(tmp_path):
    x, y = line_data()
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, kernel_regularizer=kp.NormalPrior(0, 1, num_data=COUNT)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1, num_data=COUNT)),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 2, 0.5)
    model.compile(SGLD(rate, num_data=COUNT, seed=0), LIKELIHOOD)
    collect = kp.callbacks.CollectDraws(burnin=0, every=2)
    model.fit(x, y, batch_size=64, epochs=2, callbacks=[collect], verbose=0)
    posterior = collect.posterior(x, y)
    assert posterior.num_draws == 4
    assert posterior.seconds > 0
    np.testing.assert_allclose(
        posterior.sample_stats["step_size"], 1e-3 * 0.5 ** np.arange(1, 5)[None], rtol=1e-5
    )
    # Each draw has the moving statistics of its moment; the last has those of the model.
    outputs = keras.ops.convert_to_numpy(posterior.predict(x[:5]).draws)
    np.testing.assert_allclose(outputs[3], model.predict(x[:5], verbose=0), rtol=1e-4, atol=1e-5)
    first = posterior.to_model(0)
    np.testing.assert_allclose(outputs[0], first.predict(x[:5], verbose=0), rtol=1e-4, atol=1e-5)
    moving = [keras.ops.convert_to_numpy(m.layers[1].moving_mean) for m in (first, model)]
    assert np.abs(moving[0] - moving[1]).max() > 1e-3
    assert posterior.to_arviz().log_likelihood["y"].shape == (1, 4, COUNT)
    posterior.save(tmp_path / "c.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "c.posterior")
    np.testing.assert_array_equal(*(p.draws()[p.paths[0]] for p in (loaded, posterior)))


def test_what_is_wrong_is_said():
    x, y = line_data()
    collect = kp.callbacks.CollectDraws(burnin=30, every=2)

    def fit(model, collect=collect, **arguments):
        model.fit(x, y, batch_size=64, verbose=0, callbacks=[collect], **arguments)

    with pytest.raises(ValueError, match=r"after step 32 .*Received: 0 steps"):
        collect.posterior()
    model = compiled(SGLD(1e-3, num_data=COUNT, seed=0))
    fit(model)
    with pytest.raises(ValueError, match=r"after step 32 .*Received: 4 steps"):
        collect.posterior()
    with pytest.raises(ValueError, match="records the same weights of one model"):
        fit(compiled(SGLD(1e-3, num_data=COUNT)))
    fresh = lambda burnin=0: kp.callbacks.CollectDraws(burnin, every=2)  # noqa: E731
    for optimizer, message in [
        ("adam", "is a sampler, .*Received: Adam.*SGLDOptimizer"),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "Received: SGD"),
        (SGLD(1e-3, num_data=COUNT, temperature=0), "temperature=0"),
        (SGLD(1e-3, num_data=100), "num_data=256 of the prior of line/kernel, and num_data=100"),
        (SGLD(1e-3, num_data=COUNT, preconditioner="rmsprop", num_burnin=9), "num_burnin=9"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(compiled(optimizer), fresh(burnin=8))
    with pytest.raises(ValueError, match="steps_per_execution=3"):
        fit(compiled(SGLD(1e-3, num_data=COUNT), steps_per_execution=3), fresh())
    with pytest.raises(ValueError, match="infinite or NaN elements after"):
        fit(compiled(SGLD(1e12, num_data=COUNT)), fresh(), epochs=9)
    with pytest.raises(ValueError, match="burnin"):
        kp.callbacks.CollectDraws(-1)
    with pytest.raises(ValueError, match="every"):
        kp.callbacks.CollectDraws(0, every=0)
    learned = compiled(SGLD(1e-3, COUNT, preconditioner="rmsprop", num_burnin=8))
    learned.fit(x, y, batch_size=64, epochs=2, verbose=0)
    later = fresh()
    fit(learned, later)  # its burn-in is over
    with pytest.raises(ValueError, match="without x"):
        later.posterior(y=y)

    @keras.saving.register_keras_serializable("tests")
    class Foreign(keras.optimizers.SGD):
        pass

    with pytest.warns(UserWarning, match="Received: Foreign"):
        fit(compiled(Foreign(0.01)), fresh())


def test_an_interrupted_fit_leaves_its_draws():
    x, y = line_data()
    model = compiled(SGLD(1e-3, num_data=COUNT, seed=0))
    collect = kp.callbacks.CollectDraws(burnin=0, every=2)

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=26, verbose=0, callbacks=[collect, Interrupt()])
    assert collect.posterior().num_draws == 3
