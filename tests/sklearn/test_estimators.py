"""Estimators against closed forms, and in what scikit-learn does with estimators."""

import pickle

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import keras_priors as kp
from keras_priors.sklearn import BayesianClassifier, BayesianRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.3 * RNG.standard_normal(40)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [-1.0, 1.0])]
NOISE = 0.3
MAP = kp.inference.MAP()
STAY = kp.inference.MAP(max_iterations=0)  # where plain `fit` has ended


def line(inputs, outputs):
    dense = keras.layers.Dense(outputs, use_bias=False, name="line")
    return keras.Sequential([keras.Input((inputs,)), dense])


def linear(**arguments):
    """A regression whose posterior is normal."""
    settings = {
        "model": line,
        "prior": kp.NormalPrior(0, 1),
        "method": kp.inference.Laplace("full"),
        "likelihood": kp.likelihoods.Normal(NOISE),
        "num_steps": 0,
        "standardize": False,
        "random_state": 0,
    }
    return BayesianRegressor(**(settings | arguments))


def small(**arguments):
    settings = {"method": STAY, "hidden_units": 3, "num_steps": 50, "random_state": 0}
    return BayesianRegressor(**(settings | arguments))


def small_classifier(**arguments):
    settings = {"method": STAY, "hidden_units": 3, "num_steps": 50, "random_state": 0}
    return BayesianClassifier(**(settings | arguments))


def train(**arguments):
    """By plain `fit` alone."""
    return linear(method=STAY, **arguments)


@pytest.fixture(scope="module")
def fitted():
    return linear(num_samples=4000).fit(X, Y)


@pytest.fixture(scope="module")
def classifier():
    settings = {"model": line, "prior": kp.NormalPrior(0, 3), "num_samples": 500, "num_steps": 0}
    return small_classifier(method=kp.inference.Laplace("full"), **settings).fit(X, LABELS)


def closed_form(rows):
    precision = np.eye(3) + X.T @ X / NOISE**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ X.T @ Y / NOISE**2
    return rows @ mean, np.sqrt(np.einsum("ni,ij,nj->n", rows, covariance, rows) + NOISE**2)


def test_mean_and_deviation_are_those_of_the_closed_form(fitted):
    rows = 5.0 * RNG.standard_normal((20, 3))
    mean, std = closed_form(rows)
    found, found_std = fitted.predict(rows, return_std=True)
    assert found.shape == found_std.shape == (20,)
    epistemic = np.sqrt(std**2 - NOISE**2)
    assert np.all(np.abs(found - mean) < 5 * epistemic / 4000**0.5 + 1e-4)
    # The variance of 4000 normals has the relative standard error sqrt(2 / 4000).
    np.testing.assert_allclose(found_std**2, std**2, rtol=5 * (2 / 4000) ** 0.5)
    np.testing.assert_array_equal(fitted.predict(rows), found)  # the same draws again
    assert fitted.score(X, Y) == r2_score(Y, fitted.predict(X))


def test_intervals_draws_and_densities_are_those_of_the_closed_form(fitted):
    rows = 5.0 * RNG.standard_normal((5, 3))
    mean, std = closed_form(rows)
    low, high = fitted.predict_interval(rows, 0.5)
    np.testing.assert_allclose(high - low, 2 * stats.norm.ppf(0.75) * std, rtol=0.1)
    drawn = fitted.sample_y(rows, 4000, random_state=1)
    assert drawn.shape == (5, 4000)
    assert np.all(np.abs(drawn.mean(axis=1) - mean) < 5 * std / 4000**0.5 * 2**0.5)
    np.testing.assert_allclose(drawn.std(axis=1), std, rtol=0.1)
    expected = stats.norm.logpdf(mean + std, mean, std)
    np.testing.assert_allclose(fitted.log_prob(rows, mean + std), expected, atol=0.1)


def test_weights_of_rows_are_rows_as_often(fitted):
    weights = np.r_[np.full(20, 2.0), np.zeros(20)]
    weighted = linear().fit(X, Y, weights).posterior_.mean()
    often = linear().fit(np.r_[X[:20], X[:20]], np.r_[Y[:20], Y[:20]]).posterior_.mean()
    for path, value in weighted.items():
        np.testing.assert_allclose(value, often[path], rtol=1e-4)
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        linear().fit(X, Y, -weights)


