"""The weights are read off the losses of the compiled step: data loss 0, learning rate 0."""

import keras
import numpy as np
import pytest

from keras_priors.callbacks import KLAnnealing
from keras_priors.layers import VariationalDense
from keras_priors.priors import NormalPrior

BATCHES, BATCH_SIZE = 10, 4
X = np.ones((BATCHES * BATCH_SIZE, 3), "float32")
Y = np.ones((BATCHES * BATCH_SIZE, 1), "float32")


def zero_loss(y, prediction):
    return 0.0 * keras.ops.sum(prediction, axis=-1)


class Losses(keras.callbacks.Callback):
    """The running mean that Keras reports, after each execution, by epoch."""

    def on_train_begin(self, logs=None):
        self.ends, self.means = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.ends.append([])
        self.means.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.ends[-1].append(min(batch + 1, BATCHES))
        self.means[-1].append(logs["loss"])


def make_model(steps_per_execution=1):
    layer = VariationalDense(1, num_data=1, seed=0)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.0), zero_loss, steps_per_execution=steps_per_execution)
    return model, float(keras.ops.convert_to_numpy(layer.kl()))


def weights_of(callback, epochs, steps_per_execution=1, **kwargs):
    """The weight that each execution used, and the logs."""
    model, kl = make_model(steps_per_execution)
    losses = Losses()
    history = model.fit(
        X,
        Y,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        callbacks=[callback, losses],
        verbose=0,
        shuffle=False,
        **kwargs,
    )
    used = []
    for ends, means in zip(losses.ends, losses.means, strict=True):
        totals = np.diff([0.0, *np.multiply(ends, means)])
        used.append(totals / np.diff([0, *ends]) / kl)
    assert float(model.layers[0].kl_weight) == 1.0
    return np.array(used), history.history


def executions(weights, steps_per_execution):
    """The mean of the weights over the batches of each execution."""
    return np.array(
        [
            [
                row[i : i + steps_per_execution].mean()
                for i in range(0, BATCHES, steps_per_execution)
            ]
            for row in weights
        ]
    )


def passed(epochs):
    return np.arange(epochs)[:, None] + np.arange(BATCHES) / BATCHES


def cyclical(epochs, cycles, ratio, start=0.0):
    """Fu et al. 2019, over the iterations t = 0, 1, ... of all the epochs."""
    total = epochs * BATCHES
    t = np.arange(total)
    tau = np.mod(t, total / cycles) / (total / cycles)
    return (start + (1 - start) * np.minimum(tau / ratio, 1.0)).reshape(epochs, BATCHES)


BLUNDELL = BATCHES * 2.0 ** (BATCHES - np.arange(1, BATCHES + 1)) / (2.0**BATCHES - 1)
CASES = {
    "linear": (KLAnnealing, {"num_epochs": 2}, np.minimum(passed(3) / 2, 1.0)),
    "linear_start": (
        KLAnnealing,
        {"num_epochs": 2.5, "start": 0.2},
        np.minimum(0.2 + 0.8 * passed(3) / 2.5, 1.0),
    ),
    "linear_default": (KLAnnealing, {}, np.minimum(passed(3) / 1.5, 1.0)),
    "cyclical": (KLAnnealing, {"schedule": "cyclical", "num_cycles": 3}, cyclical(3, 3, 0.5)),
    "cyclical_ratio": (
        KLAnnealing,
        {"schedule": "cyclical", "num_cycles": 6, "ratio": 0.8, "start": 0.1},
        cyclical(3, 6, 0.8, 0.1),
    ),
    "cyclical_over": (
        KLAnnealing,
        {"schedule": "cyclical", "num_cycles": 2, "num_epochs": 2},
        np.concatenate([cyclical(2, 2, 0.5), np.ones((1, BATCHES))]),
    ),
    "blundell": (KLAnnealing, {"schedule": "blundell"}, np.tile(BLUNDELL, (3, 1))),
    "function": (KLAnnealing, {"schedule": np.square}, (passed(3) / 3) ** 2),
}


@pytest.mark.parametrize("steps_per_execution", [1, 4])
@pytest.mark.parametrize("case", CASES)
def test_the_compiled_step_uses_the_schedule(case, steps_per_execution, backend):
    if backend == "torch" and steps_per_execution > 1:
        pytest.skip("Keras on PyTorch has steps_per_execution=1 only")
    make, arguments, expected = CASES[case]
    used, logs = weights_of(make(**arguments), 3, steps_per_execution)
    np.testing.assert_allclose(used, executions(expected, steps_per_execution), atol=2e-5)
    np.testing.assert_allclose(logs["kl_weight"], expected.mean(axis=1), atol=1e-6)


def test_blundell_sums_to_one_epoch_and_does_not_overflow():
    callback = KLAnnealing("blundell")
    for steps in (1, 2, 1023, 1024, 5000):
        weights = callback._make_schedule(1)(0, np.arange(steps), steps)
        assert np.all(np.isfinite(weights))
        assert np.sum(weights) == pytest.approx(steps, rel=1e-12)
        if steps > 1:
            assert weights[0] / weights[1] == pytest.approx(2.0)


def test_validation_sees_the_whole_kl_and_training_goes_on_where_it_was():
    used, logs = weights_of(KLAnnealing(num_epochs=3), 3, validation_data=(X, Y))
    np.testing.assert_allclose(used, np.minimum(passed(3) / 3, 1.0), atol=2e-5)
    assert np.ptp(logs["val_loss"]) == 0.0
    mean_weights = np.minimum(passed(3) / 3, 1.0).mean(axis=1)
    np.testing.assert_allclose(logs["loss"] / mean_weights, logs["val_loss"], rtol=1e-5)


