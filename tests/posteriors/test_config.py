"""Descriptions of posteriors: names, configs, copies, and what is refused."""

import json

import keras
import numpy as np
import pytest

from keras_priors import posteriors
from tests.posteriors._families import FAMILIES, build

DESCRIPTIONS = [
    *FAMILIES.values(),
    posteriors.MeanFieldNormal(0.02),
    posteriors.LowRankNormal(2, initial_scale=0.5),
    posteriors.FullNormal(initial_scale=0.5),
    posteriors.MatrixNormal(initial_scale=0.5),
    posteriors.LogNormal(initial_scale=0.5),
]
NAMES = {
    "mean_field": posteriors.MeanFieldNormal,
    "delta": posteriors.Delta,
    "low_rank": posteriors.LowRankNormal,
    "full": posteriors.FullNormal,
    "matrix_normal": posteriors.MatrixNormal,
    "log_normal": posteriors.LogNormal,
}


@pytest.mark.parametrize("posterior", DESCRIPTIONS, ids=repr)
def test_round_trip(posterior):
    config = keras.saving.serialize_keras_object(posterior)
    text = json.dumps(config)
    twin = keras.saving.deserialize_keras_object(json.loads(text), safe_mode=True)
    assert type(twin) is type(posterior)
    assert twin is not posterior
    assert repr(twin) == repr(posterior)
    assert twin.get_config() == posterior.get_config()
    assert posteriors.get(json.loads(text)).get_config() == posterior.get_config()


@pytest.mark.parametrize("posterior", DESCRIPTIONS, ids=repr)
def test_a_copy_is_unbuilt(posterior):
    built, _ = build(posterior)
    copy = built.copy()
    assert copy.get_config() == posterior.get_config()
    assert "loc" not in vars(copy)
    assert "loc" not in vars(posterior)


@pytest.mark.parametrize("name", NAMES)
def test_get_takes_a_name_a_class_or_an_instance(name):
    assert type(posteriors.get(name)) is NAMES[name]
    assert type(posteriors.get(NAMES[name])) is NAMES[name]
    instance = NAMES[name]()
    assert posteriors.get(instance) is instance


def test_get_refuses_the_rest():
    with pytest.raises(ValueError, match=r"'mean_field'.*Received: 'normal'"):
        posteriors.get("normal")
    for wrong in (3, None, dict, keras.initializers.Zeros()):
        with pytest.raises(TypeError, match="Received"):
            posteriors.get(wrong)


@pytest.mark.parametrize("family", [c for c in NAMES.values() if c is not posteriors.Delta])
@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, [0.1, 0.2]])
def test_initial_scale_is_one_positive_number(family, scale):
    with pytest.raises(ValueError, match=rf"`initial_scale` of {family.__name__}"):
        family(initial_scale=scale)


@pytest.mark.parametrize("family", [c for c in NAMES.values() if c is not posteriors.Delta])
@pytest.mark.parametrize("scale", ["0.1", True])
def test_initial_scale_is_a_number(family, scale):
    with pytest.raises(TypeError, match=rf"`initial_scale` of {family.__name__}"):
        family(initial_scale=scale)


@pytest.mark.parametrize("rank, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_rank_is_a_whole_number(rank, error):
    with pytest.raises(error, match="`rank` of LowRankNormal"):
        posteriors.LowRankNormal(rank=rank)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), ()], ids=str)
def test_matrix_normal_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"two axes.*LowRankNormal"):
        build(posteriors.MatrixNormal(), shape)


def test_full_normal_refuses_large_weights():
    with pytest.raises(ValueError, match=r"16384 elements.*\(129, 128\).*LowRankNormal"):
        build(posteriors.FullNormal(), (129, 128))


@pytest.mark.parametrize("name", NAMES)
def test_dtype_size_and_shape(name):
    posterior, variables = build(NAMES[name](), (3, 2))
    assert posterior.dtype == "float32"
    assert posterior.size == 6
    assert posterior.shape == (3, 2)
    assert next(iter(variables)) == "loc"
