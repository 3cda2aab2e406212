import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_priors.callbacks import BayesianMonitor, KLAnnealing
from keras_priors.layers import VariationalDense
from keras_priors.likelihoods import Normal
from keras_priors.models import set_num_data
from keras_priors.priors import LogNormalPrior, NormalPrior

N, BATCH_SIZE = 50, 7
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype("float32")
Y = RNG.normal(size=(N, 2)).astype("float32")
X_VAL = RNG.normal(size=(20, 3)).astype("float32")
Y_VAL = RNG.normal(size=(20, 2)).astype("float32")


def numpy_nll(mean, y):
    return np.mean(0.5 * np.sum((y - mean) ** 2, axis=-1)) + np.log(2.0 * np.pi)


def numpy_neg_log_prior(w, scale):
    return np.sum(0.5 * (w / scale) ** 2 + np.log(scale) + 0.5 * np.log(2.0 * np.pi))


def numpy_kl(loc, scale):
    return np.sum(0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale))


def make_model(num_data=N, rate=0.05, l2=None, **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, "tanh", kernel_regularizer=NormalPrior(0.0, 0.7), bias_regularizer=l2),
            VariationalDense(2, seed=1),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), Normal(1.0), **compile_arguments)
    if num_data is not None:
        set_num_data(model, num_data)
    return model


def as_numpy(value):
    return ops.convert_to_numpy(ops.convert_to_tensor(value))


def expected_terms(model, x, y):
    """nll, neg_log_prior and kl at the current weights, by NumPy."""
    dense, variational = model.layers
    hidden = np.tanh(x @ as_numpy(dense.kernel) + as_numpy(dense.bias))
    kernel, bias = variational.kernel_posterior, variational.bias_posterior
    mean = hidden @ as_numpy(kernel.mean()) + as_numpy(bias.mean())
    kl = sum(numpy_kl(as_numpy(q.mean()), as_numpy(q.stddev())) for q in (kernel, bias))
    return {
        "nll": numpy_nll(mean, y),
        "neg_log_prior": numpy_neg_log_prior(as_numpy(dense.kernel), 0.7) / N,
        "kl": kl / N,
    }


def column(history, *names):
    return sum(np.array(history[name]) for name in names)


