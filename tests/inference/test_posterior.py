"""The posterior object: what draws and points say, predict, save and become."""

import importlib.util
import json
import zipfile

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from tests._arviz import HAS_TREES, az, groups_of

CHAINS, DRAWS, NOISE = 2, 25, 0.6
LIKELIHOOD = kp.likelihoods.Normal(NOISE)
X = np.linspace(-1, 1, 12).reshape(6, 2).astype("float32")
Y = np.linspace(0, 1, 6).reshape(6, 1).astype("float32")
SHAPES = {"hidden/kernel": (2, 3), "out/kernel": (3, 1), "out/bias": (1,)}


def net():
    prior = kp.NormalPrior(0.0, 1.0)
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "tanh", use_bias=False, kernel_regularizer=prior, name="hidden"),
            keras.layers.Dense(1, kernel_regularizer=prior, bias_regularizer=prior, name="out"),
        ]
    )


@pytest.fixture(scope="module")
def stored():
    rng = np.random.default_rng(0)
    return {
        path: rng.standard_normal((CHAINS, DRAWS, *shape)).astype("float32")
        for path, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def chains(stored):
    model = net()
    observations = kp.inference.LogPosterior(model, X, Y, LIKELIHOOD).observations
    numbers = np.arange(CHAINS * DRAWS, dtype="float32").reshape(CHAINS, DRAWS)
    return kp.inference.SamplePosterior(
        model,
        LIKELIHOOD,
        list(stored.values()),
        sample_stats={"lp": numbers, "diverging": numbers > 40},
        continuation={"position": np.ones((CHAINS, 10))},
        observations=observations,
    )


@pytest.fixture(scope="module")
def point(stored):
    model = net()
    values = [value[0, 0] for value in stored.values()]
    observations = kp.inference.LogPosterior(model, X, Y, LIKELIHOOD).observations
    return kp.inference.PointPosterior(
        model, LIKELIHOOD, values, log_posterior=-3.5, observations=observations
    )


def end_to_end(value):
    return value.reshape(-1, *value.shape[2:])


def outputs(model):
    return keras.ops.convert_to_numpy(model(X))


def by_hand(draws, x=X):
    """Outputs (S, N, 1) at draws (S, ...)."""
    hidden = np.tanh(x @ draws["hidden/kernel"])
    return hidden @ draws["out/kernel"] + draws["out/bias"][:, None]


def test_draws_are_those_that_are_stored(chains, stored):
    draws = chains.draws()
    assert list(draws) == list(chains.paths) == list(SHAPES)
    assert (chains.num_chains, chains.num_draws) == (CHAINS, DRAWS)
    for path, value in stored.items():
        np.testing.assert_array_equal(draws[path], end_to_end(value))
    # Fewer are evenly spaced, whatever the seed.
    few = chains.draws(10, seed=4)["out/bias"]
    np.testing.assert_array_equal(few, end_to_end(stored["out/bias"])[2::5])
    with pytest.raises(ValueError, match="num_samples=51, with 50 draws"):
        chains.draws(51)


def test_moments_are_those_of_all_draws(chains, stored):
    for path, value in stored.items():
        flat = end_to_end(value).astype("float64")
        np.testing.assert_allclose(chains.mean()[path], flat.mean(0), atol=1e-6)
        np.testing.assert_allclose(chains.stddev()[path], flat.std(0, ddof=1), rtol=1e-6)


def test_a_point_is_its_only_draw(point, stored):
    for path, value in stored.items():
        np.testing.assert_array_equal(point.mean()[path], value[0, 0])
        np.testing.assert_array_equal(point.draws()[path], value[0, :1])
        assert not point.stddev()[path].any()
    assert point.log_posterior == -3.5
    with pytest.raises(ValueError, match="num_samples=2, with 1 draws"):
        point.draws(2)


def test_predictions_are_the_outputs_at_the_draws(chains, point):
    expected = by_hand(chains.draws())
    found = chains.predict(X, verbose=0)
    np.testing.assert_allclose(found.draws, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.mean, expected.mean(0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.epistemic, expected.var(0), rtol=1e-3)
    np.testing.assert_allclose(found.aleatoric, np.full((6, 1), NOISE**2), rtol=1e-5)
    blocks = chains.predict(X, num_samples=10, batch_size=4, verbose=0).draws
    np.testing.assert_allclose(blocks, expected[2::5], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        point.predict(X, verbose=0).draws, by_hand(point.draws()), rtol=1e-4, atol=1e-5
    )


def test_log_likelihoods_are_those_of_scipy(chains):
    expected = stats.norm(by_hand(chains.draws()), NOISE).logpdf(Y)[..., 0]
    np.testing.assert_allclose(chains.log_likelihood(X, Y), expected, rtol=1e-4, atol=1e-4)
    few = chains.log_likelihood(X[:2], Y[:2], num_samples=10)
    np.testing.assert_allclose(few, expected[2::5, :2], rtol=1e-4, atol=1e-4)


def test_no_density_is_said_so(chains, point):
    for posterior in (chains, point):
        with pytest.raises(NotImplementedError, match=r"known by its draws.*LogPosterior"):
            posterior.log_prob(posterior.mean())


def test_what_goes_to_arviz_is_of_one_piece(chains, stored):
    for number, kept in ((None, slice(None)), (5, slice(2, None, 5))):
        opened = chains.to_arviz(number, num_prior_samples=7, seed=0)
        draws = {path: value[:, kept] for path, value in stored.items()}
        for path, value in draws.items():
            name = path.replace("/", ".")
            np.testing.assert_array_equal(opened.posterior[name].values, value)
            assert opened.prior[name].shape == (1, 7, *SHAPES[path])
        flat = {path: end_to_end(value) for path, value in draws.items()}
        expected = stats.norm(by_hand(flat), NOISE).logpdf(Y).reshape(CHAINS, -1, len(Y))
        found = opened.log_likelihood["y"].values
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(opened.observed_data["y"].values, Y[:, 0])
        replicated = opened.posterior_predictive["y"].values
        standard = (replicated - by_hand(flat)[..., 0].reshape(replicated.shape)) / NOISE
        assert stats.kstest(standard.ravel(), stats.norm.cdf).pvalue > 1e-3
        lp = np.arange(CHAINS * DRAWS).reshape(CHAINS, DRAWS)[:, kept]
        np.testing.assert_array_equal(opened.sample_stats["lp"].values, lp)
    np.testing.assert_allclose(
        opened.prior["out.bias"].values[0], kp.sample_prior(chains.model, 7, 0)["out/bias"]
    )
    with pytest.raises(ValueError, match=r"at most the draws of each chain.*num_samples=26"):
        chains.to_arviz(26)
    table = chains.summary(coverage=0.5)
    assert list(table.columns) == [
        *("mean", "sd", "hdi_25%", "hdi_75%"),
        *("mcse_mean", "mcse_sd", "ess_bulk", "ess_tail", "r_hat"),
    ]
    row = table.loc["hidden/kernel[1, 2]"]
    one = stored["hidden/kernel"][..., 1, 2].astype("float64")
    assert row["mean"] == pytest.approx(one.mean(), rel=1e-5)
    assert row["r_hat"] == pytest.approx(float(az.rhat(one)), rel=1e-6)
    ordered = np.sort(one.ravel())  # the shortest interval that holds half of the draws
    width = ordered[25:] - ordered[:-25]
    start = int(width.argmin())
    assert row["hdi_25%"] == pytest.approx(ordered[start])
    assert row["hdi_75%"] == pytest.approx(ordered[start + 25])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Matplotlib, about ArviZ
def test_data_may_be_given_and_arviz_has_what_its_plots_need(chains, stored, tmp_path):
    chains.save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior")
    assert groups_of(loaded.to_arviz()) == ["posterior", "sample_stats"]
    opened, whole = loaded.to_arviz(x=X, y=Y[:, 0], seed=0), chains.to_arviz(seed=0)
    assert groups_of(opened) == groups_of(whole)
    for group in ("log_likelihood", "posterior_predictive", "observed_data"):
        np.testing.assert_array_equal(opened[group]["y"].values, whole[group]["y"].values)
    pytest.importorskip("matplotlib").use("Agg")
    if HAS_TREES:
        assert np.isfinite(az.loo_pit(opened, var_names="y")["y"]).all()
        az.plot_ppc_dist(opened)
        az.plot_loo_pit(opened, var_names="y")
        with pytest.raises(ValueError, match=r"no slash with ArviZ 1.*separator='/'"):
            loaded.to_arviz(separator="/")
    else:
        assert np.isfinite(az.loo_pit(opened, y="y")).all()
        az.plot_ppc(opened, show=False)
        az.plot_loo_pit(opened, y="y", show=False)
        slashes = loaded.to_arviz(x=X[:3], y=Y[:3], separator="/")
        assert set(slashes.posterior.data_vars) == set(loaded.draws())
        assert slashes.posterior_predictive["y"].shape == (CHAINS, DRAWS, 3)
    if not HAS_TREES or importlib.util.find_spec("h5netcdf") is not None:  # ArviZ 1 may lack it
        opened.to_netcdf(str(tmp_path / "a.nc"))
        again = az.from_netcdf(str(tmp_path / "a.nc"))
        np.testing.assert_array_equal(again.posterior["out.bias"].values, stored["out/bias"])
    with pytest.raises(ValueError, match="y alone"):
        loaded.to_arviz(y=Y)


def test_classes_go_to_arviz_as_numbers():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, use_bias=False, name="k")])
    kernel = np.array([[[0.0, 1.0, 50.0], [1.0, 0.0, 50.0]]] * 2, "float32")[None]
    posterior = kp.inference.SamplePosterior(model, kp.likelihoods.Categorical(), [kernel])
    x, labels = np.ones((4, 2), "float32"), np.array([2, 0, 1, 2])
    for y in (labels, labels[:, None], np.eye(3)[labels]):
        opened = posterior.to_arviz(x=x, y=y, seed=0)
        np.testing.assert_array_equal(opened.observed_data["y"].values, labels)
        np.testing.assert_array_equal(
            opened.posterior_predictive["y"].values, np.full((1, 2, 4), 2)
        )
        assert opened.log_likelihood["y"].shape == (1, 2, 4)


