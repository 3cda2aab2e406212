"""A file with every prior, saved here, has the same densities on another backend."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_priors import backend
from keras_priors import priors as p
from tests.priors._models import every_prior
from tests.priors._native_cases import BOTH, native

HERE = keras.backend.backend()
# What reads fastest. With compilation on JAX the test takes over 15 seconds, elsewhere 9 to 14.
READERS = {"tensorflow": ("torch", "jax"), "jax": ("torch", "tensorflow")}
SLOW_ON_JAX = [pytest.mark.slow] if HERE == "jax" else []

READER = """
import json
import sys

import keras
import keras_priors

model = keras.models.load_model(sys.argv[1], safe_mode=True)
found = {
    layer.name: [float(layer.kernel_regularizer(layer.kernel)), layer.kernel_constraint is None]
    for layer in model.layers
    if isinstance(layer, keras.layers.Dense)
}
print("RESULT" + json.dumps([keras.backend.backend(), found]))
"""


def dense_layers():
    """A layer for each prior, with a kernel inside its support."""
    kernels = [(prior, np.full((3, 2), 0.4, "float32")) for prior in every_prior()]
    for case in BOTH:
        inside = case.inside.astype("float32")
        if inside.ndim == 3:
            inside = inside[0]
        kernels.append((case.prior(), np.atleast_2d(inside)))
    for number, (prior, kernel) in enumerate(kernels):
        prior.num_data = 8
        layer = keras.layers.Dense(
            kernel.shape[1],
            use_bias=False,
            kernel_regularizer=prior,
            kernel_constraint=prior.constraint(),
            name=f"dense_{number}",
        )
        yield layer, kernel, prior


@pytest.mark.parametrize(
    "readers", [pytest.param(READERS.get(HERE, ("tensorflow",)), marks=SLOW_ON_JAX)]
)
def test_a_file_with_every_prior_has_the_same_densities_on_another_backend(
    readers, tmp_path, project_root
):
    reader = next((r for r in readers if importlib.util.find_spec(r) is not None), None)
    if reader is None:
        pytest.skip("no other backend is installed")
    inputs = {size: keras.Input((size,)) for size in (1, 2, 3)}
    outputs, expected = [], {}
    for layer, kernel, prior in dense_layers():
        outputs.append(layer(inputs[kernel.shape[0]]))
        layer.kernel.assign(kernel)
        expected[layer.name] = (prior, float(prior(kernel)))
    model = keras.Model(list(inputs.values()), outputs)
    model.save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path / "model.keras")],
        env={**os.environ, "KERAS_BACKEND": reader, "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    backend, found = json.loads(line.removeprefix("RESULT"))
    assert backend == reader
    assert found.keys() == expected.keys()
    for name, (prior, value) in expected.items():
        message = repr(prior.get_config())
        assert np.isfinite(value), message
        np.testing.assert_allclose(found[name][0], value, rtol=1e-5, atol=1e-6, err_msg=message)
        assert found[name][1] == (prior.constraint() is None), message


# The words of files of earlier versions: those of the library that had saved them.
OLD = {
    "torch Independent": (
        "Independent",
        {
            "base_distribution": {
                "distribution": "InverseGamma",
                "parameters": {"concentration": [2.0, 3.0], "rate": [0.5, 1.0]},
            },
            "reinterpreted_batch_ndims": 1,
        },
        lambda: native(
            "Independent",
            distribution=native("InverseGamma", concentration=[2.0, 3.0], scale=[0.5, 1.0]),
            reinterpreted_batch_ndims=1,
        ),
    ),
    "torch MixtureSameFamily": (
        "MixtureSameFamily",
        {
            "mixture_distribution": {
                "distribution": "Categorical",
                "parameters": {"probs": [0.25, 0.75]},
            },
            "component_distribution": {
                "distribution": "Pareto",
                "parameters": {"alpha": [2.0, 3.0], "scale": [0.1, 0.2]},
            },
        },
        lambda: native(
            "MixtureSameFamily",
            mixture_distribution=native("Categorical", probs=[0.25, 0.75]),
            components_distribution=native("Pareto", concentration=[2.0, 3.0], scale=[0.1, 0.2]),
        ),
    ),
    **{
        f"torch MultivariateNormal {name}": (
            "MultivariateNormal",
            {"loc": [0.1, 0.2], name: value},
            lambda: native(
                "MultivariateNormalTriL", loc=[0.1, 0.2], scale_tril=[[2.0, 0.0], [0.5, 1.0]]
            ),
        )
        for name, value in {
            "scale_tril": [[2.0, 0.0], [0.5, 1.0]],
            "covariance_matrix": [[4.0, 1.0], [1.0, 1.25]],
            "precision_matrix": [[0.3125, -0.25], [-0.25, 1.0]],
        }.items()
    },
    "torch HalfCauchy": (
        "HalfCauchy",
        {"scale": 2.0},
        lambda: native("HalfCauchy", loc=0.0, scale=2.0),
    ),
    "TFP Exponential": (
        "Exponential",
        {"rate": 2.0, "force_probs_to_zero_outside_support": False},
        lambda: native("Exponential", rate=2.0),
    ),
    "TFP whole numbers": (
        "StudentT",
        {"df": 4, "loc": 0, "scale": 1},
        lambda: native("StudentT", df=4.0, loc=0.0, scale=1.0),
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_an_older_file_still_loads(name):
    kind, parameters, make = OLD[name]
    config = {"distribution": {"distribution": kind, "parameters": parameters}, "num_data": 7}
    loaded, expected = p.DistributionPrior.from_config(config), p.DistributionPrior(make())
    w = np.array([[0.5, 0.7], [1.5, 0.9]], "float32")
    np.testing.assert_allclose(float(loaded.log_prob(w)), float(expected.log_prob(w)), rtol=1e-6)
    assert loaded.num_data == 7


def test_a_class_of_the_other_library_is_refused_by_name():
    torch = keras.backend.backend() == "torch"
    name, parameters = ("Moyal", {"loc": 0.0, "scale": 1.0})
    if not torch:
        name, parameters = ("FisherSnedecor", {"df1": 3.0, "df2": 5.0})
    config = {"distribution": {"distribution": name, "parameters": parameters}, "num_data": None}
    match = rf"Only distribution classes.*Received: class name '{name}'.*Load the file on"
    with pytest.raises(ValueError, match=match):
        p.DistributionPrior.from_config(config)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch has no such defaults")
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Uniform", {"low": 0, "high": 1}),
        ("Kumaraswamy", {"concentration1": 2, "concentration0": 1}),
    ],
)
def test_integers_that_equal_a_default_are_written(name, parameters):
    """The other library has no defaults for them."""
    prior = p.DistributionPrior(backend.distribution(name, **parameters))
    assert set(parameters) <= set(prior.get_config()["distribution"]["parameters"])
