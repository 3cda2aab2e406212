"""Configs, saved models, and what a constructor refuses."""

import json

import keras
import numpy as np
import pytest

from keras_priors import likelihoods
from tests.likelihoods._cases import CASES, f32, numpy

every_case = pytest.mark.parametrize("case", CASES, ids=repr)


@every_case
def test_round_trip(case):
    config = keras.losses.serialize(case.likelihood)
    twin = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)), safe_mode=True)
    assert type(twin) is type(case.likelihood)
    assert twin.get_config() == case.likelihood.get_config()
    assert repr(twin) == repr(case.likelihood)
    y, outputs = f32(case.y), f32(case.outputs)
    np.testing.assert_array_equal(numpy(twin(y, outputs)), numpy(case.likelihood(y, outputs)))
    assert likelihoods.get(config).get_config() == case.likelihood.get_config()


def test_every_argument_is_kept():
    likelihood = likelihoods.StudentT(
        3.0, [1.0, 2.0], reduction="mean_with_sample_weight", name="noise", dtype="float64"
    )
    twin = likelihoods.StudentT.from_config(likelihood.get_config())
    assert twin.get_config() == {
        "df": 3.0,
        "scale": [1.0, 2.0],
        "reduction": "mean_with_sample_weight",
        "name": "noise",
        "dtype": "float64",
    }
    assert twin.dtype == "float64"
    assert likelihoods.Normal().get_config()["dtype"] is None


@every_case
def test_saved_with_the_model(case, tmp_path):
    width = case.outputs.shape[-1]
    last = "softmax" if case.name == "categorical-probs" else None
    last = "sigmoid" if case.name in ("bernoulli-probs", "poisson-rate") else last
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(width, activation=last)])
    model.compile("sgd", loss=case.likelihood)
    x = np.random.default_rng(0).normal(size=(len(case.y), 2))
    expected = model.evaluate(x, case.y, verbose=0)
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert repr(twin.loss) == repr(case.likelihood)
    np.testing.assert_allclose(twin.evaluate(x, case.y, verbose=0), expected, rtol=1e-6)


POSITIVE = [
    (likelihoods.Normal, "scale"),
    (likelihoods.Laplace, "scale"),
    (likelihoods.StudentT, "df"),
    (likelihoods.NegativeBinomial, "total_count"),
    (likelihoods.HeteroscedasticNormal, "min_scale"),
    (likelihoods.Beta, "min_concentration"),
]

BY_AN_OUTPUT = [(likelihoods.Laplace, "scale"), (likelihoods.NegativeBinomial, "total_count")]


@pytest.mark.parametrize(("cls", "name"), POSITIVE)
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, [1.0, 0.0], []])
def test_parameters_that_are_not_positive(cls, name, value):
    with pytest.raises(ValueError, match=f"`{name}` of {cls.__name__} must be"):
        cls(**{name: value})


@pytest.mark.parametrize(("cls", "name"), POSITIVE)
@pytest.mark.parametrize("value", ["1", None, True, [1.0, "a"], object()])
def test_parameters_that_are_no_numbers(cls, name, value):
    if value is None and (cls, name) in BY_AN_OUTPUT:
        pytest.skip("then an output gives it")
    with pytest.raises(TypeError, match=f"`{name}` of {cls.__name__} must be"):
        cls(**{name: value})


@pytest.mark.parametrize(("cls", "name"), POSITIVE)
def test_parameters_of_too_many_axes(cls, name):
    with pytest.raises(ValueError, match=f"`{name}` of {cls.__name__} must be"):
        cls(**{name: np.ones((2, 2))})


@pytest.mark.parametrize("name", ["min_scale", "min_concentration"])
def test_floors_are_one_number(name):
    cls = likelihoods.Beta if name == "min_concentration" else likelihoods.HeteroscedasticNormal
    with pytest.raises(ValueError, match="must be one number"):
        cls([1.0, 2.0])


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (likelihoods.Bernoulli, "from_logits"),
        (likelihoods.Categorical, "from_logits"),
        (likelihoods.Poisson, "from_log_rate"),
    ],
)
@pytest.mark.parametrize("value", [1, "True", None])
def test_flags_are_bools(cls, name, value):
    with pytest.raises(TypeError, match=f"`{name}` of {cls.__name__} must be True or False"):
        cls(value)