def test_a_point_goes_to_arviz_too(point):
    opened = point.to_arviz()
    assert opened.posterior["out.kernel"].shape == (1, 1, 3, 1)
    expected = stats.norm(by_hand(point.draws()), NOISE).logpdf(Y)[..., 0]
    np.testing.assert_allclose(opened.log_likelihood["y"].values[0], expected, rtol=1e-4)


def test_a_file_holds_it_without_pickle(chains, point, tmp_path):
    chains.save(tmp_path / "chains.posterior")
    with zipfile.ZipFile(tmp_path / "chains.posterior") as file:
        assert set(file.namelist()) == {"posterior.json", "arrays.npz", "model.keras"}
        json.loads(file.read("posterior.json"))
        with file.open("arrays.npz") as packed, np.load(packed, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays)
    loaded = kp.inference.Posterior.load(tmp_path / "chains.posterior")
    assert type(loaded) is kp.inference.SamplePosterior
    assert loaded.likelihood.scale == NOISE and loaded.paths == chains.paths
    for path, value in chains.draws().items():
        np.testing.assert_array_equal(loaded.draws()[path], value)
    for name, value in chains.sample_stats.items():
        np.testing.assert_array_equal(loaded.sample_stats[name], value)
    np.testing.assert_array_equal(loaded.continuation["position"], np.ones((CHAINS, 10)))
    np.testing.assert_allclose(
        loaded.predict(X, verbose=0).draws, chains.predict(X, verbose=0).draws, rtol=1e-5
    )
    point.save(tmp_path / "point.posterior")
    again = kp.inference.Posterior.load(tmp_path / "point.posterior")
    assert type(again) is kp.inference.PointPosterior and again.log_posterior == -3.5
    np.testing.assert_array_equal(again.mean()["out/kernel"], point.mean()["out/kernel"])


