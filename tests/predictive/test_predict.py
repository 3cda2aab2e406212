import gc
import weakref

import keras
import numpy as np
import pytest

from keras_priors.functional.forward import forward_of
from keras_priors.layers import VariationalDense
from keras_priors.likelihoods import Categorical, Normal
from keras_priors.predictive import Predictive, predict
from tests.predictive._models import (
    BIAS_LOC,
    BIAS_SCALE,
    LOC,
    NOISE,
    SCALE,
    linear_model,
    net,
    rows,
    set_mean_field,
)

# For tests that change nothing of it, so that one compilation serves several.
LINEAR = linear_model()
UNCHANGED = net()

compiled = pytest.mark.skipif(keras.config.backend() == "torch", reason="PyTorch runs eagerly")


def test_linear_gaussian_mean_and_variances():
    x, draws = rows(6, 2), 1500
    p = predict(linear_model(), x, num_samples=draws, seed=1)
    variance = np.square(x) @ np.square(SCALE) + BIAS_SCALE**2
    standard_error = np.sqrt(variance / draws)
    assert np.all(np.abs(p.mean - (x @ LOC + BIAS_LOC)) < 4 * standard_error)
    # The variance of a normal's sample variance is 2 sigma^4 / S.
    assert np.all(np.abs(p.epistemic / variance - 1) < 4 * np.sqrt(2 / draws))
    np.testing.assert_allclose(p.aleatoric, NOISE**2, rtol=1e-6)
    np.testing.assert_array_equal(p.total, p.epistemic + p.aleatoric)
    np.testing.assert_allclose(p.std, np.sqrt(p.total))


def test_weights_are_shared_by_rows_and_draws_are_independent_of_each_other():
    # With the slopes of two draws known from two rows, every other row follows.
    x = np.array([[0, 0], [1, 0], [0, 1], [2, -3]], "float32")
    f = predict(linear_model(), x, num_samples=400, seed=2).draws[..., 0]
    bias, slope_0, slope_1 = f[:, 0], f[:, 1] - f[:, 0], f[:, 2] - f[:, 0]
    np.testing.assert_allclose(f[:, 3], bias + 2 * slope_0 - 3 * slope_1, atol=1e-4)
    correlation = np.corrcoef([bias, slope_0, slope_1])
    assert np.all(np.abs(correlation - np.eye(3)) < 4 / np.sqrt(400))
    assert abs(np.corrcoef(bias[1:], bias[:-1])[0, 1]) < 4 / np.sqrt(400)


def test_a_row_at_both_ends_of_chunked_data_has_the_same_draws():
    x = rows(23, 4)
    x[-1] = x[0]
    model = net()
    whole = predict(model, x, num_samples=5, seed=3).draws
    chunked = predict(model, x, num_samples=5, seed=3, batch_size=7).draws
    np.testing.assert_array_equal(chunked[:, 0], chunked[:, -1])
    np.testing.assert_allclose(chunked, whole, rtol=1e-5, atol=1e-6)
    assert np.std(whole, axis=0).min() > 0


def test_a_small_work_limit_changes_nothing(monkeypatch):
    x, model = rows(9, 4), net()
    whole = predict(model, x, num_samples=11, seed=3).draws
    monkeypatch.setattr("keras_priors.functional.row_blocks._PRODUCTS", 4 * 9 * 140)
    split = predict(model, x, num_samples=11, seed=3).draws
    np.testing.assert_allclose(split, whole, rtol=1e-5, atol=1e-6)


def test_a_shared_layer_has_one_draw():
    shared = VariationalDense(3, num_data=10)
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], keras.layers.Subtract()([shared(a), shared(b)]))
    x = rows(5, 3)
    p = predict(model, [x, x], num_samples=4, seed=0)
    np.testing.assert_allclose(p.draws, 0.0, atol=1e-6)
    assert np.abs(predict(model, [x, 2 * x], num_samples=4, seed=0).draws).min() > 0


def test_seeds():
    model, x = net(), rows(3, 4)
    first, again, other = (predict(model, x, 6, seed=s).draws for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    np.testing.assert_allclose(predict(model, x, 4, seed=5).draws, first[:4], rtol=1e-5)
    assert np.abs(predict(model, x, 6).draws - predict(model, x, 6).draws).max() > 1e-4
    generator = keras.random.SeedGenerator(1)
    one, two = (predict(model, x, 6, seed=generator).draws for _ in range(2))
    assert np.abs(one - two).max() > 1e-4


def test_more_training_is_seen():
    model, x = linear_model(), rows(20, 2)
    model.compile("sgd", loss=Normal(NOISE))
    before = predict(model, x, num_samples=50, seed=0).mean
    traces = forward_of(model).traces
    model.fit(x, 10 + x[:, :1], epochs=3, verbose=0)
    after = predict(model, x, num_samples=50, seed=0).mean
    assert np.all(after > before + 0.5)
    if keras.config.backend() != "torch":
        assert forward_of(model).traces == traces


def test_within_fit_the_current_weights_are_used():
    model, x = linear_model(), rows(20, 2)
    model.compile("sgd", loss=Normal(NOISE))
    means = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: means.append(
            predict(model, x, num_samples=20, seed=0).mean.mean()
        )
    )
    model.fit(x, 10 + x[:, :1], epochs=3, verbose=0, callbacks=[callback])
    assert means[0] < means[1] < means[2]


