"""A word where a learned noise has gone as low as it can."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference.check_noise import check_noise, check_noise_remains

X = np.random.default_rng(0).standard_normal((8, 2)).astype("float32")
Y = np.zeros((8, 1), "float32")  # reproduced by weights of zero
LIKELIHOOD = kp.likelihoods.HeteroscedasticNormal()
ONE = {"num_burnin": 1, "num_samples": 2, "num_chains": 1}
# All stay where they begin.
METHODS = {
    "DeepEnsemble": kp.inference.DeepEnsemble(
        2, epochs=1, batch_size=8, optimizer=keras.optimizers.SGD(1e-30)
    ),
    "SWAG": kp.inference.SWAG(1e-30, 0.0, 8, 0, 2, 1.0, 0),
    "SGLD": kp.inference.SGLD(1e-30, **ONE),
    "SGHMC": kp.inference.SGHMC(1e-30, **ONE),
}


def net(scale):
    line = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=kp.NormalPrior(0, 1, num_data=8),
    )
    prior = kp.HalfCauchyPrior(2.5, num_data=8)
    noise = kp.layers.NoiseScale(prior, initial_scale=scale, name="noise")
    return keras.Sequential([keras.Input((2,)), line, noise])


@pytest.mark.parametrize("scale", [2e-6, 0.1])
@pytest.mark.parametrize("name", METHODS)
def test_a_noise_at_its_least_is_said_and_another_is_not(name, scale):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        METHODS[name].fit(net(scale), X, Y, LIKELIHOOD, seed=0, verbose=0)
    said = [str(w.message) for w in caught if "has learned" in str(w.message)]
    assert len(said) == (scale < 1e-5)
    for each in said:
        assert each.startswith(f"The noise that {name} has learned") and "scale is 2e-06" in each


@pytest.mark.parametrize(
    "likelihood",
    [
        LIKELIHOOD,
        kp.likelihoods.StudentT(df=4.0, scale=None),
        kp.likelihoods.Laplace(scale=None),
        kp.likelihoods.AsymmetricLaplace(0.5, scale=None),
    ],
    ids=["normal", "student", "laplace", "quantile"],
)
def test_a_noise_far_above_the_targets_is_said(likelihood):
    """Of a known number of draws, and against the targets' own deviation, 0.5."""
    y = np.array([[0.0], [1.0]] * 4, "float32")
    kernel = np.zeros((1, 4, 2, 1), "float32")
    for scales, number in (([0.1, 4.9, 0.5, 0.5], 0), ([0.1, 5.1, 1e9, 0.5], 2)):
        posterior = kp.inference.SamplePosterior(
            net(0.1),
            likelihood,
            [kernel, np.reshape(scales, (1, 4, 1)).astype("float32")],
            observations=kp.functional.Observations(X, y),
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_noise("X", posterior)
        said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
        assert len(said) == (number > 0)
        for each in said:
            assert f"in {number} of 4 draws" in each and "up to 1e+09" in each


def test_the_density_of_targets_stops_where_the_layer_does():
    """At 1e-6: 12.9 nats a number, and no more, at whatever lower scale is given."""
    least = -np.log(1e-6) - 0.5 * np.log(2 * np.pi)
    for scale in (1e-9, 1e-6):
        model = net(1.0)
        model.get_layer("noise").scale.assign([scale])
        density = float(keras.ops.convert_to_numpy(LIKELIHOOD(Y, model(X))))
        assert -least - 1e-3 <= density < -least + 0.75


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        (kp.inference.MAP(), kp.inference.MAP(max_iterations=0)),
        (
            kp.inference.Laplace("diagonal"),
            kp.inference.Laplace("diagonal", max_iterations=0, tolerance=1e9),
        ),
    ],
    ids=["MAP", "Laplace"],
)
@pytest.mark.parametrize(
    ("likelihood", "rows", "said"),
    [
        (LIKELIHOOD, 12, True),
        (LIKELIHOOD, 400, False),
        (kp.likelihoods.StudentT(df=4.0, scale=None), 12, True),
    ],
)
def test_a_mode_that_has_fitted_the_noise_away_is_said(method, kept, likelihood, rows, said):
    """Half of the targets' deviation is noise, of which 201 weights leave 12 rows nothing."""
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, 2)).astype("float32")
    y = 10.0 * (x[:, :1] + random.standard_normal((rows, 1))).astype("float32")
    keras.utils.set_random_seed(0)
    wide = {"kernel_regularizer": kp.NormalPrior(0, 10), "bias_regularizer": kp.NormalPrior(0, 10)}
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(50, "tanh", **wide),
            keras.layers.Dense(1, **wide),
            kp.layers.NoiseScale(kp.HalfCauchyPrior(10.0), name="noise"),
        ]
    )
    for each, expected in ((kept, False), (method, said)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            each.fit(model, x, y, likelihood, seed=0, verbose=0)
        found = [str(w.message) for w in caught if "the less noise the higher" in str(w.message)]
        assert len(found) == expected
        for text in found:
            assert text.startswith(type(method).__name__)
            assert "noise/scale of" in text and "201 weights for 12 targets" in text


@pytest.mark.parametrize(
    "likelihood",
    [kp.likelihoods.Laplace(scale=None), kp.likelihoods.AsymmetricLaplace(0.5, scale=None)],
    ids=["Laplace", "AsymmetricLaplace"],
)
@pytest.mark.parametrize(("scale", "said"), [(1e-3, 1), (0.5, 0)])
def test_the_scale_of_a_density_with_a_kink_is_compared_with_the_targets_too(
    likelihood, scale, said
):
    """No climb of ours goes to the bottom of a kink: the position is given."""
    model = net(1.0)
    model.get_layer("noise").scale.assign([scale])
    y = np.array([[-1.0], [1.0]], "float32")
    log_posterior = kp.inference.LogPosterior(model, X[:2], y, likelihood)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_noise_remains("MAP", log_posterior, log_posterior.flatten())
    assert len([w for w in caught if "the less noise the higher" in str(w.message)]) == said
