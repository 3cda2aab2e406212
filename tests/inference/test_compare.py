"""The table of `compare`: its numbers by hand, and what is refused."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.inference.arviz import leave_one_out

NORMAL = kp.likelihoods.Normal(2.0)


def draws_of(values):
    return kp.Predictive(np.asarray(values, "float32"), NORMAL)


def test_numbers_of_a_regression():
    y = np.array([[0.0], [-3.6], [3.6], [30.0]])
    table = kp.compare({"zero": draws_of(np.zeros((1, 4, 1)))}, y, y)
    row = table["zero"]
    nll = np.mean(0.5 * (y / 2) ** 2 + np.log(2) + 0.5 * np.log(2 * np.pi))
    assert row["nll"] == pytest.approx(nll, rel=1e-5)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(y**2)), rel=1e-6)
    assert row["coverage"] == 0.25  # the interval is that from -3.29 to 3.29
    assert "accuracy" not in row and "fit_s" not in row


@pytest.mark.parametrize("one_hot", [False, True])
def test_numbers_of_classes(one_hot):
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], "float32")
    y = np.array([0, 1, 1])
    target = np.eye(3)[y] if one_hot else y
    candidate = kp.Predictive(p[None], kp.likelihoods.Categorical(from_logits=False))
    row = kp.compare({"p": candidate}, p, target)["p"]
    assert row["nll"] == pytest.approx(-np.mean(np.log(p[np.arange(3), y])), rel=1e-5)
    assert row["accuracy"] == pytest.approx(2 / 3)
    assert row["brier"] == pytest.approx(kp.metrics.brier_score(y, p))
    assert row["ece"] == pytest.approx(kp.metrics.expected_calibration_error(y, p))


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_numbers_of_two_classes(shape):
    p = np.array([0.9, 0.2, 0.6, 0.4], "float32").reshape(shape)
    y = np.array([1, 0, 0, 1]).reshape(shape)
    candidate = kp.Predictive(p[None], kp.likelihoods.Bernoulli(from_logits=False))
    row = kp.compare({"p": candidate}, p, y)["p"]
    assert row["accuracy"] == 0.5
    assert row["brier"] == pytest.approx(kp.metrics.brier_score(y.ravel(), p.ravel()))


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)).astype("float32")
    y = (x @ [[1.0], [-1.0]] + rng.standard_normal((60, 1))).astype("float32")
    prior = kp.NormalPrior(0, 1)
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior)
    model = keras.Sequential([keras.Input((2,)), layer])
    likelihood = kp.likelihoods.Normal(1.0)
    model.compile("sgd", loss=likelihood)
    precision = x.T @ x + np.eye(2)
    mean = np.linalg.solve(precision, x.T @ y)[:, 0]
    exact = rng.multivariate_normal(mean, np.linalg.inv(precision), (4, 500))
    log_posterior = kp.inference.LogPosterior(model, x, y)
    chains = kp.inference.SamplePosterior(
        model,
        likelihood,
        [exact[..., None].astype("float32")],
        observations=log_posterior.observations,
    )
    return model, chains, x, y, precision


def test_leave_one_out_is_that_of_the_linear_model(regression):
    _, chains, x, y, precision = regression
    found = kp.compare({"exact": chains}, x, y)["exact"]["elpd_loo"]
    # In closed form: each density without its own row.
    densities = []
    for i in range(len(x)):
        rest = precision - np.outer(x[i], x[i])
        mean = x[i] @ np.linalg.solve(rest, (x.T @ y)[:, 0] - x[i] * y[i])
        variance = 1 + x[i] @ np.linalg.solve(rest, x[i])
        densities.append(
            -0.5 * (y[i, 0] - mean) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
        )
    assert found == pytest.approx(np.mean(densities), abs=0.005)


def test_leave_one_out_is_left_out_where_its_weights_say_nothing(regression):
    model, chains, x, y, _ = regression
    wide = np.random.default_rng(1).normal(0, 10, (4, 250, 2, 1)).astype("float32")
    draws = kp.inference.SamplePosterior(
        model, kp.likelihoods.Normal(0.1), [wide], observations=chains._observations
    )
    row = kp.compare({"wide": draws}, x, y)["wide"]
    assert "elpd_loo" not in row and row["nll"] > 0


def test_rows_that_no_draw_moves_have_no_tail():
    random = np.random.default_rng(0)
    values = random.normal(size=(4, 50, 7))
    values[:, :, 3] = -1.5  # as of a row that is masked
    chains = {"w": random.normal(size=(4, 50, 2))}
    elpd, k = leave_one_out(chains, values.reshape(4, 50, 7, 1))
    assert elpd.shape == k.shape == (7, 1) and elpd[3] == -1.5 and k[3] == np.inf
    others = np.delete(np.arange(7), 3)
    expected = leave_one_out(chains, values[:, :, others])
    np.testing.assert_allclose(elpd[others, 0], expected[0])
    np.testing.assert_allclose(k[others, 0], expected[1])
    assert np.all(k[others] < 1)
    values[:3] = -20.0  # most draws are one: it tells nothing of any row
    assert np.all(leave_one_out(chains, values)[1] == np.inf)


def test_models_posteriors_and_predictives_stand_side_by_side(regression):
    model, chains, x, y, _ = regression
    table = kp.compare({"model": model, "chains": chains, "p": chains.predict(x)}, x, y)
    assert list(table) == ["model", "chains", "p"] and len(table) == 3
    assert table["chains"]["nll"] == pytest.approx(table["p"]["nll"])
    frame = table.to_pandas()
    assert list(frame.index) == list(table) and np.isnan(frame.loc["p", "elpd_loo"])
    assert repr(table).splitlines()[1].startswith("model ")


def test_posteriors_of_several_methods_have_the_numbers_of_the_linear_model(regression):
    model, chains, x, y, precision = regression
    point = kp.inference.MAP().fit(model, x, y, verbose=0)
    laplace = kp.inference.Laplace("full").fit(model, x, y, verbose=0)
    table = kp.compare({"map": point, "laplace": laplace, "chains": chains}, x, y, 2000)
    mean = (x @ np.linalg.solve(precision, x.T @ y))[:, 0]
    variance = 1 + np.einsum("nd,nd->n", x, np.linalg.solve(precision, x.T).T)

    def nll(variance):
        return np.mean(0.5 * (y[:, 0] - mean) ** 2 / variance + 0.5 * np.log(2 * np.pi * variance))

    assert table["map"]["nll"] == pytest.approx(nll(np.ones(60)), rel=1e-4)
    for name in ("laplace", "chains"):
        assert table[name]["nll"] == pytest.approx(nll(variance), abs=0.003)
    rmse = np.sqrt(np.mean((y[:, 0] - mean) ** 2))
    for name in table:
        assert table[name]["rmse"] == pytest.approx(rmse, abs=0.01)
    assert {name for name, row in table.items() if "elpd_loo" in row} == {"chains"}
    # The seed is that of the draws.
    seeded = kp.compare({"laplace": laplace}, x, y, 5, seed=7)["laplace"]["nll"]
    densities = laplace.predict(x, 5, seed=7, verbose=0).log_prob(y)
    assert seeded == pytest.approx(-np.mean(densities), rel=1e-5)
    assert table["map"]["fit_s"] > 0 and table["laplace"]["fit_s"] > 0
    assert "fit_s" not in table["chains"]


@pytest.fixture(scope="module")
def two_outputs():
    """One line, seen twice with other noise: (model, chains, x, y, precision, mean)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2)).astype("float32")
    scale = {"near": 1.0, "wide": 2.0}
    line = x @ [[1.0], [-1.0]]
    y = {k: (line + s * rng.standard_normal((40, 1))).astype("float32") for k, s in scale.items()}
    inputs = keras.Input((2,))
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1))
    model = keras.Model(inputs, {k: keras.layers.Identity(name=k)(layer(inputs)) for k in scale})
    likelihoods = {k: kp.likelihoods.Normal(s) for k, s in scale.items()}
    model.compile("sgd", loss=likelihoods)
    weights = sum(1 / s**2 for s in scale.values())
    precision = weights * x.T @ x + np.eye(2)
    slope = sum(x.T @ y[k] / s**2 for k, s in scale.items())[:, 0]
    exact = rng.multivariate_normal(
        np.linalg.solve(precision, slope), np.linalg.inv(precision), (4, 500)
    )
    chains = kp.inference.SamplePosterior(
        model,
        likelihoods,
        [exact[..., None].astype("float32")],
        observations=kp.inference.LogPosterior(model, x, y).observations,
    )
    return model, chains, x, y, precision, slope


