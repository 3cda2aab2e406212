"""Conjugate linear regression: the posterior is known, and so is its best approximation."""

import keras
import numpy as np
import pytest
import scipy.optimize
from keras import ops

from keras_priors import likelihoods, posteriors
from keras_priors.layers import VariationalDense
from keras_priors.priors import LogNormalPrior, NormalPrior
from tests.posteriors._calculus import as_numpy

N, D = 60, 3
NOISE, PRIOR = 0.5, 1.5
# Draws in each step, and steps: the noise left in the result is a third of what is tolerated.
DRAWS, EPOCHS, STEPS = 12, 6, 200
# TensorFlow takes this many in a call: one of them costs less than to start it.
AT_ONCE = 20


def data():
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.6, 0.0], [0.0, 0.8, 0.3], [0.0, 0.0, 1.0]])
    x = rng.normal(size=(N, D)) @ mixing
    y = x @ np.array([0.7, -1.0, 0.3]) + NOISE * rng.normal(size=N)
    return x.astype("float32"), y[:, None].astype("float32")


X, Y = data()
PRECISION = X.T.astype("float64") @ X / NOISE**2 + np.eye(D) / PRIOR**2
COVARIANCE = np.linalg.inv(PRECISION)
MEAN = COVARIANCE @ (X.T.astype("float64") @ Y[:, 0]) / NOISE**2
STDDEV = np.sqrt(np.diag(COVARIANCE))
# The normal with independent elements that is closest in KL(q‖p).
MEAN_FIELD_SCALE = 1.0 / np.sqrt(np.diag(PRECISION))


def kl_to_posterior(mean, covariance):
    """KL(q‖exact posterior) of a normal q."""
    shift = mean - MEAN
    log_dets = np.linalg.slogdet(COVARIANCE)[1] - np.linalg.slogdet(covariance)[1]
    quadratic = np.trace(PRECISION @ covariance) + shift @ PRECISION @ shift
    return 0.5 * (quadratic - D + log_dets)


MEAN_FIELD_KL = kl_to_posterior(MEAN, np.diag(MEAN_FIELD_SCALE**2))


class FullBatches(keras.utils.PyDataset):
    """Every step sees all data, once a call and copy of the rows."""

    def __init__(self, y, calls, copies):
        super().__init__()
        self.batch = np.tile(X, (copies, 1)), np.tile(y[:, None], (copies, calls, 1))

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        return self.batch


class Average(keras.callbacks.Callback):
    """Averages the second half of the iterates, which takes out the rest of the noise."""

    def on_train_begin(self, logs=None):
        self.taken = []

    def on_epoch_begin(self, epoch, logs=None):
        self.second_half = epoch >= EPOCHS // 2

    def on_train_batch_end(self, batch, logs=None):
        if self.second_half and batch % AT_ONCE == AT_ONCE - 1:
            self.taken.append([as_numpy(v) for v in self.model.trainable_variables])

    def on_train_end(self, logs=None):
        for variable, *values in zip(self.model.trainable_variables, *self.taken, strict=True):
            variable.assign(np.mean(values, axis=0).astype("float32"))


# PyTorch takes a dozen draws a step one by one.
slow_on_torch = [pytest.mark.slow] * (keras.backend.backend() == "torch")
# One family and one estimator differ from what the others of this file see, not the backend.
slow_but_on_jax = [pytest.mark.slow] * (keras.backend.backend() != "jax")


def fit(family, estimator="reparameterization", prior=None, y=Y, draws=DRAWS):
    keras.utils.set_random_seed(1)
    layer = VariationalDense(
        1,
        use_bias=False,
        kernel_prior=NormalPrior(0.0, PRIOR) if prior is None else prior,
        kernel_posterior=family,
        estimator=estimator,
        num_data=N,
        seed=3,
    )
    inputs = keras.Input((D,))
    # A shared draw is one for each call, and so is the size of flipout's. The KL of the layer
    # counts once, whatever the calls; draws are averaged with the observations.
    calls, copies = (1, draws) if estimator == "local_reparameterization" else (draws, 1)
    model = keras.Model(inputs, ops.stack([layer(inputs) for _ in range(calls)], axis=1))
    schedule = keras.optimizers.schedules.CosineDecay(0.02, EPOCHS * STEPS, alpha=0.02)
    model.compile(
        keras.optimizers.Adam(schedule, beta_2=0.99),
        likelihoods.Normal(scale=NOISE),
        steps_per_execution=AT_ONCE if keras.backend.backend() == "tensorflow" else 1,
    )
    batches = FullBatches(y, calls, copies)
    model.fit(batches, epochs=EPOCHS, verbose=0, callbacks=[Average()])
    return layer.kernel_posterior


