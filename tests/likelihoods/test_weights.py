"""Sample weights, masks and reductions."""

import keras
import numpy as np
import pytest

from keras_priors import likelihoods
from tests.likelihoods._cases import BY_NAME, CASES, N, f32, numpy

every_case = pytest.mark.parametrize("case", CASES, ids=repr)
WEIGHTS = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0])


@every_case
def test_weights_scale_observations(case):
    losses = -case.logpdf(case.y, case.outputs)
    for weights in (WEIGHTS, WEIGHTS[:, None]):
        got = case.likelihood(f32(case.y), f32(case.outputs), sample_weight=weights)
        np.testing.assert_allclose(numpy(got), (WEIGHTS * losses).sum() / N, rtol=1e-5)


def test_the_weights_of_the_user_are_left_alone():
    weights = keras.ops.convert_to_tensor(f32(WEIGHTS))
    case = BY_NAME["normal"]
    case.likelihood(f32(case.y), f32(case.outputs), sample_weight=weights)
    np.testing.assert_array_equal(numpy(weights), f32(WEIGHTS))


@every_case
def test_an_observation_of_weight_zero_may_hold_anything(case):
    y = f32(case.y).copy()
    y[WEIGHTS == 0.0] = case.outside[0]
    got = numpy(case.likelihood(y, f32(case.outputs), sample_weight=WEIGHTS))
    expected = (WEIGHTS * -case.logpdf(case.y, case.outputs)).sum() / N
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert numpy(case.likelihood(y, f32(case.outputs))) == np.inf


def test_weights_agree_with_those_of_keras():
    case = BY_NAME["categorical"]
    y, outputs = case.y, f32(case.outputs)
    stock = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        numpy(case.likelihood(y, outputs, sample_weight=WEIGHTS)),
        numpy(stock(y, outputs, sample_weight=WEIGHTS)),
        rtol=1e-6,
    )


def test_a_weight_of_a_row_goes_to_all_its_steps():
    rng = np.random.default_rng(0)
    # As many steps as rows: broadcasting on the wrong axis would not be an error.
    y, outputs = f32(rng.normal(size=(3, 3, 2))), f32(rng.normal(size=(3, 3, 2)))
    losses = numpy(likelihoods.Normal().call(y, outputs))
    weights = np.array([0.0, 1.0, 2.0])
    for each in (weights, weights[:, None], weights[:, None, None]):
        got = numpy(likelihoods.Normal()(y, outputs, sample_weight=each))
        np.testing.assert_allclose(got, (weights[:, None] * losses).mean(), rtol=1e-5)
    steps = rng.uniform(size=(3, 3))
    got = numpy(likelihoods.Normal()(y, outputs, sample_weight=steps))
    np.testing.assert_allclose(got, (steps * losses).mean(), rtol=1e-5)


def test_a_weight_for_each_output_is_refused():
    with pytest.raises(ValueError, match="belongs to an observation"):
        likelihoods.Normal()(np.zeros((4, 3)), np.zeros((4, 3)), sample_weight=np.ones((4, 3)))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean"])
def test_reductions(reduction):
    case = BY_NAME["normal"]
    losses = -case.logpdf(case.y, case.outputs)
    got = numpy(likelihoods.Normal(reduction=reduction)(f32(case.y), f32(case.outputs)))
    np.testing.assert_allclose(got, losses.mean(), rtol=1e-5)


def test_mean_with_sample_weight():
    case = BY_NAME["normal"]
    likelihood = likelihoods.Normal(reduction="mean_with_sample_weight")
    got = numpy(likelihood(f32(case.y), f32(case.outputs), sample_weight=WEIGHTS))
    losses = -case.logpdf(case.y, case.outputs)
    np.testing.assert_allclose(got, (WEIGHTS * losses).sum() / WEIGHTS.sum(), rtol=1e-5)


@every_case
def test_sum_is_refused(case):
    config = {**case.likelihood.get_config(), "reduction": "sum"}
    with pytest.raises(ValueError, match="would depend on the batch size"):
        type(case.likelihood)(**config)


@pytest.mark.parametrize("reduction", [None, "none"])
def test_no_reduction_is_refused(reduction):
    """Keras' own losses take it: in `fit` JAX and PyTorch then fail, and TensorFlow sums."""
    with pytest.raises(ValueError, match=r"reduced to one number[\s\S]*-likelihood\.log_prob"):
        likelihoods.Normal(reduction=reduction)
    for stock in (keras.losses.Poisson, keras.losses.SparseCategoricalCrossentropy):
        with pytest.raises(ValueError, match="reduced to one number"):
            likelihoods.get(stock(reduction=reduction))


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction"):
        likelihoods.Normal(reduction="median")


@pytest.mark.parametrize("padding", [0, -1])
def test_masked_steps_count_nothing(padding):
    x = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 3, 2, 1]])
    y = np.where(x > 0, x % 3, padding)
    inputs = keras.Input((4,), dtype="int32")
    h = keras.layers.Embedding(4, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, h)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=likelihoods.Categorical())
    history = model.fit(x, y, batch_size=3, epochs=1, verbose=0)

    logits = model.get_weights()[0][x].astype("float64")
    log_softmax = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    steps = -np.take_along_axis(log_softmax, np.maximum(y, 0)[..., None], -1)[..., 0]
    expected = steps[x > 0].mean()
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-5)

    weights = np.array([1.0, 0.0, 3.0])
    weighted = (weights[:, None] * steps)[x > 0].sum() / (x > 0).sum()
    got = model.evaluate(x, y, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(got, weighted, rtol=1e-5)


def test_masked_rows_of_several_outputs():
    x = np.array([[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]])
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Masking()])
    model.compile(loss=likelihoods.Beta())
    y = np.where(np.any(x != 0, -1), 0.3, 0.0)  # padding has no density
    counted = np.any(x != 0, -1)
    losses = numpy(likelihoods.Beta().call(np.full_like(y, 0.3), f32(x)))
    got = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(got, losses[counted].mean(), rtol=1e-5)