def test_several_outputs_have_a_joint_density_and_scores_of_their_own():
    # Draws at -1 and 1 for both: given data, the outputs are far from independent.
    rng = np.random.default_rng(0)
    f = np.array([-1.0, 1.0])[:, None, None] * np.ones((2, 5, 1))
    y = {name: rng.normal(1.0, 1.0, (5, 1)) for name in "ab"}
    given = {name: kp.Predictive(f, kp.likelihoods.Normal(1.0)) for name in "ab"}
    each = {name: stats.norm.logpdf(y[name], f)[..., 0] for name in "ab"}  # (draws, rows)
    joint = np.log(np.exp(each["a"] + each["b"]).mean(axis=0))
    row = kp.compare({"p": given}, y["a"], y)["p"]
    assert row["nll"] == pytest.approx(-joint.mean(), rel=1e-6)
    assert row["b/nll"] == pytest.approx(-np.log(np.exp(each["b"]).mean(axis=0)).mean(), rel=1e-6)
    assert row["b/rmse"] == pytest.approx(np.sqrt(np.mean(y["b"] ** 2)))
    assert {"a/coverage", "b/coverage"} < set(row)
    # A list is named by numbers, and an output without a likelihood has no scores.
    listed = [given["a"], kp.Predictive(f), given["b"]]
    numbered = kp.compare({"p": listed}, y["a"], [y["a"], None, y["b"]])["p"]
    assert numbered["nll"] == row["nll"] and numbered["2/rmse"] == row["b/rmse"]
    assert not any(key.startswith("1/") for key in numbered)


