"""A family written as a user writes one, outside of the package and with public names alone."""

import keras
import numpy as np
from keras import ops
from scipy import special, stats

import keras_priors as kp

to_numpy = ops.convert_to_numpy


@keras.saving.register_keras_serializable("keras_priors_tests")
class Logistic(kp.posteriors.Posterior):
    """Independent logistics: w = loc + s (log Phi(e) - log Phi(-e)), e standard normal."""

    def __init__(self, initial_scale=0.1):
        self.initial_scale = float(initial_scale)

    def build(self, add_weight, shape, initializer, fan_in=None):
        super().build(add_weight, shape, initializer, fan_in)
        start = keras.initializers.Constant(np.log(self.initial_scale))
        self.log_scale = add_weight("log_scale", shape, start)

    def mean(self):
        return ops.convert_to_tensor(self.loc)

    def variance(self):
        return ops.exp(2.0 * ops.convert_to_tensor(self.log_scale)) * (np.pi**2 / 3.0)

    def entropy(self):
        return ops.sum(ops.convert_to_tensor(self.log_scale) + 2.0)

    def transform(self, noise):
        below, above = (0.5 * (1.0 + ops.erf(e / 2.0**0.5)) for e in (noise, -noise))
        return self.mean() + ops.exp(ops.convert_to_tensor(self.log_scale)) * (
            ops.log(below) - ops.log(above)
        )

    def distribution(self):
        scale = ops.exp(ops.convert_to_tensor(self.log_scale))
        return self.native("Logistic", loc=self.mean(), scale=scale)

    def get_config(self):
        return {"initial_scale": self.initial_scale}


def built():
    layer = kp.VariationalDense(
        2, kernel_posterior=Logistic(0.3), use_bias=False, num_data=7, seed=0
    )
    layer.build((None, 3))
    return layer


def test_its_moments_draws_and_density_are_scipys():
    q = built().kernel_posterior
    loc = to_numpy(q.mean())
    reference = stats.logistic(loc, 0.3)
    np.testing.assert_allclose(to_numpy(q.stddev()), reference.std(), rtol=1e-5)
    np.testing.assert_allclose(float(to_numpy(q.entropy())), reference.entropy().sum(), rtol=1e-5)
    w = loc + 0.2
    np.testing.assert_allclose(float(to_numpy(q.log_prob(w))), reference.logpdf(w).sum(), rtol=1e-5)
    noise = np.random.default_rng(0).standard_normal(loc.shape).astype("float32")
    drawn = to_numpy(q.transform(ops.convert_to_tensor(noise)))
    expected = reference.ppf(special.ndtr(noise.astype("float64")))
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-5)


def test_the_kl_in_the_loss_is_exact_where_the_prior_knows_its_expectation():
    layer = built()
    loc, sd = to_numpy(layer.kernel_posterior.mean()), np.pi * 0.3 / 3**0.5
    expected = -0.5 * (np.log(2 * np.pi) + loc**2 + sd**2)
    kl = -6 * (np.log(0.3) + 2.0) - expected.sum()
    (loss,) = layer.losses
    np.testing.assert_allclose(float(to_numpy(loss)), kl / 7, rtol=1e-5)


def test_it_trains_predicts_and_is_saved(tmp_path):
    model = keras.Sequential([keras.Input((3,)), built()])
    x = np.random.default_rng(0).standard_normal((21, 3)).astype("float32")
    noise = kp.likelihoods.Normal(1.0)
    model.compile("adam", loss=noise)
    before = to_numpy(model.layers[0].kernel_posterior.log_scale)
    model.fit(x, x[:, :2], epochs=2, verbose=0)
    assert np.all(to_numpy(model.layers[0].kernel_posterior.log_scale) != before)
    model.save(tmp_path / "it.keras")
    loaded = keras.models.load_model(tmp_path / "it.keras")
    draws = [kp.predict(m, x, 5, noise, seed=0, verbose=0).draws for m in (model, loaded)]
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-5)
    assert np.std(draws[0], axis=0).min() > 0


def test_a_model_is_converted_to_it():
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    new = kp.to_variational(plain, posterior={"*kernel": Logistic(0.05)}, num_data=5)
    assert isinstance(new.layers[0].kernel_posterior, Logistic)
    np.testing.assert_allclose(
        to_numpy(new.layers[0].kernel_posterior.mean()), to_numpy(plain.layers[0].kernel)
    )
