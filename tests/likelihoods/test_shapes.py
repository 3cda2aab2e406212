"""Which shapes a target may have, with and without a time axis and an axis of draws."""

import numpy as np
import pytest
from keras import ops

from keras_priors import likelihoods
from tests.likelihoods._cases import CASES, N, f32, numpy

S, T, C = 4, 5, 3
every_case = pytest.mark.parametrize("case", CASES, ids=repr)


def draws_of(case):
    """Outputs (S, N, k) that differ from draw to draw, and stay valid."""
    rolled = [np.roll(case.outputs, s, axis=0) for s in range(S)]
    return np.stack(rolled)


@every_case
def test_a_leading_axis_of_draws(case):
    outputs = draws_of(case)
    expected = np.stack([case.logpdf(case.y, o) for o in outputs])
    for y in (case.y, case.y[None], np.broadcast_to(case.y, (S, *case.y.shape))):
        log_prob = numpy(case.likelihood.log_prob(y, f32(outputs)))
        np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=2e-6)


@every_case
def test_moments_and_samples_keep_the_axis_of_draws(case):
    if not case.moments:
        pytest.skip("a Cauchy distribution has no mean")
    outputs = f32(draws_of(case))
    for moment in (case.likelihood.mean, case.likelihood.variance):
        each = np.stack([numpy(moment(o)) for o in outputs])
        np.testing.assert_allclose(numpy(moment(outputs)), each, rtol=1e-6)
    assert numpy(case.likelihood.sample(outputs, seed=0)).shape == (S, *case.y.shape)


@every_case
def test_every_step_of_a_time_axis_is_an_observation(case):
    outputs = f32(np.stack([case.outputs] * T, axis=1))
    y = f32(np.stack([case.y] * T, axis=1))
    y[0, 0], outputs[0, 0] = y[1, 0], outputs[1, 0]
    losses = numpy(case.likelihood.call(y, outputs))
    assert losses.shape == (N, T)
    steps = -case.logpdf(y.astype("float64"), outputs.astype("float64"))
    np.testing.assert_allclose(losses, steps, rtol=1e-5, atol=5e-6)
    np.testing.assert_allclose(numpy(case.likelihood(y, outputs)), steps.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    "likelihood", [likelihoods.Normal(), likelihoods.Bernoulli(), likelihoods.Poisson()], ids=repr
)
def test_one_output_needs_no_last_axis_and_is_not_broadcast(likelihood):
    y, outputs = f32([0, 1, 1, 0]), f32([[0.1], [0.2], [0.3], [0.4]])
    expected = numpy(likelihood.call(y[:, None], outputs))
    assert expected.shape == (4,)
    assert len(set(expected.tolist())) == 4
    for target, output in [(y, outputs), (y[:, None], outputs[:, 0]), (y, outputs[:, 0])]:
        np.testing.assert_allclose(numpy(likelihood.call(target, output)), expected)
        np.testing.assert_allclose(numpy(likelihood(target, output)), expected.mean(), rtol=1e-6)
        np.testing.assert_allclose(numpy(likelihood.log_prob(target, output)), -expected)
    steps, of_steps = y.reshape(2, 2), outputs.reshape(2, 2, 1)
    np.testing.assert_allclose(numpy(likelihood.call(steps, of_steps)), expected.reshape(2, 2))


