"""Each likelihood in a file of each format, which may lack an operator."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.serving.statistics_of import statistics_of
from tests.serving._models import DRAWS, rows
from tests.serving._runtimes import WRITTEN, load
from tests.serving.test_export_predictive import exported
from tests.serving.test_statistics_of import CLASSES, NUMBERS

WITH_QUANTILES = {
    "three families": {
        "NormalMixture": NUMBERS["NormalMixture"],
        "AsymmetricLaplace of each target": NUMBERS["AsymmetricLaplace of each target"],
        "Weibull with concentrations": NUMBERS["Weibull with concentrations"],
    },
    "gamma": {"Gamma": (kp.likelihoods.Gamma(None), 2), "Poisson": NUMBERS["Poisson"]},
    "beta": {"StudentT": NUMBERS["StudentT"], "Dirichlet": (kp.likelihoods.Dirichlet(), 3)},
    "counts": {
        "Binomial": (kp.likelihoods.Binomial(9), 2),
        "DirichletMultinomial": (kp.likelihoods.DirichletMultinomial(5), 3),
        "ZeroInflated": (kp.likelihoods.ZeroInflated(kp.likelihoods.NegativeBinomial(None)), 3),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("families", WITH_QUANTILES)
@pytest.mark.parametrize("target", WRITTEN[keras.backend.backend()])
def test_quantiles_of_more_families_in_every_format(target, families, tmp_path):
    """As those of the graph, which are held to SciPy's in tests of their own."""
    family = WITH_QUANTILES[families]
    x = keras.Input((3,), name="x")
    layers = {name: kp.VariationalDense(family[name][1], num_data=20) for name in family}
    names = {name: f"output_{k}" for k, name in enumerate(family)}
    model = keras.Model(x, {names[name]: layer(x) for name, layer in layers.items()})
    likelihood = {names[name]: family[name][0] for name in family}
    given = rows(7, 3)
    found = load(exported(model, tmp_path, target, likelihood=likelihood), target)(given)
    predictive = kp.predict(model, given, DRAWS, likelihood, seed=3, verbose=0)
    for output, one in predictive.items():
        draws = keras.ops.convert_to_tensor(one.draws)
        expected = keras.ops.convert_to_numpy(
            statistics_of(one.likelihood, draws, (0.05, 0.5, 0.95))["quantiles"]
        )
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[f"{output}_quantiles"], expected, atol=1e-5 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("target", WRITTEN[keras.backend.backend()])
def test_every_likelihood_in_every_format(target, tmp_path):
    more = {
        "Dirichlet": (kp.likelihoods.Dirichlet(), 3),
        "Binomial": (kp.likelihoods.Binomial(9), 2),
    }
    family = {**NUMBERS, **CLASSES, **more}
    del family["Categorical of probabilities"]  # whose outputs are none of a dense layer
    x = keras.Input((3,), name="x")
    names = {name: f"o{k}" for k, name in enumerate(family)}
    small = keras.initializers.RandomNormal(0.0, 0.3, seed=0)  # scales near 0 have no variance
    outputs = {
        names[k]: keras.layers.Dense(family[k][1], kernel_initializer=small)(x) for k in family
    }
    model = keras.Model(x, outputs)
    likelihood = {names[name]: family[name][0] for name in family}
    given = rows(7, 3)
    path = exported(model, tmp_path, target, likelihood=likelihood, quantiles=())
    found = load(path, target)(given)
    predictive = kp.predict(model, given, 1, likelihood, seed=3, verbose=0)
    for name, value in found.items():
        output, what = name.split("_", 1)
        expected = getattr(predictive[output], what)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5 * scale, err_msg=name)
    assert len(found) == 4 * len(family)