@pytest.mark.parametrize("annealing", [None, "linear", "blundell"])
def test_the_terms_add_up_and_validation_is_exact(annealing):
    model = make_model(l2=keras.regularizers.L2(0.3))
    model.layers[0].bias.assign([1.0, -2.0, 0.5, 0.0])
    expected = []

    class Record(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            expected.append(expected_terms(self.model, X_VAL, Y_VAL))
            expected[-1]["other"] = 0.3 * np.sum(as_numpy(self.model.layers[0].bias) ** 2)

    callbacks = [BayesianMonitor(), Record()]
    if annealing:
        callbacks.append(KLAnnealing(annealing))
    fit = {"batch_size": BATCH_SIZE, "epochs": 3, "validation_data": (X_VAL, Y_VAL)}
    history = model.fit(X, Y, callbacks=callbacks, verbose=0, **fit).history
    for name in ("nll", "neg_log_prior", "kl"):
        wanted = [row[name] for row in expected]
        np.testing.assert_allclose(history[f"val_{name}"], wanted, rtol=2e-5, atol=2e-6)
    others = np.array([row["other"] for row in expected])
    val_terms = column(history, "val_nll", "val_kl", "val_neg_log_prior")
    np.testing.assert_allclose(np.array(history["val_loss"]) - others, val_terms, rtol=1e-5)
    np.testing.assert_allclose(history["val_elbo"], -val_terms, rtol=1e-6)
    terms = column(history, "nll", "kl", "neg_log_prior")
    np.testing.assert_allclose(history["elbo"], -terms, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [BATCH_SIZE, 1])
@pytest.mark.parametrize("annealed", [False, True])
def test_the_terms_of_training_are_means_over_the_batches(batch_size, annealed):
    """Against the penalties at every batch, weighed by its samples."""

    class EveryBatch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.rows = []

        def on_train_batch_begin(self, batch, logs=None):
            terms = expected_terms(self.model, X, Y)
            weight = float(as_numpy(self.model.layers[1].kl_weight))
            size = min(batch_size, N - batch * batch_size)
            self.rows.append((size, terms["kl"], weight * terms["kl"], terms["neg_log_prior"]))

    model = make_model()
    every = EveryBatch()
    callbacks = (
        [BayesianMonitor(), KLAnnealing("blundell"), every]
        if annealed
        else [BayesianMonitor(), every]
    )
    fit = {"batch_size": batch_size, "verbose": 0, "callbacks": callbacks}
    logs = {name: value[0] for name, value in model.fit(X, Y, **fit).history.items()}
    sizes, kl, weighted, prior = np.array(every.rows).T
    kl, weighted, prior = (np.average(value, weights=sizes) for value in (kl, weighted, prior))
    # Up to 32 batches every one is evaluated; with 50 there is interpolation.
    tolerance = {"rel": 1e-5} if batch_size == BATCH_SIZE else {"rel": 1e-3}
    assert logs["kl"] == pytest.approx(kl, **tolerance)
    assert logs["neg_log_prior"] == pytest.approx(prior, **tolerance)
    assert logs["nll"] == pytest.approx(logs["loss"] - weighted - prior, rel=1e-3, abs=1e-4)


def test_a_fit_is_the_same_with_and_without_it():
    """Also where the KL takes draws from the seed of the layer."""
    histories = []
    for callbacks in ([], [BayesianMonitor()]):
        keras.utils.set_random_seed(3)
        layer = VariationalDense(
            2, kernel_posterior="log_normal", kernel_prior=LogNormalPrior(0.0, 1.0), seed=5
        )
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile(keras.optimizers.SGD(0.01), Normal(1.0))
        set_num_data(model, N)
        fit = {"epochs": 2, "batch_size": 10, "verbose": 0, "callbacks": callbacks}
        histories.append(model.fit(X, Y, **fit).history["loss"])
    assert histories[0] == histories[1]


def test_early_stopping_and_checkpoints_follow_it(tmp_path):
    model = make_model(rate=0.0)
    early = keras.callbacks.EarlyStopping(monitor="val_nll", patience=2)
    best = keras.callbacks.EarlyStopping(monitor="val_elbo", patience=5)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_elbo", patience=5)
    saved = keras.callbacks.ModelCheckpoint(
        tmp_path / "model.keras", monitor="val_nll", save_best_only=True
    )
    callbacks = [BayesianMonitor(), early, best, plateau, saved]
    fit = {"epochs": 9, "validation_data": (X_VAL, Y_VAL), "verbose": 0}
    history = model.fit(X, Y, callbacks=callbacks, **fit).history
    # Nothing learns: the first epoch is the best, and two more are waited for.
    assert len(history["val_nll"]) == 3
    assert (early.mode, best.mode, plateau.mode, saved.mode) == ("min", "max", "max", "min")
    assert (tmp_path / "model.keras").exists()


def test_a_wrong_order_is_refused_or_warned_of(tmp_path):
    model = make_model()
    early = keras.callbacks.EarlyStopping(monitor="val_nll")
    with pytest.raises(ValueError, match=r'EarlyStopping\(monitor="val_nll"\)[\s\S]*first'):
        model.fit(X, Y, callbacks=[early, BayesianMonitor()], verbose=0)
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.warns(UserWarning, match=r"CSVLogger[\s\S]*will not see nll"):
        model.fit(X, Y, callbacks=[logger, BayesianMonitor()], verbose=0)
    loss_alone = keras.callbacks.EarlyStopping(monitor="loss")
    model.fit(X, Y, callbacks=[loss_alone, BayesianMonitor()], verbose=0)


def test_later_loggers_write_it(tmp_path):
    model = make_model()
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model.fit(
        X, Y, validation_data=(X, Y), callbacks=[BayesianMonitor(), logger], verbose=0, epochs=2
    )
    header = (tmp_path / "log.csv").read_text("utf-8").splitlines()[0].split(",")
    wanted = {p + n for p in ("", "val_") for n in ("nll", "kl", "neg_log_prior", "elbo")}
    assert wanted <= set(header)


@pytest.mark.slow
def test_tensorboard_writes_it(tmp_path):
    pytest.importorskip("tensorboard")
    tf = pytest.importorskip("tensorflow")
    model = make_model()
    board = keras.callbacks.TensorBoard(str(tmp_path))
    callbacks = [BayesianMonitor(), board]
    model.fit(X, Y, validation_data=(X, Y), callbacks=callbacks, verbose=0)
    tags = set()
    for path in tmp_path.rglob("events*"):
        for record in tf.data.TFRecordDataset([str(path)]):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags |= {f"{path.parent.name}:{value.tag}" for value in event.summary.value}
    for name in ("nll", "kl", "neg_log_prior", "elbo"):
        assert {f"train:epoch_{name}", f"validation:epoch_{name}"} <= tags


def test_evaluate_shows_and_keeps_the_terms():
    model = make_model()
    seen = {}

    class Later(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            seen.update(logs)

    monitor = BayesianMonitor()
    loss = model.evaluate(X_VAL, Y_VAL, callbacks=[monitor, Later()], verbose=0)
    expected = expected_terms(model, X_VAL, Y_VAL)
    expected["elbo"] = -loss
    assert monitor.evaluation == pytest.approx(expected, rel=2e-5)
    assert seen == pytest.approx({"loss": loss, **expected}, rel=2e-5)


def test_num_data_that_differs_from_the_samples_is_warned_of():
    model = make_model(num_data=1000)
    with pytest.warns(UserWarning, match=r"num_data is 1000[\s\S]*50 samples") as caught:
        model.fit(X, Y, batch_size=BATCH_SIZE, epochs=2, callbacks=[BayesianMonitor()], verbose=0)
    (message,) = [str(w.message) for w in caught if "num_data is" in str(w.message)]
    assert f"set_num_data({model.name}, 50)" in message
    with pytest.warns(UserWarning, match="40 samples"):
        make_model().fit(X, Y, validation_split=0.2, callbacks=[BayesianMonitor()], verbose=0)
    # Neither of these warns, and a warning is an error here.
    make_model().fit(X, Y, validation_data=(X_VAL, Y_VAL), callbacks=[BayesianMonitor()], verbose=0)
    model.fit(X, Y, callbacks=[BayesianMonitor(check_num_data=False)], verbose=0)


def test_unset_num_data_is_warned_of_in_every_fit():
    model = make_model(num_data=None)
    counts = []
    for _ in range(3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, Y, epochs=2, callbacks=[BayesianMonitor()], verbose=0)
        # The monitor knows the model, and names what the penalties themselves cannot.
        path = model.layers[0].kernel.path
        counts.append(sum(f"never given for {path}" in str(w.message) for w in caught))
    assert counts == [1, 1, 1]


@pytest.mark.parametrize("variational", [False, True])
def test_a_weight_outside_the_support_stops_training_and_is_named(variational):
    prior = LogNormalPrior(0.0, 1.0, num_data=N)
    if variational:
        free = keras.constraints.UnitNorm()  # a constraint that does not keep it positive
        layer = VariationalDense(
            2, use_bias=False, kernel_posterior="delta", kernel_prior=prior, kernel_constraint=free
        )
    else:
        layer = layers.Dense(2, use_bias=False, kernel_regularizer=prior)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.01), Normal(1.0))
    set_num_data(model, N)
    layer.trainable_weights[0].assign(-np.ones((3, 2)))
    path = layer.trainable_weights[0].path
    message = (
        f"{path} has 6 of 6 elements outside the support[\\s\\S]*LogNormalPrior[\\s\\S]*"
        rf"Give {path.rpartition('/')[0]} `kernel_constraint=prior\.constraint\(\)`"
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, callbacks=[BayesianMonitor()], verbose=0)


