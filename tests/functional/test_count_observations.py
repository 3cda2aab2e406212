import keras
import numpy as np
import pytest
from keras import layers

from keras_priors.models import set_num_data
from keras_priors.priors import NormalPrior

N = 23
X = np.zeros((N, 3), "float32")
Y = np.zeros((N,), "int32")


@pytest.fixture(scope="module")
def count():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, kernel_regularizer=NormalPrior(0.0, 1.0))]
    )

    def set_and_read(data):
        returned = set_num_data(model, data)
        assert type(returned) is int
        assert model.layers[0].kernel.regularizer.num_data == returned
        return returned

    return set_and_read


class Batches(keras.utils.PyDataset):
    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        size = self.sizes[index]
        return {"a": np.zeros((size, 3)), "b": np.zeros((size, 2))}, np.zeros((size,))


class Endless(Batches):
    @property
    def num_batches(self):
        return None


@pytest.mark.parametrize(
    "data",
    [
        N,
        np.int64(N),
        X,
        (X, Y),
        [X, Y],
        {"a": X, "b": {"c": Y}},
        (X, Y, None),
        keras.ops.convert_to_tensor(X),
    ],
    ids=["int", "int64", "array", "tuple", "list", "dict", "none", "tensor"],
)
def test_integers_and_arrays(count, data):
    assert count(data) == N


def test_a_variable_of_keras(count):
    assert count(keras.Variable(X)) == N


@pytest.mark.parametrize(
    "data",
    [True, 3.0, np.float32(3), "100", None, np.array(5), [1.0, 2.0], object(), (x for x in X), []],
    ids=str,
)
def test_what_is_not_data_is_refused(count, data):
    with pytest.raises(TypeError, match=r"must be an integer, an array[\s\S]*pass the integer"):
        count(data)


@pytest.mark.parametrize("data", [0, -5])
def test_below_one_is_refused(count, data):
    with pytest.raises(ValueError, match=f"at least 1. Received: data={data}"):
        count(data)


def test_no_rows_are_refused(count):
    with pytest.raises(ValueError, match="at least one observation"):
        count(X[:0])


def test_unequal_lengths_are_refused(count):
    with pytest.raises(ValueError, match=r"lengths \[23, 22\]"):
        count((X, Y[1:]))


def test_py_dataset_counts_samples_not_batches(count):
    assert count(Batches([8, 8, 7])) == N
    with pytest.raises(ValueError, match=r"without an end[\s\S]*pass the integer"):
        count(Endless([8]))


def test_tf_dataset_on_every_backend(count):
    tf = pytest.importorskip("tensorflow")
    from_slices = tf.data.Dataset.from_tensor_slices
    pairs = from_slices((X, Y))
    assert count(pairs) == N
    assert count(pairs.batch(8)) == N
    assert count(pairs.shuffle(N).batch(8).prefetch(1)) == N
    assert count(pairs.batch(8, drop_remainder=True)) == 16
    assert count(pairs.repeat(2).batch(8)) == 2 * N
    assert count(pairs.filter(lambda x, y: True)) == N
    assert count(pairs.filter(lambda x, y: True).batch(8)) == N
    assert count(from_slices({"a": X, "b": X[:, :2]})) == N  # vectors of two lengths: not batched
    assert count(from_slices({"a": X, "b": X[:, :2]}).batch(8)) == N
    # A padded batch of sequences: the batch axis is the first.
    lengths = from_slices(np.arange(1, 6)).map(tf.zeros)
    assert count(lengths.padded_batch(2)) == 5
    for endless in (pairs.repeat(), pairs.repeat().batch(8)):
        with pytest.raises(ValueError, match=r"infinite[\s\S]*pass the integer"):
            count(endless)


def test_data_loader_on_every_backend(count):
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    pairs = data.TensorDataset(torch.zeros(N, 3), torch.zeros(N))
    assert count(torch.zeros(N, 3)) == N
    assert count(data.DataLoader(pairs, batch_size=8)) == N
    assert count(data.DataLoader(pairs, batch_size=8, shuffle=True)) == N
    assert count(data.DataLoader(pairs, batch_size=8, drop_last=True)) == 16
    assert count(data.DataLoader(pairs, batch_size=8, sampler=data.SubsetRandomSampler([0, 1, 2])))
    subset = data.DataLoader(data.Subset(pairs, range(9)), batch_size=4)
    assert count(subset) == 9
    some = data.DataLoader(pairs, batch_size=2, sampler=data.SubsetRandomSampler([0, 1, 2]))
    assert count(some) == 3
    batches = data.BatchSampler(data.SequentialSampler(pairs), 8, drop_last=True)
    assert count(data.DataLoader(pairs, batch_sampler=batches)) == 16

    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter(torch.zeros(N, 3))

    assert count(data.DataLoader(Stream(), batch_size=8)) == N
    assert count(data.DataLoader(Stream(), batch_size=8, drop_last=True)) == 16


def test_no_library_is_imported_to_recognise_data(count):
    # An object that only shares a name is not taken for what it is not.
    class DataLoader:
        dataset = X

    with pytest.raises(TypeError, match="of type DataLoader"):
        count(DataLoader())
