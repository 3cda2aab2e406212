"""The posterior of one data set as the prior of the next, against the joint posterior of both."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp
from keras_priors import inference
from keras_priors.priors import FullBlock

NOISE, MEAN, SCALE = 0.5, 0.5, 1.5
PARTS = (slice(0, 10), slice(10, 25), slice(25, 40))
PATHS = ("line/kernel", "line/bias")
LIKELIHOOD = kp.likelihoods.Normal(NOISE)


def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(1.0, 1.0, (40, 2))  # kernel and bias are correlated
    y = x @ rng.normal(size=(2, 2)) + 0.3 + NOISE * rng.normal(size=(40, 2))
    return x.astype("float32"), y.astype("float32")


X, Y = rows()


def conjugate(part=slice(0, 40)):
    """Mean and covariance of (kernel, bias), flattened, and log p(y)."""
    x, y = (v[part].astype("float64") for v in (X, Y))
    design = np.kron(np.c_[x, np.ones(len(x))], np.eye(2))
    covariance = np.linalg.inv(np.eye(6) / SCALE**2 + design.T @ design / NOISE**2)
    mean = covariance @ (MEAN / SCALE**2 + design.T @ y.ravel() / NOISE**2)
    spread = SCALE**2 * design @ design.T + NOISE**2 * np.eye(y.size)
    evidence = stats.multivariate_normal(MEAN * design.sum(axis=1), spread).logpdf(y.ravel())
    return mean, covariance, evidence


def make():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="line")])
    kp.set_priors(model, kp.NormalPrior(MEAN, SCALE))
    return model


def flat(values):
    return np.concatenate([np.ravel(values[path]) for path in PATHS])


def fit(method, model, part, **kwargs):
    return method.fit(model, X[part], Y[part], LIKELIHOOD, seed=0, verbose=0, **kwargs)


def check_normal(prior, mean, covariance, tolerance=1e-4):
    assert prior.paths == PATHS
    np.testing.assert_allclose(flat(prior.mean()), mean, atol=tolerance)
    found = np.linalg.inv(prior.precision())
    np.testing.assert_allclose(found, covariance, atol=tolerance * covariance.diagonal().max())
    np.testing.assert_allclose(flat(prior.stddev()), np.sqrt(np.diagonal(found)), rtol=1e-6)
    at = {"line/kernel": np.ones((2, 2), "float32"), "line/bias": np.zeros(2, "float32")}
    expected = stats.multivariate_normal(flat(prior.mean()), found).logpdf(flat(at))
    np.testing.assert_allclose(prior.log_prob(at), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def first():
    return fit(inference.Laplace("full"), make(), PARTS[0])


@pytest.fixture(scope="module")
def three(first):
    """The posterior of each part, with that of the part before as its prior."""
    model, found = make(), [first]
    for part in PARTS[1:]:
        kp.set_priors(model, found[-1].as_prior())
        found.append(fit(inference.Laplace("full"), model, part))
    return found


@pytest.fixture
def second(first):
    model = make()
    kp.set_priors(model, first.as_prior())
    return model


def test_laplace_of_parts_in_turn_is_that_of_all_rows(three):
    mean, covariance, _ = conjugate()
    np.testing.assert_allclose(flat(three[-1].mean()), mean, atol=1e-4)
    check_normal(three[-1].as_prior(), mean, covariance)


def test_evidences_of_parts_add_up_to_that_of_all_rows(three):
    total = sum(each.log_marginal_likelihood() for each in three)
    np.testing.assert_allclose(total, conjugate()[2], atol=1e-3)


@pytest.mark.parametrize("structure", ["low_rank", "kronecker", "diagonal"])
def test_each_structure_keeps_what_it_has(structure):
    posterior = fit(inference.Laplace(structure, rank=6), make(), PARTS[0])
    prior = posterior.as_prior()
    mean, covariance, _ = conjugate(PARTS[0])
    if structure == "diagonal":
        covariance = np.diag(1.0 / np.diagonal(np.linalg.inv(covariance)))
    assert prior.structure == structure
    check_normal(prior, mean, covariance)
    model = make()
    kp.set_priors(model, prior)
    at = {"line/kernel": np.ones((2, 2), "float32"), "line/bias": np.zeros(2, "float32")}
    log_posterior = inference.LogPosterior(model, X[:2], Y[:2], LIKELIHOOD)
    np.testing.assert_allclose(log_posterior.log_prior(at), prior.log_prob(at), rtol=1e-6)


@pytest.mark.parametrize("structure", ["low_rank", "diagonal"])
def test_a_normal_turns_to_another_structure(first, structure):
    mean, covariance, _ = conjugate(PARTS[0])
    if structure == "diagonal":
        covariance = np.diag(np.diagonal(covariance))
    prior = first.as_prior(structure, rank=5)  # the sixth direction is the rest
    assert prior.structure == structure
    check_normal(prior, mean, covariance)


def test_laplace_diagonal_takes_the_diagonal_of_the_precision(second, monkeypatch):
    monkeypatch.setattr(FullBlock, "precision", None)  # of D elements it has D^2
    posterior = fit(inference.Laplace("diagonal"), second, slice(10, 40))
    mean, covariance, _ = conjugate()
    np.testing.assert_allclose(flat(posterior.mean()), mean, atol=1e-4)  # the mode is that of all
    expected = 1.0 / np.sqrt(np.diagonal(np.linalg.inv(covariance)))
    np.testing.assert_allclose(flat(posterior.stddev()), expected, rtol=1e-4)


@pytest.mark.parametrize("structure", ["kronecker", "low_rank"])
def test_laplace_refuses_structures_that_the_sum_has_not(second, structure):
    with pytest.raises(ValueError, match="the sum has no structure"):
        fit(inference.Laplace(structure, max_iterations=0), second, slice(10, 40))


def test_plain_fit_finds_the_mean_of_all_rows(second):
    kp.set_num_data(second, 30)
    second.compile(keras.optimizers.Adam(0.1), LIKELIHOOD)
    x, y = (np.tile(v[10:], (300, 1)) for v in (X, Y))  # 300 steps, each on all rows
    second.fit(x, y, batch_size=30, shuffle=False, verbose=0)
    layer = second.layers[0]
    found = {"line/kernel": ops.convert_to_numpy(layer.kernel.value)}
    found["line/bias"] = ops.convert_to_numpy(layer.bias.value)
    np.testing.assert_allclose(flat(found), conjugate()[0], atol=1e-4)


def test_the_loss_holds_the_density_once_and_follows_every_weight(second):
    kp.set_num_data(second, 30)
    second.layers[0].bias.assign([0.3, -0.2])
    values = {"line/kernel": second.layers[0].kernel, "line/bias": second.layers[0].bias}
    values = {path: ops.convert_to_numpy(v.value) for path, v in values.items()}
    mean, covariance, _ = conjugate(PARTS[0])
    expected = -stats.multivariate_normal(mean, covariance).logpdf(flat(values)) / 30
    np.testing.assert_allclose(float(ops.convert_to_numpy(sum(second.losses))), expected, rtol=1e-3)
    rows = kp.summary(second, print_fn=lambda line: None)
    np.testing.assert_allclose(rows[0]["log_prior"], -30 * expected, rtol=1e-3)
    assert rows[1]["log_prior"] is None


def test_prior_draws_are_correlated(second):
    drawn = kp.sample_prior(second, 4000, seed=1)
    draws = np.concatenate([drawn[path].reshape(4000, -1) for path in PATHS], axis=1)
    mean, covariance, _ = conjugate(PARTS[0])
    scale = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / scale, 0.0, atol=4 / 4000**0.5)
    white = np.linalg.solve(np.linalg.cholesky(covariance), (draws - mean).T)
    np.testing.assert_allclose(np.cov(white), np.eye(6), atol=6 / 4000**0.5)
    again = kp.sample_prior(second, 4000, seed=1)
    np.testing.assert_array_equal(again["line/bias"], drawn["line/bias"])


@pytest.mark.parametrize("saved", [True, False])
def test_the_file_of_a_posterior_keeps_the_joint_prior(first, saved, tmp_path):
    model = make()
    kp.set_priors(model, first.as_prior(), saved=saved)
    values = [np.ones((2, 2), "float32"), np.zeros(2, "float32")]
    inference.PointPosterior(model, LIKELIHOOD, values).save(tmp_path / "a.posterior")
    loaded = inference.Posterior.load(tmp_path / "a.posterior")
    at = dict(zip(PATHS, values, strict=True))
    log_posterior = inference.LogPosterior(loaded.model, X[:2], Y[:2], LIKELIHOOD)
    expected = first.as_prior().log_prob(at)
    np.testing.assert_allclose(log_posterior.log_prior(at), expected, rtol=1e-6)


def test_draws_have_a_covariance_where_they_are_enough():
    mean, covariance, _ = conjugate(PARTS[0])
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 400, 6))
    z -= z.mean(axis=1, keepdims=True)
    # Draws whose mean and covariance are these, and no others.
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z[0].T))).T
    draws = mean + z @ np.linalg.cholesky(covariance).T
    log_posterior = inference.LogPosterior(make(), X[:10], Y[:10], LIKELIHOOD)

    def posterior(count):
        return inference.SamplePosterior.from_draws(log_posterior, draws[:, :count])

    check_normal(posterior(400).as_prior(), mean, covariance)
    check_normal(posterior(400).as_prior("low_rank", rank=5), mean, covariance)
    check_normal(posterior(400).as_prior("diagonal"), mean, np.diag(np.diagonal(covariance)))
    narrow = posterior(400).as_prior("low_rank", rank=1)
    np.testing.assert_allclose(
        np.trace(
            np.linalg.inv(narrow.precision()) / np.outer(*[np.sqrt(np.diagonal(covariance))] * 2)
        ),
        6.0,
        rtol=1e-4,
    )
    with pytest.warns(UserWarning, match="precision of draws"):
        posterior(50).as_prior()
    with pytest.raises(ValueError, match="needs at least 30"):
        posterior(29).as_prior("diagonal")


def test_full_of_fewer_draws_than_weights_is_refused():
    model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(1, name="line")])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    x = np.zeros((2, 40), "float32")
    log_posterior = inference.LogPosterior(model, x, x[:, :1], LIKELIHOOD)
    z = np.random.default_rng(0).normal(size=(1, 40, 41))
    posterior = inference.SamplePosterior.from_draws(log_posterior, z)
    with pytest.raises(ValueError, match="more than the weights"):
        posterior.as_prior()
    low = posterior.as_prior("low_rank", rank=50)
    assert np.all(np.linalg.eigvalsh(low.precision()) > 0)
    sd = 1.0 / np.sqrt(np.diagonal(low.precision()))
    assert np.all(sd < flat(posterior.stddev()))  # given all others


def test_the_families_of_variational_inference_and_swag_are_exact():
    model, rng = make(), np.random.default_rng(1)
    mean, half = rng.normal(size=6).astype("float32"), rng.normal(size=(6, 6)).astype("float32")

    def check(posterior, covariance, structure):
        prior = posterior.as_prior()
        assert prior.structure == structure
        check_normal(prior, mean, covariance.astype("float64"))

    def variational(family, **parameters):
        return inference.VariationalPosterior(
            model, LIKELIHOOD, family, {"loc": mean, **parameters}
        )

    sd = np.logaddexp(0.0, half[0])
    mean_field = kp.posteriors.MeanFieldNormal(scale_rate=2.0)
    check(variational(mean_field, rho=half[0] / 2), np.diag(sd**2), "diagonal")
    low = variational(kp.posteriors.LowRankNormal(rank=2), rho=half[0], factor=half[1:3])
    check(low, np.diag(sd**2) + half[1:3].T @ half[1:3], "low_rank")
    full = variational(kp.posteriors.FullNormal(), scale_tril=half)
    factor = np.tril(half, -1) + np.diag(np.logaddexp(0.0, np.diagonal(half)))
    check(full, factor @ factor.T, "full")
    swag = inference.SWAGPosterior(model, LIKELIHOOD, mean, sd**2, half[1:4])
    check(swag, swag.covariance(), "low_rank")
    still = inference.SWAGPosterior(model, LIKELIHOOD, mean, 0 * sd, half[1:4])
    with pytest.raises(ValueError, match="6 scalars with variance 0"):
        still.as_prior()


def test_variational_layers_give_and_take_independent_normals(second):
    model = kp.to_variational(make(), num_data=10)
    prior = inference.LayersPosterior(model, LIKELIHOOD).as_prior()
    assert prior.structure == "diagonal" and set(prior.paths) == set(PATHS)
    kp.set_priors(model, prior)
    sd = prior.stddev()["line/kernel"]
    q = model.layers[0].kernel_posterior
    kl = ops.convert_to_numpy(q.kl(model.layers[0].kernel_prior))
    np.testing.assert_allclose(kl, 0.0, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(q.stddev()), sd)
    with pytest.raises(ValueError, match="The KL of a variational layer is that of one weight"):
        kp.to_variational(second)


def test_a_last_layer_has_a_prior_of_its_own():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(2, activation="tanh", name="hidden")
    model = keras.Model(inputs, keras.layers.Dense(2, name="line")(hidden(inputs)))
    kp.set_priors(model, kp.NormalPrior(MEAN, SCALE))
    # The curvature of a linear layer under normal noise is the same everywhere.
    last = inference.Laplace("full", layers="last", tolerance=1e9)
    joint = fit(last, model, slice(0, 40)).as_prior()
    prior = fit(last, model, PARTS[0]).as_prior()
    assert prior.paths == PATHS
    kp.set_priors(model, prior)
    second = fit(last, model, slice(10, 40)).as_prior()
    np.testing.assert_allclose(second.precision(), joint.precision(), rtol=1e-4, atol=1e-3)
    whole = inference.Laplace("full", max_iterations=0, tolerance=1e9)
    kp.set_priors(model, fit(whole, model, slice(0, 40)).as_prior())
    with pytest.raises(ValueError, match="move together, or are points together"):
        fit(last, model, slice(10, 40))


def test_what_is_no_normal_of_the_weights_is_refused(first):
    with pytest.raises(ValueError, match="`structure` of as_prior must be one of"):
        first.as_prior("kronecker")
    method = inference.Laplace("diagonal", max_iterations=0, tolerance=1e9)
    tempered = fit(method, make(), PARTS[0], temperature=0.5)
    with pytest.raises(ValueError, match=r"at the temperature 0\.5"):
        tempered.as_prior()
    point = inference.PointPosterior(make(), LIKELIHOOD, [np.zeros((2, 2)), np.zeros(2)])
    with pytest.raises(ValueError, match="needs at least 30"):
        point.as_prior()
    model = make()
    model.layers[0].bias.assign([1.0, 1.0])
    kp.set_priors(model, {"bias": kp.UniformPrior(0.0, 2.0)})
    parameters = {"loc": np.zeros(6), "rho": np.zeros(6)}
    bounded = inference.VariationalPosterior(
        model, LIKELIHOOD, kp.posteriors.MeanFieldNormal(), parameters
    )
    with pytest.raises(ValueError, match="Received: line/bias with other bounds"):
        bounded.as_prior()


def test_draws_integrate_the_scale_of_a_prior_out():
    model = make()
    kp.set_priors(model, {"kernel": kp.NormalPrior(0.0, kp.HalfCauchyPrior(1.0))})
    log_posterior = inference.LogPosterior(model, X, Y, LIKELIHOOD)
    z = np.random.default_rng(0).normal(size=(1, 100, 7))
    posterior = inference.SamplePosterior.from_draws(log_posterior, z)
    prior = posterior.as_prior()
    assert prior.paths == PATHS
    drawn = posterior.draws()
    draws = np.concatenate([drawn[path].reshape(100, -1) for path in PATHS], axis=1)
    np.testing.assert_allclose(
        np.linalg.inv(prior.precision()), np.cov(draws.T), rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.closed_form
@pytest.mark.parametrize("structure", ["full", "low_rank"])
def test_nuts_of_parts_in_turn_is_that_of_all_rows(structure):
    backend = pytest.importorskip("jax") if keras.backend.backend() == "jax" else None
    if backend is None:
        pytest.skip("NUTS is the same on the others, and slower there")
    method, model = inference.NUTS(num_samples=2000, num_warmup=500, num_chains=4), make()
    posterior = fit(method, model, PARTS[0])
    kp.set_priors(model, posterior.as_prior(structure, rank=5))
    prior = fit(method, model, slice(10, 40)).as_prior()
    mean, covariance, _ = conjugate()
    scale = np.sqrt(np.diagonal(covariance))
    # Of 8000 draws twice, which NUTS makes at least half as good as independent ones.
    error = np.sqrt(2.0 / 4000)
    np.testing.assert_allclose((flat(prior.mean()) - mean) / scale, 0.0, atol=4 * error)
    white = np.linalg.cholesky(covariance)
    found = np.linalg.solve(white, np.linalg.solve(white, np.linalg.inv(prior.precision())).T)
    np.testing.assert_allclose(found, np.eye(6), atol=4 * error * np.sqrt(2))