def test_a_weight_that_leaves_the_support_is_named():
    """In the midst of an epoch, between two evaluations of the penalties."""
    dense = layers.Dense(
        2,
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(0.01),
        kernel_regularizer=LogNormalPrior(5.0, 10.0, num_data=N),
    )
    model = keras.Sequential([keras.Input((3,)), dense])
    model.compile(keras.optimizers.SGD(0.3), Normal(1.0))
    with pytest.raises(ValueError, match=r"kernel_constraint=prior\.constraint\(\)"):
        model.fit(X, -5 + 0 * Y, batch_size=1, callbacks=[BayesianMonitor()], verbose=0)


def test_a_constrained_weight_trains():
    prior = LogNormalPrior(0.0, 1.0, num_data=N)
    dense = layers.Dense(
        2,
        use_bias=False,
        kernel_initializer=prior.initializer(seed=1),
        kernel_regularizer=prior,
        kernel_constraint=prior.constraint(),
    )
    model = keras.Sequential([keras.Input((3,)), dense])
    model.compile(keras.optimizers.SGD(0.01), Normal(1.0))
    history = model.fit(X, Y, epochs=2, callbacks=[BayesianMonitor()], verbose=0).history
    assert np.all(np.isfinite(history["neg_log_prior"]))


def test_data_that_are_not_finite_are_told_from_priors():
    model = make_model()
    targets = Y.copy()
    targets[17, 1] = np.inf
    with pytest.raises(ValueError, match=r"loss became[\s\S]*(targets are finite|diverged)"):
        model.fit(X, targets, callbacks=[BayesianMonitor()], verbose=0)


