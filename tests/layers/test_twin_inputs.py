"""Twins take inputs of unknown batch and length, and masks, as their Keras layers do."""

import keras
import numpy as np
import pytest

from keras_priors import posteriors
from tests.layers._twins import (
    CASES,
    EACH,
    PAIRS,
    data,
    equal_weights,
    families_of,
    keras_class,
    skip_unless_it_runs,
    twin,
)
from tests.posteriors._calculus import as_numpy

# Which axes of an input, the batch not counted, may be open in each einsum; others span weights.
OPEN_IN_EINSUM = {
    "einsum": (0,),
    "einsum ellipsis": (0,),
    "einsum transposed": (),
    "einsum batched": (),
    "einsum summed": (),
}


def open_axes(case):
    """The axes of an input, the batch not counted, whose length may be unknown."""
    if case in OPEN_IN_EINSUM:
        return OPEN_IN_EINSUM[case]
    if case in ("dense", "embedding"):
        return (0,) if case == "embedding" else ()
    rank = len(CASES[case][2])
    first = CASES[case][1].get("data_format") == "channels_first"
    return tuple(range(1, rank) if first else range(rank - 1))


@pytest.mark.parametrize("case, estimator", PAIRS)
def test_unknown_batch_and_length(case, estimator):
    skip_unless_it_runs(case)
    lengths, axes = CASES[case][2], open_axes(case)
    shape = [None if k in axes else n for k, n in enumerate(lengths)]
    tiny = families_of(case, posteriors.MeanFieldNormal(1e-7))
    layer = twin(case, build=False, estimator=estimator, **tiny)
    inputs = keras.Input(shape, dtype=data(case).dtype.name)
    model = keras.Model(inputs, layer(inputs, training=True))
    original = equal_weights(case, layer)
    for batch, more in ((3, 0), (1, 2)):
        widths = [(0, 0), *((0, more if k in axes else 0) for k in range(len(lengths)))]
        x = np.pad(data(case, batch), widths, mode="wrap")
        y = model.predict(x, verbose=0, batch_size=2)
        np.testing.assert_allclose(y, as_numpy(original(x)), rtol=1e-4, atol=1e-5)


def test_dense_takes_unknown_lengths():
    layer = twin("dense", build=False, estimator="flipout")
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layer(inputs, training=True))
    for length in (1, 4):
        y = model.predict(np.ones((3, length, 3), "float32"), verbose=0, batch_size=2)
        assert y.shape == (3, length, 2)
        assert np.isfinite(y).all()


class Spy(keras.layers.Layer):
    """Remembers the mask that it is given."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True
        self.masks = []

    def call(self, x, mask=None):
        self.masks.append(None if mask is None else as_numpy(mask))
        return x


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
@pytest.mark.parametrize("case", [p for p in EACH if p.values != ("embedding",)])
def test_a_mask_goes_on_where_that_of_keras_does(case):
    skip_unless_it_runs(case)
    layer = twin(case)
    original, spy = equal_weights(case, layer), Spy()
    assert layer.supports_masking == original.supports_masking
    x = data(case)
    x[:, :1] = 0.0
    for called in (original, layer):
        spy(called(keras.layers.Masking()(x)))
    expected, given = spy.masks
    assert (expected is None) == (given is None) == (not original.supports_masking)
    assert expected is None or np.array_equal(expected, given)


def test_the_warning_at_a_mask_is_that_of_keras():
    for case in ("conv1d", "einsum"):
        for cls in (keras_class(case), type(twin(case, build=False))):
            stack = [keras.Input((5, 2)), keras.layers.Masking(), cls(**CASES[case][1])]
            with pytest.warns(UserWarning, match="does not support mask"):
                keras.Sequential(stack)(np.ones((1, 5, 2), "float32"))
