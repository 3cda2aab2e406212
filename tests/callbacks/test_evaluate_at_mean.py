"""Validation and saving at the mean, with an optimizer that keeps noise in the weights."""

import keras
import numpy as np
import pytest

import keras_priors as kp

N = 32


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(N, 3)).astype("float32")
    return x, (x.sum(1, keepdims=True) + random.normal(size=(N, 1))).astype("float32")


def net(made=None, **compiled):
    keras.utils.set_random_seed(1)
    prior = kp.NormalPrior(0.0, 1.0, num_data=N)
    layer = keras.layers.Dense(1, kernel_regularizer=prior, bias_regularizer=prior)
    model = keras.Sequential([keras.Input((3,)), layer])
    made = kp.inference.IVONOptimizer(0.1, N, hess_init=0.2, beta_2=0.9, seed=2)
    model.compile(made, loss=kp.likelihoods.Normal(1.0), **compiled)
    return model


class Losses(keras.callbacks.Callback):
    """The loss at the weights that callbacks see at the end of an epoch."""

    def __init__(self, data):
        super().__init__()
        self.data, self.seen = data, []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append([np.array(w) for w in self.model.get_weights()])


def run(data, callbacks, **more):
    compiled = {k: more.pop(k) for k in ("steps_per_execution",) if k in more}
    model = net(**compiled)
    history = model.fit(
        *data, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=callbacks, **more
    )
    return model, history.history


@pytest.mark.parametrize("steps", [1, 3])
def test_training_is_the_same_and_validation_at_the_mean(data, steps, backend):
    """An epoch of 4 steps, also where one execution has 3 of them."""
    if steps > 1 and backend == "torch":
        pytest.skip("Keras executes one step at a time there")
    seen = Losses(data)
    callbacks = [kp.callbacks.EvaluateAtMean(), seen]
    with_it, history = run(data, callbacks, validation_data=data, steps_per_execution=steps)
    kernel, bias = with_it.get_weights()
    # The noise of the first step is there only with the callback: begin both with it.
    without = net(steps_per_execution=steps)
    without.optimizer.build(without.trainable_variables)
    without.optimizer.to_noise()
    after = without.fit(*data, batch_size=8, epochs=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(history["loss"], after.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(without.get_weights()[0], kernel, rtol=1e-4, atol=1e-5)
    # The loss of the weights that each epoch ended with, by hand.
    x, y = data
    for loss, (kernel, bias) in zip(history["val_loss"], seen.seen, strict=True):
        squares = ((y - x @ kernel - bias) ** 2).mean() + np.log(2 * np.pi)
        prior = (kernel**2).sum() + (bias**2).sum() + 4 * np.log(2 * np.pi)
        np.testing.assert_allclose(loss, 0.5 * squares + 0.5 * prior / N, rtol=1e-5)
    np.testing.assert_allclose(seen.seen[-1][0], with_it.get_weights()[0])


def test_what_is_saved_and_restored_is_a_mean(data, tmp_path):
    best = keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)
    file = keras.callbacks.ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    callbacks = [kp.callbacks.EvaluateAtMean(), file, best]
    model, history = run(data, callbacks, validation_data=data)
    lowest = min(history["val_loss"])
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for one in (model, loaded):
        np.testing.assert_allclose(one.evaluate(*data, verbose=0), lowest, rtol=1e-5)
        mean = one.optimizer.posterior(one).mean()
        for found, weight in zip(mean.values(), one.get_weights(), strict=True):
            np.testing.assert_array_equal(found, weight)


def test_evaluate_and_train_by_hand(data):
    """`to_mean` and `to_noise` are what the callback does, and each does nothing twice."""
    model = net()
    made = model.optimizer
    made.to_mean()  # not built
    model.train_on_batch(*data)
    noisy = model.get_weights()[0]
    made.to_noise()
    np.testing.assert_array_equal(model.get_weights()[0], noisy)
    made.to_mean()
    mean = model.get_weights()[0]
    assert np.abs(mean - noisy).min() > 0
    made.to_noise()
    np.testing.assert_allclose(model.get_weights()[0], noisy, rtol=1e-5, atol=1e-6)


def test_refusals(data):
    model = net()
    callback = kp.callbacks.EvaluateAtMean()
    with pytest.warns(UserWarning, match="EarlyStopping"):
        stop = keras.callbacks.EarlyStopping(monitor="loss")
        model.fit(*data, verbose=0, callbacks=[stop, callback])
    model.compile("adam", loss="mse")
    with pytest.raises(ValueError, match="Received: Adam"):
        model.fit(*data, verbose=0, callbacks=[callback])
