"""What a backend or a callback keeps of a model holds all variables of its posteriors."""

import keras
import numpy as np
import pytest
from keras import layers as plain_layers

import keras_priors as kp
from keras_priors.layers import Variational
from tests.layers._twins import CASES, twin
from tests.posteriors._calculus import as_numpy

BACKEND = keras.backend.backend()
LEARNED = kp.NormalPrior(0.0, kp.Learnable())
WITH_POSTERIOR = kp.NormalPrior(0.0, kp.HalfCauchyPrior(1.0))


def _dense(**arguments):
    return kp.VariationalDense(2, num_data=10, name="layer", **arguments), (3,)


def _of_case(case):
    return twin(case, build=False, name="layer"), CASES[case][2]


def _positive():
    return _dense(kernel_posterior="log_normal", kernel_prior=kp.LogNormalPrior(0.0, 1.0))


def _wrapped():
    return Variational(plain_layers.LSTM(2, name="lstm"), num_data=10, name="layer"), (3, 2)


MADE = {
    "mean_field": _dense,
    "full": lambda: _dense(kernel_posterior="full", bias_posterior="full"),
    "low_rank": lambda: _dense(kernel_posterior=kp.posteriors.LowRankNormal(2)),
    "matrix_normal": lambda: _dense(kernel_posterior="matrix_normal"),
    "log_normal": _positive,
    "delta": lambda: _dense(kernel_posterior="delta", bias_posterior="delta"),
    "learned scale": lambda: _dense(kernel_prior=LEARNED),
    "scale with a posterior": lambda: _dense(kernel_prior=WITH_POSTERIOR),
    "wrapper": _wrapped,
    **{
        case: lambda case=case: _of_case(case)
        for case in ("einsum", "conv2d", "depthwise2d", "separable2d", "embedding")
    },
}


def model_of(made):
    keras.utils.clear_session()  # seed generators are named anew, as in a process of its own
    layer, shape = MADE[made]()
    dtype = "int32" if made == "embedding" else "float32"
    return keras.Sequential([keras.Input(shape, dtype=dtype), layer], name="model")


def moved(model):
    rng = np.random.default_rng(1)
    for v in model.trainable_variables:
        v.assign(as_numpy(v) + rng.uniform(0.1, 0.3, tuple(v.shape)))
    return model


def assert_same(one, other):
    assert len(one.trainable_variables) > 0
    for a, b in zip(one.trainable_variables, other.trainable_variables, strict=True):
        np.testing.assert_array_equal(as_numpy(a), as_numpy(b), err_msg=a.path)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a checkpoint of TensorFlow")
@pytest.mark.parametrize("made", MADE)
def test_a_tensorflow_checkpoint(made, tmp_path):
    import tensorflow as tf

    model, fresh = moved(model_of(made)), model_of(made)
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=fresh).restore(path).assert_existing_objects_matched()
    assert_same(model, fresh)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a checkpoint of TensorFlow")
def test_a_tensorflow_checkpoint_waits_for_a_layer_to_be_built(tmp_path):
    import tensorflow as tf

    model = moved(model_of("mean_field"))
    path = tf.train.Checkpoint(layer=model.layers[-1]).save(str(tmp_path / "checkpoint"))
    layer, _ = _dense()
    tf.train.Checkpoint(layer=layer).restore(path)
    layer.build((None, 3))
    assert_same(model.layers[-1], layer)


@pytest.mark.skipif(BACKEND != "torch", reason="a state_dict is PyTorch's")
@pytest.mark.parametrize("made", MADE)
def test_a_state_dict(made):
    model, fresh = moved(model_of(made)), model_of(made)
    fresh.load_state_dict(model.state_dict(), strict=True)
    assert_same(model, fresh)


@pytest.mark.parametrize("made", ["low_rank", "scale with a posterior", "wrapper"])
def test_backup_and_restore(made, tmp_path):
    def compiled(model):
        model.compile("sgd", "mse")
        return model

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError

    class Keep(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            kept.append([as_numpy(v) for v in self.model.trainable_variables])

    model = compiled(moved(model_of(made)))
    x, kept = np.ones((4, *model.input_shape[1:]), "float32"), []
    y = np.ones((4, *model.output_shape[1:]), "float32")
    backup = str(tmp_path / "backup")
    with pytest.raises(RuntimeError):
        model.fit(
            x, y, verbose=0, epochs=2, callbacks=[keras.callbacks.BackupAndRestore(backup), Stop()]
        )
    fresh = compiled(model_of(made))
    fresh.fit(
        x, y, verbose=0, epochs=2, callbacks=[keras.callbacks.BackupAndRestore(backup), Keep()]
    )
    assert len(kept) == 1
    for value, v in zip(kept[0], model.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, as_numpy(v), err_msg=v.path)


def restored_by_backup(fit, made, folder):
    """After a crash at the start of the third epoch, in what could be another process."""
    kept = keras.callbacks.BackupAndRestore(folder / "backup")
    with pytest.raises(RuntimeError):
        fit(made(), 1, kept, Crash())
    model = made()
    return model, fit(model, 2, keras.callbacks.BackupAndRestore(folder / "backup"))


def restored_by_file(fit, made, folder):
    """From the file of the second epoch."""
    path = folder / "{epoch}.keras"
    with pytest.raises(RuntimeError):
        fit(made(), 1, keras.callbacks.ModelCheckpoint(path), Crash())
    model = keras.saving.load_model(folder / "2.keras")
    return model, fit(model, 2, initial_epoch=2)


class Crash(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise RuntimeError


@pytest.mark.parametrize("restored", [restored_by_backup, restored_by_file])
@pytest.mark.parametrize("kind", ["twin", "wrapper"])
def test_a_fit_that_goes_on_is_the_one_that_nobody_stopped(kind, restored, tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(32, 3, 2)).astype("float32")
    y = x.sum(axis=(1, 2))[:, None]

    def made():
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        first = kp.VariationalDense(4, name="first", num_data=32)
        if kind == "wrapper":
            first = Variational(plain_layers.SimpleRNN(4, name="rnn"), num_data=32, name="first")
        flat = [] if kind == "wrapper" else [plain_layers.Flatten()]
        last = kp.VariationalDense(1, num_data=32, name="last")
        model = keras.Sequential([keras.Input((3, 2)), *flat, first, last])
        model.compile(keras.optimizers.Adam(0.05), kp.likelihoods.Normal(0.3))
        return model

    def fit(model, seed, *callbacks, **more):
        keras.utils.set_random_seed(seed)  # the noise is that of the layers, whatever this is
        annealing = kp.callbacks.KLAnnealing("linear", num_epochs=3)
        return model.fit(
            x, y, batch_size=8, epochs=4, shuffle=False, verbose=0,
            callbacks=[annealing, *callbacks], **more,
        ).history["loss"]  # fmt: skip

    whole = made()
    losses = fit(whole, 1)
    model, later = restored(fit, made, tmp_path)
    np.testing.assert_array_equal(later, losses[2:])
    assert_same(whole, model)
