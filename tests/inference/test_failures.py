"""Every method crossed with every mistake: an error that says what was wrong, before any search."""

import keras
import numpy as np
import pytest

import keras_priors as kp

ROWS, WIDTH = 6, 3
LIKELIHOOD = kp.likelihoods.Normal(1.0)
METHODS = {
    "MAP": kp.inference.MAP(),
    "Laplace": kp.inference.Laplace("full"),
    "last-layer Laplace": kp.inference.Laplace("full", layers="last"),
    "NUTS": kp.inference.NUTS(num_chains=2, num_warmup=20, num_samples=20),
    "HMC": kp.inference.HMC(num_chains=2, num_warmup=20, num_samples=20),
    "SGLD": kp.inference.SGLD(num_burnin=10, num_samples=10),
    "SGHMC": kp.inference.SGHMC(num_burnin=10, num_samples=10),
    "SWAG": kp.inference.SWAG(burnin_epochs=10, num_snapshots=20, epochs_between=1.0),
    "DeepEnsemble": kp.inference.DeepEnsemble(num_members=2, epochs=1),
    "RandomizedMAP": kp.inference.RandomizedMAP(num_members=2),
    "MCDropout": kp.inference.MCDropout(),
    "MeanField": kp.inference.MeanField(10),
    "FullRank": kp.inference.FullRank(10),
    "LowRank": kp.inference.LowRank(1, 10),
    "VariationalLayers": kp.inference.VariationalLayers(),
}
ON_TWO = {"NUTS", "HMC"}
# These begin at draws of their own, not at the weights that the model has.
ELSEWHERE = {"DeepEnsemble", "RandomizedMAP"}


def x_and_y():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, WIDTH)).astype("float32")
    return x, rng.standard_normal((ROWS, 1)).astype("float32")


def model_for(name, built=True):
    prior = kp.NormalPrior(0.0, 1.0)
    first = [keras.Input((WIDTH,))] if built else []
    if name == "VariationalLayers":
        last = kp.VariationalDense(1, use_bias=False, kernel_prior=prior, name="line")
    else:
        last = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="line")
    dropout = [keras.layers.Dropout(0.5)] if name == "MCDropout" else []
    return keras.Sequential([*first, *dropout, last], name="net")


def fit(name, model, x, y, likelihood=LIKELIHOOD):
    return METHODS[name].fit(model, x, y, likelihood, seed=0, verbose=0)


def fewer_targets(name):
    x, y = x_and_y()
    return model_for(name), x, y[:-1], "same number of rows"


def no_rows(name):
    x, y = x_and_y()
    return model_for(name), x[:0], y[:0], "at least one"


def no_targets(name):
    return model_for(name), x_and_y()[0], None, "needs targets"


def other_features(name):
    x, y = x_and_y()
    return model_for(name), x[:, :2], y, r"must have the shape \(3,\)"


def wider_targets(name):
    x, y = x_and_y()
    return model_for(name), x, np.repeat(y, 2, axis=1), "(?i)target"


def nan_input(name):
    x, y = x_and_y()
    x[4, 1] = np.nan
    return model_for(name), x, y, r"`x` must be finite where net .* in 1 of 6 rows, first in row 4"


def infinite_input(name):
    x, y = x_and_y()
    x[2:4] = np.inf
    return model_for(name), x, y, r"`x` must be finite where net .* in 2 of 6 rows, first in row 2"


def nan_target(name):
    x, y = x_and_y()
    y[5] = np.nan
    return model_for(name), x, y, r"`y` must have a density .* first in row 5 of 6"


def target_outside_the_support(name):
    x, y = x_and_y()
    return model_for(name), x, y, r"`y` must have a density under Poisson.* -inf nats, first in row"


def likelihood_of_other_outputs(name):
    return model_for(name), *x_and_y(), "Categorical must be that of at least 2 classes"


def not_built(name):
    return model_for(name, built=False), *x_and_y(), "is built"


def nan_weight(name):
    model = model_for(name)
    variable = model.trainable_variables[0]
    variable.assign(np.full(variable.shape, np.nan))
    return model, *x_and_y(), "must be finite.*NaN or infinity in line/kernel"