def test_units_of_targets_change_units_of_predictions_alone():
    one, other = small().fit(X, Y), small().fit(X * [1.0, 100.0, 1.0] + 7.0, 1000.0 * Y + 5.0)
    rows = X[:6] * [1.0, 100.0, 1.0] + 7.0
    mean, std = one.predict(X[:6], return_std=True)
    found, found_std = other.predict(rows, return_std=True)
    np.testing.assert_allclose(found, 1000.0 * mean + 5.0, rtol=1e-3, atol=1.0)
    np.testing.assert_allclose(found_std, 1000.0 * std, rtol=1e-3)
    for ours, theirs in zip(one.predict_interval(X[:6]), other.predict_interval(rows), strict=True):
        np.testing.assert_allclose(theirs, 1000.0 * ours + 5.0, rtol=1e-3, atol=1.0)
    drawn = other.sample_y(rows, 3)
    np.testing.assert_allclose(drawn, 1000.0 * one.sample_y(X[:6], 3) + 5.0, rtol=1e-3, atol=2.0)
    density = other.log_prob(rows, 1000.0 * Y[:6] + 5.0)
    np.testing.assert_allclose(density, one.log_prob(X[:6], Y[:6]) - np.log(1000.0), atol=0.01)


def test_several_targets_keep_their_columns():
    y = np.stack([Y, 100.0 - 10.0 * Y], axis=1)
    model = train(standardize=True, likelihood=None, num_steps=500).fit(X, y)
    mean, std = model.predict(X[:4], return_std=True)
    assert mean.shape == std.shape == (4, 2)
    assert model.sample_y(X[:4], 7).shape == (4, 2, 7)
    assert model.log_prob(X[:4], y[:4]).shape == (4,)
    np.testing.assert_allclose(mean[:, 1], y[:4, 1], atol=20.0)
    column = linear(method=MAP).fit(X, Y[:, None]).predict(X)
    np.testing.assert_array_equal(column[:, 0], linear(method=MAP).fit(X, Y).predict(X))


def test_counts_have_a_likelihood_of_their_own():
    y = RNG.poisson(np.exp(0.5 * X[:, 0] + 1.0))
    model = linear(likelihood=kp.likelihoods.Poisson()).fit(X, y)
    assert np.all(model.predict(X) > 0)
    assert np.all(model.sample_y(X, 3) >= 0)


def test_classes_go_by_their_names(classifier):
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (40, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert classifier.classes_.tolist() == ["a", "b", "c"]
    guess = classifier.predict(X)
    np.testing.assert_array_equal(guess, classifier.classes_[probabilities.argmax(axis=1)])
    assert classifier.score(X, LABELS) == np.mean(guess == LABELS) > 0.5
    drawn = classifier.sample_y(X[:4], 2000)
    for row, p in zip(drawn, probabilities, strict=False):
        share = np.mean(row[:, None] == classifier.classes_, axis=0)
        # Draws of 500 weights each: both errors together.
        assert np.all(np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / 500) + 0.01)
    information = classifier.mutual_information(np.r_[X, 30.0 * X])
    assert information.shape == (80,)
    assert np.all(information >= -1e-6)
    np.testing.assert_allclose(
        information[:40], classifier._predictive(X).mutual_information, atol=1e-12
    )


def test_it_is_pickled_with_its_posterior(fitted, classifier):
    for model in (fitted, classifier):
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_allclose(
            getattr(again, "predict_proba", again.predict)(X),
            getattr(model, "predict_proba", model.predict)(X),
            rtol=1e-6,
        )
    with pytest.raises(ValueError, match="3 features"):
        fitted.predict(X[:, :2])