def test_a_resumed_fit_goes_on_in_the_schedule():
    used, _ = weights_of(KLAnnealing(num_epochs=3), 3, initial_epoch=2)
    np.testing.assert_allclose(used, np.minimum(passed(3) / 3, 1.0)[2:], atol=2e-5)


def test_a_fit_that_is_stopped_in_an_epoch_leaves_a_weight_of_one(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 3

    model, _ = make_model()
    callback = KLAnnealing(num_epochs=4)
    model.fit(X, Y, batch_size=BATCH_SIZE, epochs=4, callbacks=[callback, Stop()], verbose=0)
    assert float(model.layers[0].kl_weight) == 1.0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"zero_loss": zero_loss}
    )
    assert float(loaded.layers[0].kl_weight) == 1.0


def test_after_an_exception_on_train_end_restores_the_weight():
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model, _ = make_model()
    callback = KLAnnealing(num_epochs=4, start=0.5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=[callback, Fail()], verbose=0)
    assert float(model.layers[0].kl_weight) == 0.5
    callback.on_train_end()
    assert float(model.layers[0].kl_weight) == 1.0


def test_a_checkpoint_of_an_epoch_holds_one(tmp_path):
    model, _ = make_model()
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", monitor="loss", save_weights_only=True
    )
    model.fit(X, Y, epochs=2, callbacks=[KLAnnealing(num_epochs=4), checkpoint], verbose=0)
    for epoch in (1, 2):
        model.layers[0].kl_weight.assign(0.3)
        model.load_weights(tmp_path / f"{epoch}.weights.h5")
        assert float(model.layers[0].kl_weight) == 1.0
    with pytest.raises(ValueError, match=r"ModelCheckpoint[\s\S]*Put KLAnnealing first"):
        model.fit(X, Y, callbacks=[checkpoint, KLAnnealing()], verbose=0)


def generator(batches):
    for _ in range(batches):
        yield X[:BATCH_SIZE], Y[:BATCH_SIZE]


def test_data_of_unknown_length():
    model, _ = make_model()
    with pytest.raises(ValueError, match=r"blundell[\s\S]*steps_per_epoch"):
        model.fit(generator(3), shuffle=False, callbacks=[KLAnnealing("blundell")], verbose=0)


def test_the_logged_weight_is_that_of_the_batches_there_were():
    """Keras begins a batch to find that data of unknown length are over."""
    model, _ = make_model()
    callback = KLAnnealing(num_epochs=4)
    callback.set_model(model)
    callback.set_params({"steps": None, "epochs": 4})
    callback.on_train_begin()
    logged = []
    for epoch in range(3):
        callback.on_epoch_begin(epoch)
        for batch in range(3):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch)
        callback.on_train_batch_begin(3)
        logs = {}
        callback.on_epoch_end(epoch, logs)
        logged.append(logs["kl_weight"])
    # One weight for the first epoch, that of its middle; then those of t = e + b / 3.
    np.testing.assert_allclose(logged, [0.5 / 4, (1 + 1 / 3) / 4, (2 + 1 / 3) / 4], rtol=1e-6)


def test_a_model_without_variational_layers_is_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"variational layers[\s\S]*VariationalDense"):
        model.fit(X, Y, callbacks=[KLAnnealing()], verbose=0)


def test_a_model_that_is_not_built_before_fit(backend):
    model = keras.Sequential([VariationalDense(1, num_data=1, seed=0)])
    model.compile(keras.optimizers.SGD(0.0), zero_loss)
    if backend == "tensorflow":  # which builds it in the first step
        with pytest.raises(ValueError, match=r"not built[\s\S]*keras\.Input"):
            model.fit(X, Y, callbacks=[KLAnnealing()], verbose=0)
    else:
        history = model.fit(X, Y, callbacks=[KLAnnealing(start=1.0)], verbose=0).history
        assert history["kl_weight"] == [1.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"schedule": "cosine"}, ValueError, "must be one of"),
        ({"schedule": "blundell", "num_epochs": 3}, ValueError, "no meaning"),
        ({"num_epochs": 0}, ValueError, "greater than 0"),
        ({"num_epochs": "3"}, TypeError, "must be a number"),
        ({"start": -0.1}, ValueError, "at least 0"),
        ({"start": [0.1, 0.2]}, TypeError, "one number"),
        ({"ratio": 1.5}, ValueError, r"\(0, 1\]"),
        ({"num_cycles": 2.5}, TypeError, "integer"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        KLAnnealing(**arguments)


def test_a_function_that_returns_nonsense_is_refused():
    model, _ = make_model()
    with pytest.raises(ValueError, match="finite weights of at least 0"):
        model.fit(X, Y, callbacks=[KLAnnealing(np.negative)], epochs=2, verbose=0)


def test_a_prior_on_a_plain_weight_is_not_annealed():
    """Every batch: (weight * KL - log p(w)) / num_data, with the likelihood 0."""
    dense = keras.layers.Dense(2, kernel_regularizer=NormalPrior(0.0, 1.0, num_data=5))
    layer = VariationalDense(1, num_data=5, seed=0)
    model = keras.Sequential([keras.Input((3,)), dense, layer])
    model.compile(keras.optimizers.SGD(0.0), zero_loss)
    kl = float(keras.ops.convert_to_numpy(layer.kl()))
    kernel = keras.ops.convert_to_numpy(dense.kernel)
    neg_log_prior = 0.5 * np.sum(kernel**2) + 0.5 * kernel.size * np.log(2 * np.pi)
    annealing = KLAnnealing(lambda fraction: 0.25, num_epochs=1)
    logs = model.fit(X, Y, batch_size=20, callbacks=[annealing], verbose=0).history
    np.testing.assert_allclose(logs["loss"], (0.25 * kl + neg_log_prior) / 5, rtol=1e-5)