@compiled
def test_one_trace_for_one_shape():
    model = net()
    for seed in range(3):
        predict(model, rows(10, 4), num_samples=5, seed=seed, batch_size=4)
    assert forward_of(model).traces == 1


def test_a_change_of_structure_is_seen():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    x = rows(4, 2)
    assert predict(model, x).draws.shape == (1, 4, 2)
    model.add(keras.layers.Dense(3, use_bias=False))
    assert predict(model, x).draws.shape == (1, 4, 3)
    first, second = model.layers[0], model.layers[1]
    first.trainable = False
    np.testing.assert_allclose(predict(model, x).draws[0], model.predict(x, verbose=0), rtol=1e-5)
    first.trainable, second.trainable = True, False
    np.testing.assert_allclose(predict(model, x).draws[0], model.predict(x, verbose=0), rtol=1e-5)


def test_the_cache_does_not_keep_a_model_alive():
    model = net()
    predict(model, rows(3, 4), num_samples=2)
    alive = weakref.ref(model)
    del model
    keras.utils.clear_session()
    gc.collect()
    assert alive() is None


def test_dropout_is_off_and_batch_normalization_in_inference_mode():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )
    model.layers[0].moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    x = rows(6, 4)
    p = predict(model, x, num_samples=8)
    assert p.num_samples == 1
    np.testing.assert_allclose(p.draws[0], model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(p.epistemic, 0.0)


def test_a_model_of_point_estimates_is_one_draw():
    model = keras.Sequential(
        [keras.Input((4,)), VariationalDense(2, kernel_posterior="delta", bias_posterior="delta")]
    )
    x = rows(5, 4)
    p = predict(model, x)
    np.testing.assert_allclose(p.draws, model.predict(x, verbose=0)[None], rtol=1e-5, atol=1e-6)


class NoTraining(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = VariationalDense(2, num_data=10)

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model():
    model = NoTraining()
    x = rows(5, 4)
    with pytest.raises(ValueError, match=r"must be built.*Call it once"):
        predict(model, x)
    model(x)
    set_mean_field(model.dense.kernel_posterior, 0.3, 1e-6)
    set_mean_field(model.dense.bias_posterior, 0.1, 1e-6)
    p = predict(model, x, num_samples=3)
    np.testing.assert_allclose(p.draws, np.stack([model.predict(x, verbose=0)] * 3), atol=1e-4)


def test_half_precision_gives_float32_draws():
    model = keras.Sequential(
        [keras.Input((4,)), VariationalDense(2, num_data=10, dtype="mixed_bfloat16")]
    )
    p = predict(model, rows(5, 4), num_samples=3)
    assert p.draws.dtype == np.float32
    assert np.isfinite(p.draws).all()


class Batches(keras.utils.PyDataset):
    def __init__(self, x, size, with_targets):
        super().__init__()
        self.x, self.size, self.with_targets = x, size, with_targets

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, k):
        x = self.x[k * self.size : (k + 1) * self.size]
        return (x, np.zeros(len(x))) if self.with_targets else x


@pytest.mark.parametrize("with_targets", [False, True])
@pytest.mark.parametrize("batch_size", [None, 2, 5])
def test_data_sets_in_batches(with_targets, batch_size):
    model, x = LINEAR, rows(13, 2)
    whole = predict(model, x, num_samples=3, seed=0).draws
    data = Batches(x, 3, with_targets)
    for kind in (data, (data[k] for k in range(len(data)))):
        p = predict(model, kind, num_samples=3, seed=0, batch_size=batch_size)
        np.testing.assert_allclose(p.draws, whole, rtol=1e-5, atol=1e-6)


def test_the_data_set_of_the_backend():
    model, x = LINEAR, rows(13, 2)
    whole = predict(model, x, num_samples=3, seed=0).draws
    if keras.config.backend() == "torch":
        import torch

        tensors = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.zeros(13))
        data = torch.utils.data.DataLoader(tensors, batch_size=4)
    elif keras.config.backend() == "tensorflow":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((x, np.zeros(13))).batch(4)
    else:
        data = iter([(keras.ops.convert_to_tensor(x), np.zeros(13))])
    np.testing.assert_allclose(
        predict(model, data, num_samples=3, seed=0).draws, whole, rtol=1e-5, atol=1e-6
    )


