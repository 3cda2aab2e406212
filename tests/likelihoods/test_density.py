"""Values and gradients: against SciPy, at the ends of the support and of the outputs."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import likelihoods
from tests.likelihoods._cases import CASES, D, f32, gradient, numpy

every_case = pytest.mark.parametrize("case", CASES, ids=repr)


@every_case
def test_log_prob_is_that_of_scipy(case):
    expected = case.logpdf(case.y, f32(case.outputs).astype("float64"))
    log_prob = numpy(case.likelihood.log_prob(case.y, f32(case.outputs)))
    assert log_prob.shape == (len(case.y),)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=2e-6)


@every_case
def test_loss_is_the_mean_over_observations(case):
    expected = -case.logpdf(case.y, case.outputs).mean()
    np.testing.assert_allclose(
        numpy(case.likelihood(f32(case.y), f32(case.outputs))), expected, rtol=1e-5
    )


@every_case
def test_call_gives_one_value_for_each_observation(case):
    losses = numpy(case.likelihood.call(f32(case.y), f32(case.outputs)))
    np.testing.assert_allclose(losses, -case.logpdf(case.y, case.outputs), rtol=1e-5, atol=2e-6)


@every_case
def test_distribution_is_consistent(case):
    distribution = case.likelihood.distribution(f32(case.outputs))
    native = numpy(distribution.log_prob(ops.convert_to_tensor(f32(case.y))))
    # `torch.distributions.StudentT` is off by 0.25 nats here.
    loose = keras.backend.backend() == "torch" and case.name == "student-t-1e6"
    np.testing.assert_allclose(
        native,
        numpy(case.likelihood.log_prob(case.y, f32(case.outputs))),
        rtol=1e-5,
        atol=0.5 if loose else 1e-5,
    )


@every_case
def test_float64_stays_float64(case):
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is told")
    outputs = ops.convert_to_tensor(case.outputs, dtype="float64")
    log_prob = case.likelihood.log_prob(case.y, outputs)
    assert keras.backend.standardize_dtype(log_prob.dtype) == "float64"
    expected = case.logpdf(case.y, case.outputs)
    # Keras' clipping of probabilities is one part in 1e7.
    np.testing.assert_allclose(numpy(log_prob), expected, rtol=1e-6, atol=1e-7)


@every_case
def test_half_precision_outputs_are_summed_in_float32(case):
    half = ops.cast(ops.convert_to_tensor(f32(case.outputs)), "float16")
    log_prob = case.likelihood.log_prob(case.y, half)
    assert keras.backend.standardize_dtype(log_prob.dtype) == "float32"
    exact = numpy(half).astype("float64")
    if case.name == "categorical-probs":
        exact = exact / exact.sum(-1, keepdims=True)
        np.testing.assert_allclose(numpy(log_prob), case.logpdf(case.y, exact), rtol=1e-3)
    else:
        expected = case.logpdf(case.y, exact)
        np.testing.assert_allclose(numpy(log_prob), expected, rtol=1e-5, atol=2e-6)


@every_case
def test_gradient_is_that_of_finite_differences(case):
    step, outputs = 1e-6, case.outputs
    if case.name == "categorical-probs":
        pytest.skip("probabilities off the simplex have no density")
    expected = np.empty_like(outputs)
    for index in np.ndindex(outputs.shape):
        up, down = outputs.copy(), outputs.copy()
        up[index] += step
        down[index] -= step
        difference = case.logpdf(case.y, up).sum() - case.logpdf(case.y, down).sum()
        expected[index] = -difference / (2 * step)
    got = gradient(lambda o: case.likelihood.call(f32(case.y), o), outputs)
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)


@every_case
def test_outside_the_support_the_loss_is_infinite_and_gradients_are_finite(case):
    for value in case.outside:
        y = f32(case.y).copy()
        y[0] = value
        losses = numpy(case.likelihood.call(y, f32(case.outputs)))
        assert losses[0] == np.inf, value
        assert np.all(np.isfinite(losses[1:]))
        got = gradient(lambda o, y=y: case.likelihood.call(y, o), case.outputs)
        assert np.all(np.isfinite(got)), value


@every_case
def test_extreme_outputs_give_no_nan(case):
    for value in case.extremes:
        outputs = np.full_like(case.outputs, value)
        outputs[:, ::2] = case.extremes[0]
        losses = numpy(case.likelihood.call(f32(case.y), f32(outputs)))
        assert not np.any(np.isnan(losses)), value
        got = gradient(lambda o: case.likelihood.call(f32(case.y), o), outputs)
        assert np.all(np.isfinite(got)), value


def test_certain_bernoulli_keeps_its_relative_accuracy():
    log_prob = numpy(likelihoods.Bernoulli().log_prob([1, 0], f32([[20.0], [-20.0]])))
    np.testing.assert_allclose(log_prob, -np.log1p(np.exp(-20.0)), rtol=1e-5)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits_cost_their_size(sign):
    loss = numpy(likelihoods.Bernoulli().call([0.5 - 0.5 * sign], f32([[sign * 1e4]])))
    np.testing.assert_allclose(loss, 1e4)
    logits = f32([[sign * 1e4, 0.0, -sign * 1e4]])
    loss = numpy(likelihoods.Categorical().call([1.0 + sign], logits))
    np.testing.assert_allclose(loss, 2e4)


def test_poisson_is_linear_where_the_rate_underflows():
    losses = numpy(likelihoods.Poisson().call(f32([[3.0]]), f32([[-1e4]])))
    np.testing.assert_allclose(losses, 3e4 + np.log(6.0), rtol=1e-6)


def test_poisson_is_infinite_where_the_rate_overflows():
    assert numpy(likelihoods.Poisson().call(f32([[3.0]]), f32([[1e4]]))) == np.inf


def test_saturated_probabilities_are_taken_as_keras_takes_them():
    y, p = f32([[0.0], [1.0]]), f32([[1.0], [0.0]])
    ours = numpy(likelihoods.Bernoulli(from_logits=False)(y, p))
    # 1 - 1e-7 is the float32 next to it, which is what Keras takes the logarithm of.
    np.testing.assert_allclose(ours, keras.losses.BinaryCrossentropy()(y, p), rtol=0.01)
    np.testing.assert_allclose(ours, -np.log(1e-7), rtol=1e-5)


def test_logits_where_probabilities_belong_give_an_infinite_loss():
    bernoulli = likelihoods.Bernoulli(from_logits=False)
    categorical = likelihoods.Categorical(from_logits=False)
    assert np.all(numpy(bernoulli.call([1, 1], f32([[1.5], [-0.1]]))) == np.inf)
    outputs = f32([[2.0, 1.0], [0.5, 0.4], [1.5, -0.5]])
    assert np.all(numpy(categorical.call([0, 0, 0], outputs)) == np.inf)
    rates = likelihoods.Poisson(from_log_rate=False)
    assert numpy(rates.call([0], f32([[-0.5]]))) == np.inf


def test_soft_labels_are_no_observations():
    soft = f32([[0.5, 0.5, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.all(numpy(likelihoods.Categorical().call(soft, np.zeros((3, 3)))) == np.inf)


@pytest.mark.parametrize("rho", [-1e4, -100.0, -20.0, 20.0, 1e4])
def test_heteroscedastic_normal_is_finite_for_any_scale(rho):
    likelihood = likelihoods.HeteroscedasticNormal()
    outputs = f32([[0.0, rho]])
    scale = 1e-6 + np.logaddexp(0.0, rho)
    expected = 0.5 / scale**2 + np.log(scale) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(numpy(likelihood.call([1.0], outputs)), expected, rtol=1e-4)
    assert np.all(np.isfinite(gradient(lambda o: likelihood.call(f32([1.0]), o), outputs)))


@pytest.mark.parametrize("total_count", [1e-3, 0.5, 30.0, 1e3, 1e5, 1e6])
def test_negative_binomial_keeps_its_digits(total_count):
    y = np.array([0.0, 1.0, 2.0, 7.0, 60.0, 5e3])[:, None]
    outputs = f32(np.log([[0.2], [1.5], [3.0], [7.0], [40.0], [6e3]]))
    mean = np.exp(outputs.astype("float64"))
    expected = stats.nbinom.logpmf(y, total_count, total_count / (total_count + mean))[:, 0]
    likelihood = likelihoods.NegativeBinomial(total_count)
    got = numpy(likelihood.log_prob(f32(y), outputs))
    # Terms as large as a count times its logarithm cancel: five roundings of float32 stay.
    cancelled = y[:, 0] * np.log(np.maximum(total_count, y[:, 0] + 1.0))
    np.testing.assert_array_less(np.abs(got - expected), 3e-6 + 3e-7 * cancelled)
    if total_count == 1e6:
        poisson = stats.poisson.logpmf(y, mean)[:5, 0]
        np.testing.assert_allclose(got[:5], poisson, rtol=1e-4)


def test_the_elements_are_summed_and_the_observations_averaged():
    y, outputs = f32(np.arange(4 * D).reshape(4, D)), np.zeros((4, D), "float32")
    squares = (y**2).sum() / (2 * 4) + 0.5 * D * np.log(2 * np.pi)
    np.testing.assert_allclose(numpy(likelihoods.Normal()(y, outputs)), squares, rtol=1e-6)
