"""A prior written as a user writes one, outside of the package and with public names alone."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp

X = np.random.default_rng(0).standard_normal((40, 2)).astype("float32")
Y = (X @ np.array([[1.0], [-0.5]]) + 0.1).astype("float32")
NOISE = kp.likelihoods.Normal(0.5)


@keras.saving.register_keras_serializable("keras_priors_tests")
class Gumbel(kp.Prior):
    """log p(w) = sum_i -(z_i + exp(-z_i)) - log scale, z = (w - loc) / scale: a skewed prior."""

    def __init__(self, loc, scale, **kwargs):
        super().__init__(**kwargs)
        self.loc, self.scale = float(loc), float(scale)

    def log_prob(self, w):
        z = (ops.convert_to_tensor(w) - self.loc) / self.scale
        return -ops.sum(z + ops.exp(-z) + np.log(self.scale))

    def distribution(self, shape):
        loc, scale = (ops.full(shape, value) for value in (self.loc, self.scale))
        return self.native("Gumbel", loc=loc, scale=scale)

    def get_config(self):
        return {**super().get_config(), "loc": self.loc, "scale": self.scale}


def line(prior):
    layer = keras.layers.Dense(1, kernel_regularizer=prior, use_bias=False, name="line")
    return keras.Sequential([keras.Input((2,)), layer], name="net")


def log_posterior(w):
    residuals = Y[:, 0] - X @ np.asarray(w)
    return stats.gumbel_r(0.3, 0.7).logpdf(w).sum() + stats.norm(0, 0.5).logpdf(residuals).sum()


def test_its_density_and_draws_are_scipys():
    prior = Gumbel(0.3, 0.7)
    w = np.linspace(-1.0, 3.0, 6).reshape(3, 2).astype("float32")
    expected = stats.gumbel_r(0.3, 0.7).logpdf(w).sum()
    np.testing.assert_allclose(float(prior.log_prob(w)), expected, rtol=1e-5)
    draws = ops.convert_to_numpy(prior.sample((4000,), seed=0))
    assert stats.kstest(draws, stats.gumbel_r(0.3, 0.7).cdf).pvalue > 0.01


def test_fit_has_its_penalty():
    model = line(Gumbel(0.3, 0.7))
    kp.set_num_data(model, X)
    w = ops.convert_to_numpy(model.layers[0].kernel)
    penalty = sum(float(ops.convert_to_numpy(loss)) for loss in model.losses)
    np.testing.assert_allclose(
        penalty, -stats.gumbel_r(0.3, 0.7).logpdf(w).sum() / len(X), rtol=1e-5
    )


def test_inference_takes_it():
    model = line(Gumbel(0.3, 0.7))
    found = kp.inference.LogPosterior(model, X, Y, NOISE)(
        {"line/kernel": np.array([[0.9], [-0.4]])}
    )
    np.testing.assert_allclose(found, log_posterior([0.9, -0.4]), rtol=1e-5)
    posterior = kp.inference.Laplace("full").fit(model, X, Y, NOISE, verbose=0)
    mode = posterior.mean()["line/kernel"][:, 0]
    steps = 1e-3 * np.eye(2)
    # At the mode no direction goes up, and the curvature is that of the log posterior there.
    for step in steps:
        assert log_posterior(mode) > max(
            log_posterior(mode + 10 * step), log_posterior(mode - 10 * step)
        )
    second = [
        [
            log_posterior(mode + a + b)
            - log_posterior(mode + a - b)
            - log_posterior(mode - a + b)
            + log_posterior(mode - a - b)
            for a in steps
        ]
        for b in steps
    ]
    covariance = np.linalg.inv(-np.array(second) / 4e-6)
    sd = posterior.stddev()["line/kernel"][:, 0]
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)), rtol=1e-2)


def test_a_variational_layer_takes_it():
    layer = kp.VariationalDense(
        1, kernel_prior=Gumbel(0.3, 0.7), use_bias=False, num_data=1, kl_samples=4000, seed=0
    )
    layer.build((None, 1))
    q = layer.kernel_posterior
    loc = float(ops.convert_to_numpy(q.mean())[0, 0])
    sd = float(ops.convert_to_numpy(q.stddev())[0, 0])
    draws = stats.norm(loc, sd)
    kl = draws.expect(lambda w: draws.logpdf(w) - stats.gumbel_r(0.3, 0.7).logpdf(w))
    # The standard error of 4000 draws.
    ratio = np.std(-stats.gumbel_r(0.3, 0.7).logpdf(draws.rvs(4000, random_state=0))) / 4000**0.5
    found = sum(float(ops.convert_to_numpy(loss)) for loss in layer.losses)
    assert abs(found - kl) < 5 * ratio + 1e-4


def test_it_is_saved_with_its_model(tmp_path):
    model = line(Gumbel(0.3, 0.7))
    kp.set_num_data(model, X)
    model.save(tmp_path / "it.keras")
    prior = keras.models.load_model(tmp_path / "it.keras").layers[0].kernel_regularizer
    assert (type(prior), prior.loc, prior.scale, prior.num_data) == (Gumbel, 0.3, 0.7, 40)


@pytest.mark.parametrize("verb", ["set_priors", "to_variational", "prior_predictive"])
def test_the_verbs_take_it(verb):
    prior = Gumbel(0.3, 0.7)
    model = line(None if verb == "set_priors" else prior)
    if verb == "set_priors":
        kp.set_priors(model, prior)
        assert isinstance(model.layers[0].kernel_regularizer, Gumbel)
    elif verb == "to_variational":
        new = kp.to_variational(model, num_data=40)
        assert isinstance(new.layers[0].kernel_prior, Gumbel)
    else:
        found = kp.prior_predictive(model, X, 500, NOISE, seed=0, verbose=0)
        mean = 0.3 + 0.7 * np.euler_gamma
        spread = 0.7 * np.pi / 6**0.5 * np.linalg.norm(X, axis=1) / 500**0.5
        assert np.all(np.abs(found.mean[:, 0] - mean * X.sum(axis=1)) < 5 * spread)
    kp.summary(model)