def test_one_output_with_draws():
    likelihood, y = likelihoods.Normal(), f32(np.arange(N))
    outputs = f32(np.random.default_rng(0).normal(size=(S, N, 1)))
    expected = -0.5 * (y - outputs[..., 0]) ** 2 - 0.5 * np.log(2 * np.pi)
    for target in (y, y[:, None], y[None], y[None, :, None]):
        got = numpy(likelihood.log_prob(target, outputs))
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("y_shape", "outputs_shape"),
    [
        ((4,), (4, 3)),
        ((4, 1), (4, 3)),
        ((1, 3), (4, 3)),
        ((3,), (4, 3)),
        ((5, 3), (4, 3)),
        ((4, 3), (2, 4, 3)),
        ((1, 4, 3), (2, 4, 3)),
        ((4, 3), (4,)),
        ((), (4, 1)),
    ],
)
def test_targets_that_do_not_fit_are_refused(y_shape, outputs_shape):
    with pytest.raises(ValueError, match="must have a shape that fits") as error:
        likelihoods.Normal()(np.zeros(y_shape), np.zeros(outputs_shape))
    assert f"Received: a target of shape {y_shape}" in str(error.value)


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, C)])
def test_classes_as_indices_and_one_hot(shape):
    rng = np.random.default_rng(0)
    logits, classes = f32(rng.normal(size=(N, C))), rng.integers(0, C, size=N)
    expected = numpy(likelihoods.Categorical().call(classes, logits))
    y = np.eye(C)[classes] if shape == (N, C) else classes.reshape(shape)
    np.testing.assert_allclose(numpy(likelihoods.Categorical().call(y, logits)), expected)
    for target in (y, y[None]):
        draws = np.stack([logits] * S)
        got = numpy(likelihoods.Categorical().log_prob(target, draws))
        np.testing.assert_allclose(got, np.stack([-expected] * S), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32", "float64", "bool"])
def test_targets_of_any_dtype(dtype):
    y, logits = np.array([0, 1, 1]).astype(dtype), f32([[0.0], [1.0], [-1.0]])
    expected = np.logaddexp(0.0, [0.0, -1.0, 1.0]).mean()
    np.testing.assert_allclose(numpy(likelihoods.Bernoulli()(y, logits)), expected, rtol=1e-6)
    two = np.concatenate([np.zeros_like(logits), logits], axis=1)
    np.testing.assert_allclose(numpy(likelihoods.Categorical()(y, two)), expected, rtol=1e-6)


def test_a_target_that_reads_two_ways_is_refused():
    # One-hot rows of each of 3 draws, or the classes of 3 steps?
    outputs = f32(np.random.default_rng(0).normal(size=(3, 3, 3)))
    y = np.eye(3)
    with pytest.raises(ValueError, match=r"must say what its axes are.*give y\[None\]"):
        likelihoods.Categorical().log_prob(y, outputs)
    got = numpy(likelihoods.Categorical().log_prob(y[None], outputs))
    log_softmax = outputs - np.log(np.exp(outputs).sum(-1, keepdims=True))
    np.testing.assert_allclose(got, (log_softmax * y).sum(-1), rtol=1e-5)
    # The loss has no axis of draws, so that there it is no question.
    losses = numpy(likelihoods.Categorical().call(y, outputs))
    steps = np.take_along_axis(log_softmax, y.astype(int)[..., None], -1)[..., 0]
    np.testing.assert_allclose(losses, -steps, rtol=1e-5)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 2, 1)])
def test_one_class_is_refused(shape):
    with pytest.raises(ValueError, match=r"at least 2 classes.*Bernoulli\(\)"):
        likelihoods.Categorical()(np.zeros(shape[:-1]), np.zeros(shape))


@pytest.mark.parametrize(
    "likelihood",
    [
        likelihoods.HeteroscedasticNormal(),
        likelihoods.StudentT(4.0, scale=None),
        likelihoods.Laplace(scale=None),
        likelihoods.NegativeBinomial(total_count=None),
        likelihoods.Beta(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (4,)])
def test_two_outputs_for_each_target(likelihood, shape):
    if shape == (4,):
        shape = (5,)
    with pytest.raises(ValueError, match=r"must be a multiple of 2.*Dense\(2 \* d\)"):
        likelihood.call(np.full((shape[0], 1), 0.5), np.zeros(shape))


@pytest.mark.parametrize(
    "likelihood",
    [
        likelihoods.Normal([1.0, 2.0]),
        likelihoods.Laplace([1.0, 2.0]),
        likelihoods.StudentT([1.0, 2.0]),
        likelihoods.NegativeBinomial([1.0, 2.0]),
    ],
    ids=repr,
)
def test_vectors_must_fit_the_outputs(likelihood):
    with pytest.raises(ValueError, match="Received: 2 entries and outputs of shape"):
        likelihood(np.zeros((4, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="Received: 2 entries and outputs of shape"):
        likelihood.distribution(np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("likelihood", "instead"),
    [
        (likelihoods.Normal(), "HeteroscedasticNormal()"),
        (likelihoods.StudentT(4.0), "StudentT(df, scale=None)"),
        (likelihoods.Laplace(), "Laplace(scale=None)"),
        (likelihoods.NegativeBinomial(2.0), "NegativeBinomial(total_count=None)"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shapes", [((4, 1), (4, 2)), ((4,), (4, 2)), ((4, 3, 2), (4, 3, 4))])
def test_behind_a_noise_scale_the_likelihood_with_a_scale_is_named(likelihood, instead, shapes):
    y, outputs = (np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match="as of NoiseScale, are locations and scales: take") as e:
        likelihood(y, outputs)
    assert str(e.value).endswith(f"likelihoods.{instead}.")
    with pytest.raises(ValueError, match=r"Give a target of shape \(4, 3\)"):
        likelihood(np.zeros((4, 2)), np.zeros((4, 3)))


def test_scalar_outputs_are_refused():
    with pytest.raises(ValueError, match="must have a last axis"):
        likelihoods.Normal().log_prob(1.0, ops.convert_to_tensor(1.0))