MISTAKES = (
    fewer_targets,
    no_rows,
    no_targets,
    other_features,
    wider_targets,
    nan_input,
    infinite_input,
    nan_target,
    target_outside_the_support,
    likelihood_of_other_outputs,
    not_built,
    nan_weight,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
@pytest.mark.parametrize("name", METHODS)
def test_a_mistake_is_refused_where_it_enters(name, mistake, backend, monkeypatch):
    if mistake is nan_weight and name in ELSEWHERE:
        pytest.skip("it does not begin at the weights")
    if mistake is no_targets and name == "VariationalLayers":
        pytest.skip("covered by its own test: x may be left out with y")
    model, x, y, message = mistake(name)
    likelihood = {
        target_outside_the_support: kp.likelihoods.Poisson(),
        likelihood_of_other_outputs: kp.likelihoods.Categorical(),
    }.get(mistake, LIKELIHOOD)
    before = [np.array(w) for w in model.get_weights()]

    def never(*_):
        raise AssertionError("Nothing is compiled before the mistake is found.")

    monkeypatch.setattr("keras_priors.backend.compile_function", lambda function: never)
    if backend == "torch" and name in ON_TWO:
        with pytest.raises(NotImplementedError, match="TensorFlow"):
            fit(name, model, x, y)
        return
    with pytest.raises(ValueError, match=message) as error:
        fit(name, model, x, y, likelihood)
    assert "Received" in str(error.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_no_model_and_no_likelihood_is_refused(name, backend):
    if backend == "torch" and name in ON_TWO:
        pytest.skip("refused before")
    x, y = x_and_y()
    with pytest.raises(TypeError, match=r"must be a keras\.Model"):
        fit(name, keras.layers.Dense(1), x, y)
    with pytest.raises(ValueError, match="likelihood=keras_priors"):
        fit(name, model_for(name), x, y, None)
    model = model_for(name)
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"keras_priors\.likelihoods\.Normal"):
        fit(name, model, x, y, None)
    with pytest.raises(ValueError, match="verbose"):
        METHODS[name].fit(model_for(name), x, y, LIKELIHOOD, verbose=2)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"VariationalLayers"}))
def test_variational_layers_are_left_to_their_own_method(name, backend):
    if backend == "torch" and name in ON_TWO:
        pytest.skip("refused before")
    with pytest.raises(ValueError, match=r"Use keras_priors\.inference\.VariationalLayers\(\)"):
        fit(name, model_for("VariationalLayers"), *x_and_y())


def test_missing_values_that_the_model_fills_in_are_no_mistake():
    @keras.saving.register_keras_serializable("keras_priors_tests")
    class Fill(keras.layers.Layer):
        def call(self, x):
            return keras.ops.where(keras.ops.isnan(x), 0.0, x)

    x, y = x_and_y()
    model = keras.Sequential([keras.Input((WIDTH,)), Fill(), model_for("MAP").layers[-1]])
    filled = kp.inference.LogPosterior(model, x * [[1.0, 0.0, 1.0]], y, LIKELIHOOD)()
    x[:, 1] = np.nan
    assert kp.inference.LogPosterior(model, x, y, LIKELIHOOD)() == filled


def test_targets_that_are_masked_are_no_mistake():
    x = np.array([[1, 2, 0], [3, 0, 0]])
    inputs = keras.Input((3,), dtype="int32")
    hidden = keras.layers.Embedding(4, 2, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    padded = np.where(x == 0, -1, x % 2)
    categorical = kp.likelihoods.Categorical()
    values = [kp.inference.LogPosterior(model, x, y, categorical)() for y in (padded, x % 2)]
    assert values[0] == values[1] < 0
    with pytest.raises(ValueError, match=r"first in row 1"):
        kp.inference.LogPosterior(model, x, np.where(x == 3, -1, x % 2), categorical)


def test_a_target_of_weight_zero_may_be_missing():
    x, y = x_and_y()
    model = model_for("MAP")
    expected = kp.inference.LogPosterior(model, x[:5], y[:5], LIKELIHOOD).value_and_gradient()
    y[5] = np.nan
    weight = np.array([1, 1, 1, 1, 1, 0])
    found = kp.inference.LogPosterior(model, x, y, LIKELIHOOD, sample_weight=weight)
    value, slope = found.value_and_gradient()
    assert value == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(slope["line/kernel"], expected[1]["line/kernel"], rtol=1e-4)