def test_losses_of_layers_are_warned_of():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(2, kernel_regularizer=NormalPrior(0.0, 1.0), activity_regularizer="l2"),
        ]
    )
    model.compile("sgd", Normal(1.0))
    set_num_data(model, N)
    with pytest.warns(UserWarning, match=rf"{model.layers[0].name}[\s\S]*contained in `nll`"):
        model.fit(X, Y, callbacks=[BayesianMonitor()], verbose=0)


def test_a_frozen_prior_is_no_term():
    model = make_model()
    model.layers[1].trainable = False
    model.compile("sgd", Normal(1.0))
    history = model.fit(X, Y, callbacks=[BayesianMonitor()], verbose=0).history
    assert "kl" not in history
    assert column(history, "nll", "neg_log_prior") == pytest.approx(history["loss"], rel=1e-5)


def test_a_model_that_is_not_built_before_fit():
    dense = layers.Dense(2, kernel_regularizer=NormalPrior(0.0, 1.0))
    model = keras.Sequential([dense, VariationalDense(2, seed=0)])
    model.compile(keras.optimizers.SGD(0.0), Normal(1.0))
    set_num_data(model, N)
    fit = {"batch_size": BATCH_SIZE, "verbose": 0, "callbacks": [BayesianMonitor()]}
    history = model.fit(X, Y, **fit).history
    terms = column(history, "nll", "kl", "neg_log_prior")
    assert terms == pytest.approx(history["loss"], rel=1e-5)
    assert history["neg_log_prior"][0] == pytest.approx(
        numpy_neg_log_prior(as_numpy(dense.kernel), 1.0) / N, rel=1e-5
    )


def generator():
    for start in range(0, N, BATCH_SIZE):
        yield X[start : start + BATCH_SIZE], Y[start : start + BATCH_SIZE]


def test_data_of_unknown_length():
    model = make_model()
    with warnings.catch_warnings():
        # Keras says that the data ran out.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        history = model.fit(
            generator(), shuffle=False, callbacks=[BayesianMonitor()], verbose=0
        ).history
    terms = column(history, "nll", "kl", "neg_log_prior")
    assert terms == pytest.approx(history["loss"], rel=1e-5)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_steps_per_execution(steps_per_execution, backend):
    if backend == "torch" and steps_per_execution > 1:
        pytest.skip("Keras on PyTorch has steps_per_execution=1 only")
    model = make_model(steps_per_execution=steps_per_execution, rate=0.0)
    callbacks = [BayesianMonitor(), KLAnnealing("blundell")]
    fit = {"batch_size": 5, "callbacks": callbacks, "verbose": 0}
    history = model.fit(X, Y, **fit).history
    # Equal batches and no learning: the mean weight of the KL is 1.
    terms = column(history, "nll", "kl", "neg_log_prior")
    assert terms == pytest.approx(history["loss"], rel=1e-5)
    assert history["kl"][0] == pytest.approx(expected_terms(model, X, Y)["kl"], rel=1e-5)
