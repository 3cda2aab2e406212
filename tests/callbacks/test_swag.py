"""SWAG of plain `fit`: its snapshots, and that it is the SWAG of `inference`."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference._lines import COUNT, SIGMA, line_data, line_model

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)


def test_the_same_snapshots_give_the_normal_of_the_method():
    """Whole batches: the gradient descent of `fit` is that of the method."""
    x, y = line_data()
    model = line_model()
    start = model.get_weights()
    method = kp.inference.SWAG(
        0.05, 0.5, batch_size=COUNT, burnin_epochs=2, num_snapshots=6, rank=4
    )
    expected = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    kp.set_num_data(model, COUNT)
    model.compile(keras.optimizers.SGD(0.05, 0.5), LIKELIHOOD)
    swag = kp.callbacks.SWAG(start_epoch=2, rank=4)
    model.set_weights(start)
    model.fit(x, y, batch_size=COUNT, epochs=5, callbacks=[swag], verbose=0)
    model.fit(x, y, batch_size=COUNT, epochs=8, initial_epoch=5, callbacks=[swag], verbose=0)
    assert swag.num_snapshots == 6
    posterior = swag.posterior(x, y)
    np.testing.assert_allclose(posterior.location, expected.location, rtol=1e-4)
    np.testing.assert_allclose(posterior.variance, expected.variance, rtol=2e-3)
    np.testing.assert_allclose(posterior.deviations, expected.deviations, rtol=2e-3, atol=1e-5)
    draws = [p.draws(3, seed=1)["line/kernel"] for p in (posterior, expected)]
    np.testing.assert_allclose(*draws, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:A weight without a prior")
def test_snapshots_are_epoch_ends_and_statistics_their_mean(backend):
    x, y = line_data()
    prior = kp.NormalPrior(0, 1, num_data=COUNT)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, kernel_regularizer=prior),
            keras.layers.BatchNormalization(momentum=0.8),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1, kernel_regularizer=prior),
        ]
    )
    executed = 1 if backend == "torch" else 3  # Keras refuses it on PyTorch
    model.compile(keras.optimizers.SGD(0.02), LIKELIHOOD, steps_per_execution=executed)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([np.copy(v) for v in self.model.get_weights()])

    swag = kp.callbacks.SWAG(start_epoch=1, rank=3, every=2)
    model.fit(
        x, y, batch_size=64, epochs=9, callbacks=[Watch(), swag], verbose=0,
        validation_data=(x[:64], y[:64]),
    )  # fmt: skip
    kept = seen[1::2]
    assert swag.num_snapshots == len(kept) == 4
    posterior = swag.posterior(x, y)
    names = [w.path.rsplit("/", 1)[-1] for w in model.weights]
    where = {
        path: next(k for k, w in enumerate(model.weights) if w is v)
        for path, v in zip(posterior.paths, posterior.positions.variables, strict=True)
    }
    vectors = np.array(
        [np.concatenate([w[where[p]].ravel() for p in posterior.paths]) for w in kept], "float64"
    )
    np.testing.assert_allclose(posterior.location, vectors.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(posterior.variance, vectors.var(0), rtol=1e-4)
    deviations = [vectors[k] - vectors[: k + 1].mean(0) for k in (1, 2, 3)]
    np.testing.assert_allclose(posterior.deviations, deviations, rtol=1e-4, atol=1e-6)
    covariance = np.diag(vectors.var(0)) / 2 + np.transpose(deviations) @ deviations / 4
    np.testing.assert_allclose(posterior.covariance(), covariance, rtol=1e-3, atol=1e-8)
    # A draw predicts with the mean of the moving statistics.
    draw = posterior.to_model(7)
    for index, name in enumerate(names):
        if name.startswith("moving_"):
            mean = np.mean([w[index] for w in kept], axis=0)
            np.testing.assert_allclose(draw.get_weights()[index], mean, rtol=1e-5)
            assert np.abs(kept[0][index] - mean).max() > 1e-4
    assert sum(name.startswith("moving_") for name in names) == 2
    outputs = keras.ops.convert_to_numpy(posterior.predict(x[:4], 1, seed=7).draws)[0]
    np.testing.assert_allclose(outputs, draw.predict(x[:4], verbose=0), rtol=1e-4, atol=1e-5)
    assert posterior.seconds > 0


def test_what_is_wrong_is_said():
    x, y = line_data()
    swag = kp.callbacks.SWAG(start_epoch=2, rank=0)
    with pytest.raises(ValueError, match=r"epochs 2 and 3 at the earliest. Received: 0"):
        swag.posterior()
    model = line_model()
    kp.set_num_data(model, COUNT)
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=COUNT, epochs=3, callbacks=[swag], verbose=0)
    with pytest.raises(ValueError, match="Received: 1"):
        swag.posterior()
    model.fit(x, y, batch_size=COUNT, epochs=4, initial_epoch=3, callbacks=[swag], verbose=0)
    with pytest.raises(ValueError, match="is not a likelihood"):
        swag.posterior()
    assert swag.posterior(likelihood=LIKELIHOOD).rank == 0
    with pytest.raises(ValueError, match="rank"):
        kp.callbacks.SWAG(0, rank=1)
    with pytest.raises(ValueError, match="every"):
        kp.callbacks.SWAG(0, every=0)
    with pytest.raises(ValueError, match="records the same weights of one model"):
        other = line_model()
        kp.set_num_data(other, COUNT)
        other.compile("sgd", LIKELIHOOD)
        other.fit(x, y, callbacks=[swag], verbose=0)


def test_draws_that_explain_nothing_are_refused_where_there_are_data():
    x, y = line_data()
    model = line_model()
    kp.set_num_data(model, COUNT)
    good = np.linalg.lstsq(x, y, rcond=None)[0]
    model.compile(keras.optimizers.SGD(1e-9), LIKELIHOOD)
    swag = kp.callbacks.SWAG(start_epoch=0, rank=0)
    for far in (good + 5.0, good - 5.0):
        model.set_weights([far])
        model.fit(x, y, batch_size=COUNT, callbacks=[swag], verbose=0)
    model.set_weights([good])
    assert np.all(swag.posterior().stddev()["line/kernel"] > 4)
    with pytest.raises(ValueError, match=r"nats a number, in 8 draws.*lower learning rate"):
        swag.posterior(x, y)
