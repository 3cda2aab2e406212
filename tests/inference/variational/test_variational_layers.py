"""The posterior that variational layers hold."""

import keras
import numpy as np
import pytest

import keras_priors as kp

INPUT = np.linspace(-1, 1, 12).reshape(4, 3).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((3,)),
            kp.VariationalDense(
                2,
                kernel_posterior=kp.posteriors.MeanFieldNormal(0.3),
                bias_posterior="delta",
                name="random",
            ),
            keras.layers.Dense(1, name="plain"),
        ]
    )


@pytest.fixture(scope="module")
def posterior(model):
    return kp.inference.VariationalLayers().fit(model, likelihood=kp.likelihoods.Normal(0.5))


def test_moments_and_density_are_those_of_the_families(model, posterior):
    from scipy import stats

    assert posterior.paths == tuple(kp.get_priors(model))
    q = model.get_layer("random").kernel_posterior
    mean, sd = (keras.ops.convert_to_numpy(v) for v in (q.mean(), q.stddev()))
    np.testing.assert_array_equal(posterior.mean()["random/kernel"], mean)
    np.testing.assert_array_equal(posterior.stddev()["random/kernel"], sd)
    assert not posterior.stddev()["plain/kernel"].any()
    draws = posterior.draws(2000, seed=0)
    error = np.abs(draws["random/kernel"].mean(0) - mean) / sd
    np.testing.assert_array_less(error, 4 / np.sqrt(2000))
    np.testing.assert_allclose(draws["random/kernel"].std(0), sd, rtol=4 / np.sqrt(4000))
    assert not np.ptp(draws["plain/kernel"], 0).any()
    assert not np.ptp(draws["random/bias"], 0).any()
    position = {path: value[0] for path, value in draws.items()}
    expected = stats.norm(mean, sd).logpdf(position["random/kernel"]).sum()
    np.testing.assert_allclose(posterior.log_prob(position), expected, rtol=1e-4)


def test_weights_are_drawn_by_themselves_and_their_densities_add_up():
    """Two kernels of one shape: the same normals behind both would not be seen in either."""
    from scipy import stats

    layers = [kp.VariationalDense(3, name=name, seed=0) for name in "ab"]
    model = keras.Sequential([keras.Input((3,)), *layers])
    posterior = kp.inference.VariationalLayers().fit(model, likelihood=kp.likelihoods.Normal(0.5))
    draws, mean, sd = posterior.draws(400, seed=0), posterior.mean(), posterior.stddev()
    noise = [(draws[path] - mean[path]) / sd[path] for path in ("a/kernel", "b/kernel")]
    assert abs(stats.spearmanr(*(v.ravel() for v in noise)).statistic) < 4 / np.sqrt(9 * 400)
    position = {path: value[7] for path, value in draws.items()}
    expected = sum(stats.norm(mean[p], sd[p]).logpdf(v).sum() for p, v in position.items())
    np.testing.assert_allclose(posterior.log_prob(position), expected, rtol=1e-4)


def test_predictions_and_plain_models_are_those_of_the_draws(posterior):
    d = posterior.draws(6, seed=3)
    hidden = INPUT @ d["random/kernel"] + d["random/bias"][:, None]
    expected = hidden @ d["plain/kernel"] + d["plain/bias"][:, None]
    np.testing.assert_allclose(posterior.predict(INPUT, 6, seed=3).draws, expected, rtol=1e-4)
    plain = posterior.to_model({path: value[2] for path, value in d.items()})
    np.testing.assert_allclose(plain.predict(INPUT, verbose=0), expected[2], rtol=1e-4)
    # A position may have other plain weights than the model has.
    other = {path: value[2] for path, value in d.items()}
    other["plain/bias"] = other["plain/bias"] + 1.5
    moved = posterior.to_model(other).predict(INPUT, verbose=0)
    np.testing.assert_allclose(moved, expected[2] + 1.5, rtol=1e-4)
    first = posterior.to_model(3)
    np.testing.assert_allclose(first.predict(INPUT, verbose=0), expected[0], rtol=1e-4)
    at_mean = posterior.to_model().predict(INPUT, verbose=0)
    assert at_mean.shape == (4, 1)


def test_it_is_saved_and_read(posterior, tmp_path):
    posterior.save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior")
    for path, value in posterior.draws(3, seed=1).items():
        np.testing.assert_array_equal(loaded.draws(3, seed=1)[path], value)


def test_it_goes_to_arviz(model):
    pytest.importorskip("arviz")
    from scipy import stats

    y = np.ones((4, 1), "float32")
    posterior = kp.inference.VariationalLayers().fit(
        model, INPUT, y, likelihood=kp.likelihoods.Normal(0.5)
    )
    opened = posterior.to_arviz(20)
    d = {path: opened.posterior[path.replace("/", ".")].values[0] for path in posterior.paths}
    hidden = INPUT @ d["random/kernel"] + d["random/bias"][:, None]
    expected = stats.norm(hidden @ d["plain/kernel"] + d["plain/bias"][:, None], 0.5).logpdf(y)
    found = opened.log_likelihood["y"].values[0]
    np.testing.assert_allclose(found, expected[..., 0], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(opened.observed_data["y"].values, y[:, 0])
    table = posterior.summary()
    assert len(table) == sum(value.size for value in posterior.mean().values())
    row = table.loc["random/kernel[1, 0]"]
    mean, sd = posterior.mean()["random/kernel"][1, 0], posterior.stddev()["random/kernel"][1, 0]
    assert abs(row["mean"] - mean) < 4 * sd / np.sqrt(1000)
    assert table.loc["plain/kernel[0, 0]", "sd"] == 0


def test_a_model_without_posteriors_is_refused(posterior):
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="reads the posteriors"):
        kp.inference.VariationalLayers().fit(plain, likelihood=kp.likelihoods.Normal(1.0))
    with pytest.raises(ValueError, match="one array for each weight"):
        posterior.log_prob({"random/kernel": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="Leave it out"):
        kp.inference.VariationalLayers().fit(posterior.model, resume=posterior)