def test_a_search_chooses_a_scale_of_the_prior():
    # Many rows: an epoch has a price of its own, and of few rows it is one step.
    x, y = np.tile(X, (16, 1)), np.tile(Y, 16)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), train(num_steps=400)),
        {"bayesianregressor__prior": [kp.NormalPrior(0, 1e-3), kp.NormalPrior(0, 3.0)]},
        cv=2,
    ).fit(x, y)
    assert search.best_params_["bayesianregressor__prior"].scale == 3.0
    assert search.best_score_ > 0.8
    assert cross_val_predict(train(num_steps=50), X, Y, cv=2).shape == (40,)


@pytest.mark.slow
def test_folds_in_processes_are_those_of_this_one():
    """joblib's own: each imports Keras anew, with the backend of this process."""
    here = cross_val_predict(linear(), X, Y, cv=2)
    assert here.std() > 0.5
    np.testing.assert_allclose(cross_val_predict(linear(), X, Y, cv=2, n_jobs=2), here, atol=1e-5)


def test_a_clone_is_made_anew_and_a_table_gives_names():
    table = pd.DataFrame(X, columns=["u", "v", "w"])
    model = small().fit(table, pd.Series(Y))
    assert model.feature_names_in_.tolist() == ["u", "v", "w"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table[["w", "v", "u"]])
    again = clone(model).fit(table, Y)
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    # Tables of another library are tables too.
    polar = pl.DataFrame({name: table[name].to_numpy() for name in table})
    other = clone(model).fit(polar, pl.Series(Y))
    assert other.feature_names_in_.tolist() == ["u", "v", "w"]
    np.testing.assert_array_equal(other.predict(polar), model.predict(table))
    other = clone(model).set_params(random_state=1).fit(table, Y)
    assert np.abs(other.predict(table) - model.predict(table)).max() > 1e-6


def test_the_net_is_trained_before_the_method_begins():
    # Each row 16 times, with the noise that makes it the same posterior.
    noise = kp.likelihoods.Normal(NOISE * 4.0)
    x, y = np.tile(X, (16, 1)), np.tile(Y, 16)
    start, trained, again = (
        train(num_steps=steps, likelihood=noise).fit(x, y) for steps in (0, 1600, 1600)
    )
    assert start.score(X, Y) < 0.9
    np.testing.assert_allclose(trained.predict(X), closed_form(X)[0], atol=0.02)
    np.testing.assert_array_equal(again.predict(X), trained.predict(X))


def test_what_cannot_be_is_refused():
    with pytest.raises(TypeError, match=r"a method of keras_priors\.inference"):
        small(method="nuts").fit(X, Y)
    with pytest.raises(TypeError, match=r"returns a built keras\.Model"):
        small(model=lambda inputs, outputs: None).fit(X, Y)
    with pytest.raises(TypeError, match="must be a prior, or rules"):
        small(prior=3.0).fit(X, Y)
    with pytest.raises(TypeError, match=r"one of keras_priors\.likelihoods"):
        small(likelihood="mse").fit(X, Y)
    with pytest.raises(ValueError, match="at least two classes"):
        small_classifier().fit(X, np.zeros(40))
    with pytest.raises(ValueError, match="NaN"):
        small().fit(np.where(X > 2, np.nan, X), Y)


NOT_EXACT = {
    "check_sample_weight_equivalence_on_dense_data": "batches of plain `fit` are other batches"
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [small, small_classifier])
def test_scikit_learn_accepts_it(make):
    found = check_estimator(make(hidden_units=10, num_steps=400), expected_failed_checks=NOT_EXACT)
    assert len(found) > 30


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat")
def test_the_default_knows_a_curve_and_where_it_was_not():
    x = np.r_[RNG.uniform(-2, -1, 100), RNG.uniform(1, 2, 100)][:, None]
    y = 50.0 + 20.0 * np.sin(2.0 * x[:, 0]) + 2.0 * RNG.standard_normal(200)
    model = BayesianRegressor(random_state=0).fit(x, y)
    _, std = model.predict([[-1.5], [0.0], [1.5]], return_std=True)
    assert 1.5 < std[0] < 3.5
    assert 1.5 < std[2] < 3.5
    assert std[1] > 1.5 * max(std[0], std[2])
    low, high = model.predict_interval(x)
    assert 0.83 < np.mean((low <= y) & (y <= high)) < 0.97
