"""Every method draws from p(w | data)^(1/T), or says that a temperature has no part in it."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from tests.inference._chains import SHORT_CHAINS

NOISE = kp.likelihoods.Normal(1.0)
X = Y = np.ones((3, 1), "float32")
T = 0.25
# Three observations of 1 and a prior N(0, 1): the posterior is N(3/4, 1/4), and N(3/4, T/4) at T.
MEAN, SD = 0.75, np.sqrt(T / 4)


def line(**kwargs):
    kwargs = {"kernel_regularizer": kp.NormalPrior(0, 1), **kwargs}
    dense = keras.layers.Dense(1, use_bias=False, name="line", **kwargs)
    return keras.Sequential([keras.Input((1,)), dense])


def log_posterior(model, temperature):
    return kp.inference.LogPosterior(model, X, Y, NOISE, temperature=temperature)


def numbers(posterior):
    return posterior.mean()["line/kernel"].item(), posterior.stddev()["line/kernel"].item()


def test_the_log_posterior_is_divided():
    w = 0.3
    position = {"line/kernel": np.array([[w]])}
    plain = 3 * stats.norm.logpdf(1, w) + stats.norm.logpdf(w)
    found = log_posterior(line(), T)
    assert found(position) == pytest.approx(plain / T, rel=1e-6)
    assert found.log_likelihood(position) + found.log_prior(position) == pytest.approx(
        plain, rel=1e-6
    )
    value, gradient = found.value_and_gradient(position)
    assert value == pytest.approx(plain / T, rel=1e-6)
    assert gradient["line/kernel"].item() == pytest.approx((3 * (1 - w) - w) / T, rel=1e-5)
    assert found.estimate([0], position) == pytest.approx(plain / T, rel=1e-6)


@pytest.mark.parametrize(
    ("prior", "log_prior"),
    [
        (kp.HalfNormalPrior(1.0), lambda w: stats.halfnorm.logpdf(w)),
        (kp.NormalPrior(0, kp.InverseGammaPrior(2.0, 1.0)), None),
    ],
    ids=["bounded", "unknown scale"],
)
def test_its_jacobian_is_not(prior, log_prior):
    """The weight is exp(z); or w = s z with s = exp(t)."""
    z = [-0.4] if log_prior else [-0.4, 0.7]
    if log_prior:
        w, jacobian = np.exp(z[0]), z[0]
        prior_part = log_prior(w)
    else:
        s = np.exp(z[1])
        w, jacobian = s * z[0], 2 * z[1]
        prior_part = stats.norm.logpdf(w, 0, s) + stats.invgamma.logpdf(s, 2.0, scale=1.0)
    expected = (3 * stats.norm.logpdf(1, w) + prior_part) / T + jacobian
    found = log_posterior(
        line(kernel_regularizer=prior, kernel_initializer=keras.initializers.Constant(0.5)), T
    )
    point = keras.ops.convert_to_tensor(np.array(z, "float32"))
    value, gradient = found.log_prob_and_gradient(point, found.data)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert float(found.log_prob(point, found.data)) == pytest.approx(expected, rel=1e-5)
    batch = found.observations.batch([0, 1, 2])
    one = keras.ops.convert_to_tensor(1.0)
    estimate = found.batch_log_prob(point, found.outputs.fixed(), batch, one)
    assert float(estimate) == pytest.approx(expected, rel=1e-5)
    step = 1e-2 * np.eye(len(z))[0]
    ends = [
        float(found.log_prob(keras.ops.convert_to_tensor((z + d).astype("float32")), found.data))
        for d in (step, -step)
    ]
    slope = float(keras.ops.convert_to_numpy(gradient)[0])
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=1e-2)


SEARCHES = {
    "Laplace full": kp.inference.Laplace("full"),
    "Laplace kronecker": kp.inference.Laplace(),
    "Laplace low rank": kp.inference.Laplace("low_rank", rank=1),
    "Laplace last": kp.inference.Laplace("full", layers="last"),
    "MeanField": kp.inference.MeanField(num_steps=500, learning_rate=0.05),
    "IVON": kp.inference.IVON(num_steps=500, num_samples=16),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_the_normal_of_a_search_is_colder(name):
    model = line()
    model.set_weights([np.array([[0.75]], "float32")])
    posterior = SEARCHES[name].fit(model, X, Y, NOISE, seed=0, verbose=0, temperature=T)
    assert posterior.temperature == T
    np.testing.assert_allclose(numbers(posterior), (MEAN, SD), atol=0.01)


def sampler(method, rate):
    return method(
        rate, num_burnin=50, num_samples=400, thinning=5, num_chains=2, preconditioner=None
    )


def test_of_a_bounded_weight_by_laplace():
    """z = log w: -log p(w | y) / T - z is least at the mode, and its curvature is there."""
    from scipy import optimize

    def energy(z):
        w = np.exp(z)
        log_density = 3 * stats.norm.logpdf(1, w) + stats.halfnorm.logpdf(w)
        return -log_density / T - z

    mode = optimize.minimize_scalar(energy, bounds=(-3, 2), method="bounded").x
    step = 1e-3
    curved = (energy(mode + step) - 2 * energy(mode) + energy(mode - step)) / step**2
    start = keras.initializers.Constant(0.5)
    model = line(kernel_regularizer=kp.HalfNormalPrior(1.0), kernel_initializer=start)
    hessian = kp.inference.Laplace("full", "hessian")
    posterior = hessian.fit(model, X, Y, NOISE, verbose=0, temperature=T)
    z = np.log(posterior.draws(4000, seed=0)["line/kernel"].ravel())
    assert abs(z.mean() - mode) < 4 / np.sqrt(4000 * curved)
    assert abs(z.std() * np.sqrt(curved) - 1) < 4 / np.sqrt(8000)


def test_there_is_no_evidence_of_a_colder_posterior():
    posterior = kp.inference.Laplace("full").fit(line(), X, Y, NOISE, verbose=0, temperature=T)
    with pytest.raises(ValueError, match=r"log_marginal_likelihood.*temperature 0\.25"):
        posterior.log_marginal_likelihood()
    with pytest.raises(ValueError, match=r"tune.*temperature 0\.25"):
        posterior.tune()


CHAINS = {
    "SGLD": sampler(kp.inference.SGLD, 0.1),
    "SGHMC": sampler(kp.inference.SGHMC, 0.02),
    "NUTS": kp.inference.NUTS(num_chains=2, num_warmup=300, num_samples=1000),
}


@pytest.mark.parametrize("name", CHAINS)
def test_draws_are_colder(name, backend):
    if backend == "torch" and name == "NUTS":
        pytest.skip("its kernel is not on PyTorch")
    model = line()
    model.set_weights([np.array([[0.75]], "float32")])
    posterior = CHAINS[name].fit(model, X, Y, NOISE, seed=0, verbose=0, temperature=T)
    mean, sd = numbers(posterior)
    # Of some 400 independent draws the standard deviation has an error of 1/28 of itself.
    assert abs(mean - MEAN) < 4 * SD / 20
    assert abs(sd - SD) < 4 * SD / 28


POINTS = {
    "MAP": kp.inference.MAP(),
    "DeepEnsemble": kp.inference.DeepEnsemble(2, epochs=1),
    "RandomizedMAP": kp.inference.RandomizedMAP(2),
    "SWAG": kp.inference.SWAG(),
    "VariationalLayers": kp.inference.VariationalLayers(),
}


@pytest.mark.parametrize("name", POINTS)
def test_points_refuse_it(name):
    with pytest.raises(ValueError, match=r"temperature=0\.25"):
        POINTS[name].fit(line(), X, Y, NOISE, temperature=T)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, [1.0, 2.0]])
def test_it_is_one_positive_number(value):
    with pytest.raises(ValueError, match=r"temperature.*Received"):
        kp.inference.SGLD().fit(line(), X, Y, NOISE, temperature=value)


@SHORT_CHAINS
def test_it_is_saved_and_no_two_are_mixed(tmp_path):
    chain = kp.inference.SGLD(0.02, num_burnin=1, num_samples=4, num_chains=1, preconditioner=None)
    cold = chain.fit(line(), X, Y, NOISE, seed=0, verbose=0, temperature=T)
    cold.save(tmp_path / "cold.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "cold.posterior")
    assert loaded.temperature == T
    with pytest.raises(ValueError, match=r"temperature=0\.25 there and 1\.0 here"):
        chain.fit(line(), X, Y, NOISE, verbose=0, resume=loaded)


def test_that_of_layers_is_read():
    model = keras.Sequential([keras.Input((1,)), kp.VariationalDense(1), kp.VariationalDense(1)])
    kp.set_num_data(model, 3, temperature=T)
    assert kp.inference.LayersPosterior(model, NOISE).temperature == T
    read = kp.inference.VariationalLayers()
    assert read.fit(model, X, Y, NOISE).temperature == T
    model.layers[0].temperature = 1.0
    assert read.fit(model, X, Y, NOISE).temperature is None
