import importlib

import keras
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from keras_priors import likelihoods
from keras_priors.predictive import Predictive

# The module: the function of this name hides it.
BLOCKS = importlib.import_module("keras_priors.predictive.by_rows")
RNG = np.random.default_rng(0)
DRAWS = RNG.standard_normal((7, 5, 2))
CLASSES = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])


def categorical(draws=CLASSES):
    return Predictive(draws, likelihoods.Categorical(from_logits=False))


def test_law_of_total_variance_of_a_normal_mixture():
    p = Predictive(DRAWS, likelihoods.Normal(0.3))
    np.testing.assert_allclose(p.mean, DRAWS.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p.epistemic, DRAWS.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(p.aleatoric, 0.09, rtol=1e-6)
    np.testing.assert_array_equal(p.total, p.epistemic + p.aleatoric)
    np.testing.assert_allclose(p.std**2, p.total)


def test_blocks_of_rows_change_nothing(monkeypatch):
    whole = Predictive(DRAWS, likelihoods.Normal(0.3))
    y = RNG.standard_normal((5, 2))
    expected = whole.mean, whole.total, whole.log_prob(y)
    monkeypatch.setattr(BLOCKS, "_ELEMENTS", 30)
    blocks = Predictive(DRAWS, likelihoods.Normal(0.3))
    for a, b in zip(expected, (blocks.mean, blocks.total, blocks.log_prob(y)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert blocks.quantile([0.1, 0.5]).shape == (2, 5, 2)
    assert blocks.sample_observations(9, seed=0).shape == (9, 5, 2)


def test_blocks_of_rows_have_noise_of_their_own(monkeypatch):
    monkeypatch.setattr(BLOCKS, "_ELEMENTS", 1000)  # two rows a block
    drawn = Predictive(np.zeros((1, 6, 1)), likelihoods.Normal(1.0)).sample_observations(500, 0)
    apart = np.corrcoef(drawn[..., 0].T) - np.eye(6)
    assert np.abs(apart).max() < 4.5 / 500**0.5


def test_log_prob_is_that_of_the_mean_density():
    p = Predictive(DRAWS, likelihoods.Normal(0.3))
    y = RNG.standard_normal((5, 2))
    each = stats.norm.logpdf(y, DRAWS, 0.3).sum(axis=-1)
    np.testing.assert_allclose(p.log_prob(y), logsumexp(each, axis=0) - np.log(7), rtol=1e-5)
    with pytest.raises(ValueError, match="one row for each of the 5 rows"):
        p.log_prob(y[:4])


def test_log_prob_far_in_the_tail_and_outside_the_support():
    far = Predictive(np.zeros((3, 1, 1)), likelihoods.Normal(0.1))
    expected = stats.norm.logpdf(50.0, 0.0, 0.1)
    np.testing.assert_allclose(far.log_prob([[50.0]]), expected, rtol=1e-5)
    count = Predictive(np.zeros((3, 1, 1)), likelihoods.Poisson())
    assert count.log_prob([[-1.0]])[0] == -np.inf


def test_log_prob_where_draws_and_rows_are_as_many():
    draws = RNG.standard_normal((4, 4, 1))
    y = RNG.standard_normal(4)
    p = Predictive(draws, likelihoods.Normal(1.0))
    each = stats.norm.logpdf(y, draws[..., 0], 1.0)
    np.testing.assert_allclose(p.log_prob(y), logsumexp(each, axis=0) - np.log(4), rtol=1e-5)
    logits = RNG.standard_normal((3, 3, 3))
    labels = np.array([0, 2, 1])
    each = (logits - logsumexp(logits, axis=-1, keepdims=True))[:, np.arange(3), labels]
    p = Predictive(logits, likelihoods.Categorical())
    np.testing.assert_allclose(p.log_prob(labels), logsumexp(each, axis=0) - np.log(3), rtol=1e-5)


def test_classes_known_values():
    p = categorical()
    log_2 = np.log(2.0)
    np.testing.assert_allclose(p.probabilities, 0.5)
    np.testing.assert_allclose(p.mean, 0.5)
    np.testing.assert_allclose(p.entropy, log_2)
    # The first row is a fair coin at each draw, the second a certain but different class.
    np.testing.assert_allclose(p.expected_entropy, [log_2, 0.0], atol=1e-12)
    np.testing.assert_allclose(p.mutual_information, [0.0, log_2], atol=1e-12)


def test_entropy_is_at_least_mutual_information():
    p = Predictive(3 * RNG.standard_normal((50, 200, 4)), likelihoods.Categorical())
    np.testing.assert_allclose(p.probabilities.sum(axis=-1), 1.0, rtol=1e-6)
    assert np.all(p.mutual_information >= 0)
    assert np.all(p.entropy >= p.mutual_information)
    assert np.all(p.entropy <= np.log(4) + 1e-9)
    one = Predictive(3 * RNG.standard_normal((1, 200, 4)), likelihoods.Categorical())
    np.testing.assert_allclose(one.mutual_information, 0.0, atol=1e-9)


def test_beta_bernoulli():
    # P(y = 1) ~ Beta(2, 3): the predictive probability is 2/5, the epistemic variance 1/25.
    size = 20_000
    draws = np.random.default_rng(1).beta(2, 3, size=(size, 1, 1))
    p = Predictive(draws, likelihoods.Bernoulli(from_logits=False))
    beta = stats.beta(2, 3)
    assert abs(p.probabilities[0, 0] - 0.4) < 4 * beta.std() / np.sqrt(size)
    spread = np.square(beta.rvs(100_000, random_state=2) - 0.4).std()
    assert abs(p.epistemic[0, 0] - 0.04) < 4 * spread / np.sqrt(size)
    np.testing.assert_allclose(p.total, p.probabilities * (1 - p.probabilities), rtol=1e-5)
    np.testing.assert_allclose(p.entropy, stats.bernoulli(p.probabilities).entropy(), rtol=1e-6)
    np.testing.assert_allclose(p.log_prob([1.0]), np.log(p.probabilities[0]), rtol=1e-5)


def test_quantiles_of_a_normal_mixture():
    locations = np.array([-2.0, 0.0, 3.0]).reshape(3, 1, 1)
    p = Predictive(locations, likelihoods.Normal(0.5))
    low, high = p.interval(0.9)
    cdf = stats.norm.cdf(np.concatenate([low, high]), locations, 0.5).mean(axis=0)
    # 5001 observations: the standard error of their share below is sqrt(0.05 * 0.95 / 5001).
    standard_error = np.sqrt(0.05 * 0.95 / 5001)
    assert np.all(np.abs(cdf[:, 0] - [0.05, 0.95]) < 4 * standard_error)
    assert p.quantile(0.5).shape == (1, 1)
    np.testing.assert_array_equal(p.quantile([0.5])[0], p.quantile(0.5))


def test_observations_have_the_mean_and_variance_of_the_predictive():
    p = Predictive(DRAWS, likelihoods.Normal(0.3))
    y = p.sample_observations(7000, seed=0)
    assert y.shape == (7000, 5, 2)
    assert np.all(np.abs(y.mean(axis=0) - p.mean) < 4 * p.std / np.sqrt(7000))
    assert np.all(np.abs(y.var(axis=0) / p.total - 1) < 4 * np.sqrt(3 / 7000))
    np.testing.assert_array_equal(y, p.sample_observations(7000, seed=0))
    assert np.abs(y - p.sample_observations(7000, seed=1)).max() > 0.01


def test_a_short_sample_uses_no_draw_twice():
    p = Predictive(100.0 * np.arange(7).reshape(7, 1, 1), likelihoods.Normal(0.01))
    draws = np.round(p.sample_observations(7, seed=0) / 100).ravel()
    assert sorted(draws) == list(range(7))
    assert len(set(np.round(p.sample_observations(4, seed=0) / 100).ravel())) == 4


def test_observations_of_classes_are_labels():
    labels = categorical().sample_observations(2000, seed=0)
    assert labels.shape == (2000, 2)
    assert set(np.unique(labels)) == {0, 1}
    assert abs(labels[:, 0].mean() - 0.5) < 4 * 0.5 / np.sqrt(2000)
    assert labels[:, 1].mean() == 0.5  # each draw is used equally often


def test_heteroscedastic_outputs():
    draws = RNG.standard_normal((6, 4, 2))
    p = Predictive(draws, likelihoods.HeteroscedasticNormal())
    assert p.mean.shape == p.std.shape == p.interval()[0].shape == (4, 1)
    np.testing.assert_allclose(p.mean[:, 0], draws[..., 0].mean(axis=0), rtol=1e-5, atol=1e-6)


def test_outputs_without_a_last_axis():
    draws = DRAWS[..., 0]
    p = Predictive(draws, likelihoods.Normal(0.3))
    y = RNG.standard_normal(5)
    each = stats.norm.logpdf(y, draws, 0.3)
    np.testing.assert_allclose(p.log_prob(y), logsumexp(each, axis=0) - np.log(7), rtol=1e-5)
    for values in (p.mean, p.std, p.aleatoric, p.quantile(0.5)):
        assert values.shape == (5,)
    assert p.sample_observations(3).shape == (3, 5)


def test_without_a_likelihood():
    p = Predictive(DRAWS)
    np.testing.assert_allclose(p.mean, DRAWS.mean(axis=0))
    np.testing.assert_allclose(p.epistemic, DRAWS.var(axis=0))
    np.testing.assert_allclose(p.quantile([0.2, 0.7]), np.quantile(DRAWS, [0.2, 0.7], axis=0))
    for name in ("std", "aleatoric", "total", "probabilities", "entropy"):
        with pytest.raises(ValueError, match=r"needs the likelihood.*Give one"):
            getattr(p, name)
    with pytest.raises(ValueError, match="`log_prob` needs the likelihood"):
        p.log_prob(DRAWS[0])
    with pytest.raises(ValueError, match="`sample_observations` needs the likelihood"):
        p.sample_observations(3)


def test_what_is_undefined_raises():
    normal = Predictive(DRAWS, likelihoods.Normal())
    for name in ("probabilities", "entropy", "expected_entropy", "mutual_information"):
        with pytest.raises(ValueError, match=f"`{name}` is for classes"):
            getattr(normal, name)
    with pytest.raises(ValueError, match="outcomes with an order"):
        categorical().quantile(0.5)
    for bad in (-0.1, 1.1, np.nan, [[0.5]]):
        with pytest.raises(ValueError, match="`q` must"):
            normal.quantile(bad)
    for bad in (0, 1, 90, True):
        with pytest.raises(ValueError, match="`coverage`"):
            normal.interval(bad)
    with pytest.raises(ValueError, match="`n`"):
        normal.sample_observations(0)


@pytest.mark.parametrize("shape", [(3,), (0, 3, 1), (3, 0, 1)])
def test_draws_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(S, N, ...\)"):
        Predictive(np.zeros(shape))


def test_draws_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="array of numbers"):
        Predictive(np.array([["a"]]))


def test_tensors_are_taken_and_repr_is_short():
    p = Predictive(keras.ops.ones((3, 1, 2)), likelihoods.Normal(0.5))
    assert isinstance(p.draws, np.ndarray)
    assert repr(p) == (
        "<Predictive: 3 draws at 1 row, outputs of shape (2,), likelihood Normal(scale=0.5)>"
    )


def test_an_interval_of_the_mean_function_is_that_of_the_means():
    draws = RNG.standard_normal((2000, 3, 1))
    p = Predictive(draws, likelihoods.Poisson())
    low, high = p.interval(0.8, of="mean")
    expected = np.quantile(np.exp(draws), [0.1, 0.9], axis=0)
    np.testing.assert_allclose((low, high), expected, rtol=1e-5)
    # exp is monotone, and quantiles of a standard normal known; four standard errors.
    z = stats.norm.ppf(0.9)
    error = np.sqrt(0.1 * 0.9 / 2000) / stats.norm.pdf(z)
    np.testing.assert_allclose(np.log(high), z, atol=4 * error)
    noisy = Predictive(draws, likelihoods.Normal(0.5))
    np.testing.assert_allclose(noisy.quantile(0.25, of="mean"), np.quantile(draws, 0.25, axis=0))
    # Of y* it is wider, by the noise: N(0, 1 + 0.25).
    wide = noisy.interval(0.8)[1]
    np.testing.assert_allclose(wide, z * np.sqrt(1.25), atol=5 * error * np.sqrt(1.25))
    bare = Predictive(draws[..., 0])
    np.testing.assert_array_equal(bare.interval(0.5, "mean"), bare.interval(0.5))
    probabilities = categorical().quantile([0.0, 1.0], of="mean")
    np.testing.assert_allclose(probabilities, [CLASSES.min(axis=0), CLASSES.max(axis=0)])
    with pytest.raises(ValueError, match='"y" or "mean"'):
        p.interval(0.5, of="outputs")


def test_a_data_frame_has_a_line_for_each_row():
    pytest.importorskip("pandas")
    p = Predictive(DRAWS[..., :1], likelihoods.Normal(0.3))
    frame = p.to_pandas(0.5)
    ends = ("mean_lower", "mean_upper"), ("lower", "upper")
    names = ["mean", *ends[0], "epistemic", "aleatoric", "std", *ends[1]]
    assert list(frame.columns) == names and len(frame) == 5
    for name in ("mean", "epistemic", "aleatoric", "std"):
        np.testing.assert_array_equal(frame[name], getattr(p, name)[:, 0])
    np.testing.assert_array_equal(frame[list(ends[0])].T, np.stack(p.interval(0.5, "mean"))[..., 0])
    np.testing.assert_array_equal(frame[list(ends[1])].T, np.stack(p.interval(0.5))[..., 0])
    two = Predictive(DRAWS, likelihoods.Normal(0.3))
    np.testing.assert_array_equal(two.to_pandas()["mean[1]"], two.mean[:, 1])
    classes = categorical().to_pandas()
    np.testing.assert_array_equal(classes["mutual_information"], categorical().mutual_information)
    np.testing.assert_array_equal(classes["mean[0]"], categorical().probabilities[:, 0])
    assert "lower" not in classes
    bare = Predictive(DRAWS[..., 0]).to_pandas()
    assert list(bare.columns) == ["mean", "mean_lower", "mean_upper", "epistemic"]