def assert_mean(posterior):
    error = np.abs(as_numpy(posterior.mean())[:, 0] - MEAN) / STDDEV
    assert error.max() < 0.05


def assert_covariance(covariance):
    assert (np.abs(covariance - COVARIANCE) < 0.05 * np.outer(STDDEV, STDDEV)).all()


@pytest.mark.parametrize(
    "estimator",
    [
        "reparameterization",
        "local_reparameterization",
        pytest.param("flipout", marks=slow_on_torch),
    ],
)
def test_mean_field_finds_its_optimum(estimator):
    posterior = fit(posteriors.MeanFieldNormal(0.1), estimator)
    assert_mean(posterior)
    np.testing.assert_allclose(as_numpy(posterior.stddev())[:, 0], MEAN_FIELD_SCALE, rtol=0.03)


def test_full_covariance_finds_the_exact_posterior():
    posterior = fit(posteriors.FullNormal(0.1))
    assert_mean(posterior)
    assert_covariance(as_numpy(posterior.covariance()))


@pytest.mark.parametrize(
    "estimator",
    [pytest.param("reparameterization", marks=slow_but_on_jax), "local_reparameterization"],
)
@pytest.mark.parametrize("family", ["low_rank", "matrix_normal"])
def test_structured_families_see_the_correlations(family, estimator):
    """A row covariance holds any covariance of three inputs, two factors and a diagonal nearly."""
    if family == "low_rank":
        posterior = fit(posteriors.LowRankNormal(rank=2, initial_scale=0.1), estimator)
        factor = as_numpy(posterior.factor).reshape(2, D)
        covariance = np.diag(np.logaddexp(0.0, as_numpy(posterior.rho)[:, 0]) ** 2)
        covariance = covariance + factor.T @ factor
    else:
        posterior = fit(posteriors.MatrixNormal(0.1), estimator)
        row, column = (
            np.tril(raw, -1) + np.diag(np.logaddexp(0.0, np.diag(raw)))
            for raw in (as_numpy(posterior.scale_row), as_numpy(posterior.scale_column))
        )
        covariance = row @ row.T * column[0, 0] ** 2
        assert_covariance(covariance)
    assert_mean(posterior)
    kl = kl_to_posterior(as_numpy(posterior.mean())[:, 0], covariance)
    # Rank and diagonal are nine numbers for six: they get there slowly.
    assert kl < (0.15 if family == "low_rank" else 0.01) * MEAN_FIELD_KL


@pytest.mark.parametrize("estimator", ["reparameterization", "local_reparameterization", "flipout"])
def test_a_point_finds_the_ridge_solution(estimator):
    posterior = fit("delta", estimator, draws=1)
    np.testing.assert_allclose(as_numpy(posterior.mean())[:, 0], MEAN, rtol=1e-3)


@pytest.mark.parametrize("family", [pytest.param("log_normal", marks=slow_on_torch)])
def test_positive_weights_find_their_optimum(family):
    """The ELBO is known, its maximum is SciPy's."""
    loc, scale = np.array([-1.0, 0.0, -0.5]), 0.7
    noise = np.random.default_rng(1).normal(size=(N, 1))
    y = (X @ [[0.7], [1.0], [0.3]] + NOISE * noise).astype("float32")

    def negative_elbo(parameters):
        mu, spread = parameters[:D], np.exp(parameters[D:])
        mean = np.exp(mu + 0.5 * spread**2)
        variance = mean**2 * np.expm1(spread**2)
        squares = np.sum((y[:, 0] - X @ mean) ** 2) + np.sum(X**2 @ variance)
        kl = np.log(scale / spread) + (spread**2 + (mu - loc) ** 2) / (2 * scale**2) - 0.5
        return squares / (2 * NOISE**2) + np.sum(kl)

    optimum = scipy.optimize.minimize(negative_elbo, [*loc, *np.full(D, -2.0)])
    mu, spread = optimum.x[:D], np.exp(optimum.x[D:])
    posterior = fit(family, prior=LogNormalPrior(loc[:, None], scale), y=y)
    error = np.abs(as_numpy(posterior.loc)[:, 0] - mu) / spread
    assert error.max() < 0.05
    np.testing.assert_allclose(np.logaddexp(0, as_numpy(posterior.rho)[:, 0]), spread, rtol=0.03)


def test_the_scenario_can_tell_the_families_apart():
    assert MEAN_FIELD_KL > 0.1
    assert (MEAN_FIELD_SCALE < 0.93 * STDDEV).any()