def test_tensors_and_float64_arrays():
    model, x = LINEAR, rows(5, 2)
    whole = predict(model, x, num_samples=3, seed=0).draws
    for same in (keras.ops.convert_to_tensor(x), x.astype("float64")):
        again = predict(model, same, num_samples=3, seed=0).draws
        np.testing.assert_allclose(again, whole, rtol=1e-5, atol=1e-6)


def two_inputs(outputs=1):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    h = keras.layers.Concatenate()([a, b])
    heads = [VariationalDense(k + 1, num_data=10, name=f"head_{k}")(h) for k in range(outputs)]
    return keras.Model({"a": a, "b": b}, heads[0] if outputs == 1 else heads)


def test_several_inputs():
    model = two_inputs()
    x = {"a": rows(7, 2), "b": rows(7, 3, seed=1)}
    p = predict(model, x, num_samples=4, seed=0, batch_size=3)
    assert p.draws.shape == (4, 7, 1)
    with pytest.raises(ValueError, match="same number of rows"):
        predict(model, {"a": x["a"], "b": x["b"][:5]})
    with pytest.raises(ValueError, match=r"one array for each input.*\['a', 'b'\]"):
        predict(model, {"a": x["a"]})


def test_several_outputs_give_a_predictive_each():
    model = two_inputs(outputs=2)
    x = {"a": rows(7, 2), "b": rows(7, 3, seed=1)}
    one, two = predict(model, x, num_samples=4, likelihood=[Normal(0.1), Categorical()])
    assert (one.draws.shape, two.probabilities.shape) == ((4, 7, 1), (7, 2))
    one, two = predict(model, x, num_samples=4)
    assert one.likelihood is None
    model.compile(loss=[Normal(0.1), "mse"])
    one, two = predict(model, x, num_samples=4)
    assert isinstance(two, Predictive)
    model.compile(loss=[Normal(0.1), Categorical()])
    one, two = predict(model, x, num_samples=4)
    assert isinstance(one.likelihood, Normal)
    assert isinstance(two.likelihood, Categorical)
    with pytest.raises(ValueError, match="structure of the outputs"):
        predict(model, x, likelihood=Normal(0.1))


def test_stock_losses_are_likelihoods_and_mse_is_refused_when_it_is_needed():
    model, x = net(), rows(5, 4)
    model.compile(loss="sparse_categorical_crossentropy")
    np.testing.assert_allclose(predict(model, x, 5).probabilities.sum(axis=-1), 1.0, rtol=1e-5)
    model.compile(loss="mse")
    p = predict(model, x, 5)
    assert p.draws.shape == (5, 5, 3)
    with pytest.raises(ValueError, match=r"(?s)`aleatoric` needs the likelihood.*mean_squared"):
        _ = p.aleatoric
    with pytest.raises(ValueError, match="mean_squared_error"):
        predict(model, x, likelihood="mse")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"num_samples": 0}, ValueError, "`num_samples`.*at least 1"),
        ({"num_samples": 2.5}, TypeError, "`num_samples`"),
        ({"batch_size": 0}, ValueError, "`batch_size`"),
        ({"seed": -1}, ValueError, "seed"),
        ({"verbose": "yes"}, ValueError, "`verbose`"),
        ({"x": np.zeros((5, 3))}, ValueError, r"shape \(4,\).*Received"),
        ({"x": np.zeros(4)}, ValueError, r"x\[None\]"),
        ({"x": np.zeros((0, 4))}, ValueError, "at least one row"),
        ({"x": [[1.0, 2.0, 3.0, 4.0]]}, ValueError, "a list is read as one array"),
        ({"x": iter([])}, ValueError, "at least one batch"),
        ({"x": 3}, TypeError, "must be an array"),
        ({"model": keras.layers.Dense(1)}, TypeError, "keras.Model"),
        ({"likelihood": [Normal()]}, ValueError, "one output"),
    ],
)
def test_what_is_refused(arguments, error, match):
    given = {"model": UNCHANGED, "x": rows(5, 4), **arguments}
    with pytest.raises(error, match=match):
        predict(**given)


@pytest.mark.parametrize(
    ("verbose", "patience", "shown"),
    [("auto", 1e6, False), ("auto", 0.0, True), (1, 1e6, True), (0, 0.0, False)],
)
def test_progress_is_shown_for_long_work(monkeypatch, capsys, verbose, patience, shown):
    monkeypatch.setattr("keras_priors.utils.progress._PATIENCE", patience)
    predict(LINEAR, rows(9, 2), num_samples=2, batch_size=3, verbose=verbose)
    assert ("3/3" in capsys.readouterr().out) == shown