def test_steps_of_a_row_belong_to_its_density():
    f = np.zeros((1, 4, 3, 1))
    step = kp.Predictive(f, kp.likelihoods.Normal(1.0))
    row = kp.Predictive(f[:, :, 0], kp.likelihoods.Normal(1.0))
    found = kp.compare({"p": [step, row]}, np.zeros(4), [f[0], f[0, :, 0]])["p"]["nll"]
    assert found == pytest.approx(4 * 0.5 * np.log(2 * np.pi), rel=1e-6)


def test_models_and_posteriors_of_several_outputs(two_outputs):
    model, chains, x, y, precision, slope = two_outputs
    table = kp.compare({"model": model, "chains": chains, "given": chains.predict(x)}, x, y, 2000)
    spread = np.einsum("nd,nd->n", x, np.linalg.solve(precision, x.T).T)
    mean = x @ np.linalg.solve(precision, slope)
    both = np.concatenate([y["near"], y["wide"]], axis=1)
    exact = np.mean(
        [
            stats.multivariate_normal([m, m], v + np.diag([1.0, 4.0])).logpdf(row)
            for m, v, row in zip(mean, spread, both, strict=True)
        ]
    )
    assert table["chains"]["nll"] == pytest.approx(-exact, abs=0.003)
    point = x @ keras.ops.convert_to_numpy(model.get_weights()[0])
    nll = -sum(stats.norm.logpdf(y[k], point, s) for k, s in (("near", 1.0), ("wide", 2.0)))
    assert table["model"]["nll"] == pytest.approx(np.mean(nll), rel=1e-5)
    # Each row left out, both of its targets with it.
    held_out = []
    for i, row in enumerate(both):
        rest = precision - 1.25 * np.outer(x[i], x[i])
        m = x[i] @ np.linalg.solve(rest, slope - x[i] * (row[0] + row[1] / 4))
        v = x[i] @ np.linalg.solve(rest, x[i])
        held_out.append(stats.multivariate_normal([m, m], v + np.diag([1.0, 4.0])).logpdf(row))
    assert table["chains"]["elpd_loo"] == pytest.approx(np.mean(held_out), abs=0.01)


def test_what_does_not_fit_several_outputs_is_refused(two_outputs):
    _, chains, x, y, _, _ = two_outputs
    one = kp.Predictive(np.zeros((2, 40, 1)), NORMAL)
    for wrong in (y["near"], [y["near"], y["wide"]], {"near": y["near"]}):
        with pytest.raises(ValueError, match="structure of the outputs"):
            kp.compare({"chains": chains}, x, wrong)
    with pytest.raises(ValueError, match="same draws"):
        other = kp.Predictive(np.zeros((3, 40, 1)), NORMAL)
        kp.compare({"p": [one, other]}, x, [y["near"], y["wide"]])
    with pytest.raises(ValueError, match="likelihood of one output"):
        none = kp.Predictive(np.zeros((2, 40, 1)))
        kp.compare({"p": [none, none]}, x, [y["near"], y["wide"]])
    with pytest.raises(ValueError, match="one row for each of the 40"):
        kp.compare({"p": [one, one]}, x, [y["near"], y["wide"][:3]])


def test_what_cannot_be_compared_is_refused(regression):
    _, chains, x, y, _ = regression
    with pytest.raises(TypeError, match="mapping"):
        kp.compare([chains], x, y)
    with pytest.raises(ValueError, match="at least one"):
        kp.compare({}, x, y)
    with pytest.raises(TypeError, match="candidate"):
        kp.compare({"x": x}, x, y)
    with pytest.raises(ValueError, match="needs the likelihood"):
        kp.compare({"p": kp.Predictive(np.zeros((1, 60, 1)))}, x, y)


def test_waic_is_refused_with_what_to_take():
    far = kp.Predictive(np.zeros((1, 4, 1)), kp.likelihoods.Normal(1.0))
    with pytest.raises(ValueError, match=r"Received: 'elpd_waic'\. Take \"elpd_loo\""):
        kp.compare({"far": far}, np.zeros((4, 1)), np.zeros((4, 1)), metrics="elpd_waic")
