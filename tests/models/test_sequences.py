"""`num_data` where a row of the data is more than one observation: sequences, images."""

import contextlib
import pickle
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_priors as kp

RNG = np.random.default_rng(0)
ROWS, STEPS = 6, 5
X = RNG.normal(size=(ROWS, STEPS, 1)).astype("float32")
Y = (2.0 * X + RNG.normal(size=X.shape)).astype("float32")
IMAGES = RNG.normal(size=(ROWS, 4, 3, 1)).astype("float32")


def line(*shape, loss=None, prior=None):
    dense = layers.Dense(1, use_bias=False, kernel_regularizer=prior or kp.NormalPrior(0, 0.5))
    model = keras.Sequential([*([keras.Input(shape)] if shape else []), dense])
    if loss is not None:
        model.compile("sgd", loss)
    return model


def per_row(y, outputs):
    """Sums over steps, as the log density of a sequence does."""
    return 0.5 * ops.sum(ops.square(y - outputs), axis=(1, 2))


def per_element(y, outputs):
    """No axis is reduced: a mean over all elements."""
    return 0.5 * ops.square(y - outputs)


def one_number(y, outputs):
    return 0.5 * ops.mean(ops.square(y - outputs))


@contextlib.contextmanager
def said(*parts):
    """What is warned of `num_data` has these words; nothing is, where there are none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = [str(w.message) for w in caught if "num_data" in str(w.message)]
    assert len(found) == bool(parts), found
    assert all(part in found[0] for part in parts), found


@pytest.mark.parametrize("loss", [kp.likelihoods.Normal(1.0), per_row, per_element])
@pytest.mark.parametrize("x", [X, IMAGES], ids=["sequences", "images"])
def test_the_map_of_fit_is_ridge_regression(x, loss):
    """One Newton step of a quadratic: w = sum x y / (sum x^2 + 1 / scale^2)."""
    if loss is per_row and x.ndim == 4:
        pytest.skip("its axes are those of sequences")
    y = 2.0 * x
    model = line(*x.shape[1:], loss=loss)
    num_data = kp.set_num_data(model, x)
    assert num_data == (ROWS if loss is per_row else x.size)
    precision = float(np.square(x, dtype="float64").sum()) + 1 / 0.5**2
    model.compile(keras.optimizers.SGD(num_data / precision), loss)
    model.fit(x, y, batch_size=ROWS, verbose=0)
    expected = float(np.sum(x * y, dtype="float64")) / precision
    np.testing.assert_allclose(ops.convert_to_numpy(model.weights[0]), [[expected]], rtol=1e-5)


def test_the_same_number_from_every_kind_of_data():
    for make in (lambda: line(STEPS, 1), lambda: line(None, 1, loss=kp.likelihoods.Normal())):
        for data in (X, (X, Y), [X]):
            assert kp.set_num_data(make(), data) == ROWS * STEPS


def test_classes_and_two_outputs():
    x = keras.Input((STEPS, 1))
    model = keras.Model(x, layers.Dense(3, "softmax", kernel_regularizer=kp.NormalPrior(0, 1))(x))
    for loss in ("sparse_categorical_crossentropy", keras.losses.CategoricalCrossentropy(), None):
        if loss is not None:
            model.compile("sgd", loss)
        assert kp.set_num_data(model, X) == ROWS * STEPS
    hidden = layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1))(x)
    both = keras.Model(x, {"each": hidden, "all": layers.GlobalAveragePooling1D()(hidden)})
    both.compile("sgd", {"each": kp.likelihoods.Normal(), "all": kp.likelihoods.Normal()})
    with said("no number is right", "loss_weights"):
        assert kp.set_num_data(both, X) == ROWS
    both.compile("sgd", {"each": kp.likelihoods.Normal(), "all": None})
    assert kp.set_num_data(both, X) == ROWS * STEPS
    both.compile("sgd", [kp.likelihoods.Normal()] * 2, loss_weights=_weights(both))
    with said():
        assert kp.set_num_data(both, X) == ROWS


def _weights(model):
    return [float(np.prod(output.shape[1:-1])) for output in model.outputs]


def test_pooled_outputs_count_rows():
    pooled = keras.Sequential(
        [
            keras.Input((STEPS, 1)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, kernel_regularizer=kp.NormalPrior(0, 1)),
        ]
    )
    assert kp.set_num_data(pooled, X) == ROWS


def test_what_is_not_known_before_fit_is_said_in_fit():
    model = line()  # not built
    with said():
        assert kp.set_num_data(model, X) == ROWS
    model.compile("sgd", kp.likelihoods.Normal())
    with said(f"{ROWS}, where the loss averages over {STEPS}", "set_num_data"):
        model.fit(X, Y, verbose=0)
    with said():
        assert kp.set_num_data(model, X) == ROWS * STEPS
        model.fit(X, Y, verbose=0)
    later = line(STEPS, 1)  # not compiled
    assert kp.set_num_data(later, X) == ROWS * STEPS
    later.compile("sgd", per_row)
    kp.set_priors(later, {"kernel": kp.NormalPrior(0, 2)})  # which takes the question along
    with said(f"{ROWS * STEPS}, where the loss averages over 1"):
        later.fit(X, Y, verbose=0)


def test_variational_layers_that_are_not_built():
    model = keras.Sequential([kp.VariationalDense(1)])
    kp.set_num_data(model, X)
    model.compile("sgd", kp.likelihoods.Normal())
    with said(f"{ROWS}, where the loss averages over {STEPS}"):
        model.fit(X, Y, verbose=0)


def test_what_cannot_be_known_is_said_at_once():
    with said("the number of terms is not known"):
        kp.set_num_data(line(STEPS, 1, loss=one_number), X)
    masked = keras.Sequential([keras.Input((STEPS, 1)), layers.Masking(), *line(STEPS, 1).layers])
    with said("a mask may hide some"):
        assert kp.set_num_data(masked, X) == ROWS * STEPS


def test_an_integer_is_kept_and_said_where_it_cannot_be_right():
    model = line(STEPS, 1, loss=kp.likelihoods.Normal())
    for given, wrong in [(ROWS * STEPS, False), (ROWS * STEPS + 1, True), (3, True)]:
        with said(*(["no multiple of the 5"] if wrong else [])):
            assert kp.set_num_data(model, given) == given
        assert model.layers[0].kernel_regularizer.num_data == given
    with said("no multiple of the 5"):
        kp.to_variational(model, num_data=ROWS)
    with said():
        kp.to_variational(model, num_data=ROWS * STEPS)


@pytest.mark.parametrize("num_data", [ROWS, 2 * ROWS, ROWS * STEPS])
def test_the_monitor_takes_what_the_loss_averages_over(num_data):
    """Multiples of the rows pass as well as any where nobody counts."""
    prior = kp.NormalPrior(0, 1, num_data=num_data)
    model = line(STEPS, 1, loss=kp.likelihoods.Normal(), prior=prior)
    with said(*([] if num_data == ROWS * STEPS else ["too strong", f", {ROWS * STEPS})"])):
        model.fit(X, Y, callbacks=[kp.callbacks.BayesianMonitor()], verbose=0)


def test_a_prior_is_pickled_and_outlives_its_model():
    model = line()
    kp.set_num_data(model, X)
    prior = model.layers[0].kernel_regularizer
    copy = pickle.loads(pickle.dumps(prior))
    del model
    with said():
        assert float(copy(ops.zeros((1,)))) == float(prior(ops.zeros((1,))))


def test_members_of_an_ensemble_weigh_the_prior_as_fit_does():
    """Gradient descent from 0 on a quadratic: each step takes the distance times 1 - rate * c."""
    model = line(STEPS, 1, loss=kp.likelihoods.Normal(1.0))
    model.layers[0].kernel_initializer = "zeros"
    precision = float(np.square(X, dtype="float64").sum()) + 1 / 0.5**2
    sgd = keras.optimizers.SGD(X.size / precision)
    ensemble = kp.inference.DeepEnsemble(2, epochs=1, batch_size=ROWS, optimizer=sgd)
    posterior = ensemble.fit(model, X, Y, seed=0, verbose=0)
    expected = float(np.sum(X * Y, dtype="float64")) / precision
    (draws,) = posterior.draws().values()
    np.testing.assert_allclose(draws.ravel(), [expected] * 2, rtol=1e-5)