def test_other_files_are_refused(chains, tmp_path):
    with pytest.raises(ValueError, match=r'ends in "\.posterior"'):
        chains.save(tmp_path / "chains.zip")
    (tmp_path / "text.posterior").write_text("no zip")
    with pytest.raises(ValueError, match=r"`posterior\.save` wrote"):
        kp.inference.Posterior.load(tmp_path / "text.posterior")
    chains.save(tmp_path / "a.posterior")
    for name, value, message in (
        ("format", 99, "later format"),
        ("class", "LogPosterior", "names a class"),
    ):
        with (
            zipfile.ZipFile(tmp_path / "a.posterior") as file,
            zipfile.ZipFile(tmp_path / "b.posterior", "w") as other,
        ):
            for each in file.namelist():
                content = file.read(each)
                if each == "posterior.json":
                    content = json.dumps({**json.loads(content), name: value})
                other.writestr(each, content)
        with pytest.raises(ValueError, match=message):
            kp.inference.Posterior.load(tmp_path / "b.posterior")


def test_a_draw_is_a_plain_model(chains, point, stored):
    expected = by_hand(chains.draws())
    before = [np.array(w) for w in chains.model.get_weights()]
    for draw in (0, 49, -3):
        plain = chains.to_model(draw)
        assert all(w.regularizer is None for w in plain.weights)
        np.testing.assert_allclose(outputs(plain), expected[draw], rtol=1e-4, atol=1e-5)
    mean = {path: value[None] for path, value in chains.mean().items()}
    np.testing.assert_allclose(outputs(chains.to_model()), by_hand(mean)[0], rtol=1e-4, atol=1e-5)
    given = {path: end_to_end(value)[7] for path, value in stored.items()}
    np.testing.assert_allclose(outputs(chains.to_model(given)), expected[7], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        outputs(point.to_model()), by_hand(point.draws())[0], rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="There are 50 draws"):
        chains.to_model(50)
    for old, new in zip(before, chains.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_draws_of_the_wrong_shape_are_refused(chains, stored):
    values = list(stored.values())
    with pytest.raises(ValueError, match=r"Stored draws of out/bias must have the shape"):
        kp.inference.SamplePosterior(chains.model, None, [*values[:2], values[2][:, :3]])


def test_several_outputs_have_a_log_likelihood_each():
    inputs = keras.Input((2,))
    prior = {"kernel_regularizer": kp.NormalPrior(0, 1), "use_bias": False}
    a = keras.layers.Dense(1, name="a", **prior)(inputs)
    b = keras.layers.Dense(3, name="b", **prior)(inputs)
    model = keras.Model(inputs, {"a": a, "b": b})
    rng = np.random.default_rng(1)
    values = [rng.standard_normal((1, 4, 2, n)).astype("float32") for n in (1, 3)]
    likelihoods = {"a": LIKELIHOOD, "b": kp.likelihoods.Categorical()}
    posterior = kp.inference.SamplePosterior(model, likelihoods, values)
    labels = np.array([0, 1, 2, 2, 1, 0])
    found = posterior.log_likelihood(X, {"a": Y, "b": labels})
    logits = (X @ values[1][0]).astype("float64")
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(found["b"], expected[:, np.arange(6), labels], rtol=1e-4, atol=1e-5)
    normal = stats.norm(X @ values[0][0], NOISE).logpdf(Y)[..., 0]
    np.testing.assert_allclose(found["a"], normal, rtol=1e-4, atol=1e-5)
