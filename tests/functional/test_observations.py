"""Data sets of batches, which an inference reads once."""

import keras
import numpy as np
import pytest

import keras_priors as kp

N, LIKELIHOOD = 7, kp.likelihoods.Normal(0.5)


class Batches(keras.utils.PyDataset):
    """Batches of three rows, by a function of the rows."""

    def __init__(self, of_rows):
        super().__init__()
        self.of_rows = of_rows

    def __len__(self):
        return 3

    def __getitem__(self, k):
        return self.of_rows(slice(3 * k, 3 * k + 3))


class Endless(Batches):
    @property
    def num_batches(self):
        return None


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((N, width)).astype("float32") for width in (2, 1))
    return x, y, rng.uniform(0.5, 2.0, N).astype("float32")


@pytest.fixture(scope="module")
def model():
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0.0, 1.0))
    return keras.Sequential([keras.Input((2,)), layer])


def value(model, *data, **more):
    return kp.inference.LogPosterior(model, *data, likelihood=LIKELIHOOD, **more)()


def test_batches_are_the_arrays(arrays, model):
    x, y, weight = arrays
    plain = value(model, x, y)
    assert value(model, Batches(lambda rows: (x[rows], y[rows]))) == pytest.approx(plain, rel=1e-6)
    tensors = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    assert value(model, *tensors) == pytest.approx(plain, rel=1e-6)
    with_weights = value(model, x, y, sample_weight=weight)
    assert with_weights != pytest.approx(plain, rel=1e-3)
    found = value(model, Batches(lambda rows: (x[rows], y[rows], weight[rows])))
    assert found == pytest.approx(with_weights, rel=1e-6)


def test_the_data_sets_of_the_backends_are_read(arrays, model, backend):
    x, y, weight = arrays
    if backend == "torch":
        torch = pytest.importorskip("torch")
        tensors = [torch.tensor(each) for each in arrays]

        def dataset(number):
            return torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(*tensors[:number]), batch_size=3
            )
    else:
        tf = pytest.importorskip("tensorflow")

        def dataset(number):
            return tf.data.Dataset.from_tensor_slices(arrays[:number]).batch(3)

        with pytest.raises(ValueError, match="The data must end"):
            value(model, dataset(2).repeat())
    assert value(model, dataset(2)) == pytest.approx(value(model, x, y), rel=1e-6)
    expected = value(model, x, y, sample_weight=weight)
    assert value(model, dataset(3)) == pytest.approx(expected, rel=1e-6)


def test_a_method_takes_a_data_set(arrays, model):
    x, y, _ = arrays
    found = kp.inference.MAP(max_iterations=0).fit(
        model, Batches(lambda rows: (x[rows], y[rows])), likelihood=LIKELIHOOD, verbose=0
    )
    assert found.log_posterior == pytest.approx(value(model, x, y), rel=1e-5)


def test_structures_are_kept(arrays):
    x, y, _ = arrays
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((1,), name="b")}
    prior = {"kernel_regularizer": kp.NormalPrior(0.0, 1.0), "use_bias": False}
    layer = keras.layers.Dense(1, **prior)
    model = keras.Model(inputs, layer(keras.layers.Concatenate()(list(inputs.values()))))

    def of_rows(rows):
        return {"a": x[rows], "b": y[rows]}, y[rows]

    assert value(model, Batches(of_rows)) == pytest.approx(
        value(model, {"a": x, "b": y}, y), rel=1e-6
    )


def test_what_is_no_data_set_is_refused(arrays, model):
    x, y, weight = arrays

    def now_and_then(rows):
        return (x[rows], y[rows], weight[rows]) if rows.start else (x[rows], y[rows])

    for data, message in (
        (Batches(lambda rows: x[rows]), "batches without targets"),
        (Batches(now_and_then), "1 of 3 batches without"),
        (Endless(lambda rows: (x[rows], y[rows])), "The data must end"),
        (iter(()), "no batch"),
    ):
        with pytest.raises(ValueError, match=message):
            value(model, data)
    with pytest.raises(ValueError, match="Give x alone"):
        value(model, Batches(lambda rows: (x[rows], y[rows])), y)
    with pytest.raises(TypeError, match="or a data set such as"):
        value(model, "rows")
