"""A likelihood written as a user writes one, outside of the package and with public names alone."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import integrate, special, stats

import keras_priors as kp

CUTPOINTS = (-1.0, 0.5, 2.0)
X = np.linspace(-2.0, 2.0, 60)[:, None].astype("float32")


@keras.saving.register_keras_serializable("keras_priors_tests")
class Ordinal(kp.likelihoods.Likelihood):
    """The cumulative logit: P(y <= k | f) = sigmoid(c_k - f), for grades 0 to len(c)."""

    is_discrete = True

    def __init__(self, cutpoints, **kwargs):
        super().__init__(**kwargs)
        self.cutpoints = [float(c) for c in cutpoints]

    def get_config(self):
        return {**super().get_config(), "cutpoints": self.cutpoints}

    def probabilities(self, outputs):
        f = ops.convert_to_tensor(outputs)[..., None]
        below = ops.sigmoid(ops.convert_to_tensor(self.cutpoints, dtype=f.dtype) - f)
        ends = ops.zeros_like(f), ops.ones_like(f)
        steps = ops.concatenate([ends[0], below, ends[1]], axis=-1)
        return steps[..., 1:] - steps[..., :-1]  # (n, 1, K)

    def joint_log_density(self, y, outputs):
        classes = len(self.cutpoints) + 1
        known = ops.logical_and(ops.logical_and(y >= 0, y < classes), y == ops.floor(y))
        # Not `ops.one_hot`, which PyTorch cannot vectorize.
        picked = ops.where(known, y, 0.0)[..., None] == ops.arange(classes, dtype=y.dtype)
        p = ops.sum(ops.where(picked, self.probabilities(outputs), 0.0), axis=-1)
        density = ops.log(p)
        return ops.sum(ops.where(known, density, -np.inf), axis=-1)

    def distribution(self, outputs):
        each = self.native("Categorical", probs=self.probabilities(outputs))
        return self.native("Independent", distribution=each, ndims=1)

    def mean(self, outputs):
        return ops.sum(self.probabilities(outputs) * self._grades(), axis=-1)

    def variance(self, outputs):
        square = ops.sum(self.probabilities(outputs) * self._grades() ** 2, axis=-1)
        return square - self.mean(outputs) ** 2

    def _grades(self):
        return ops.arange(len(self.cutpoints) + 1, dtype="float32")


def by_hand(f):
    """The probabilities of the grades, (..., 4)."""
    below = special.expit(np.array(CUTPOINTS) - np.asarray(f, "float64")[..., None])
    ends = np.zeros((*below.shape[:-1], 1)), np.ones((*below.shape[:-1], 1))
    return np.diff(np.concatenate([ends[0], below, ends[1]], axis=-1))


def grades(seed=0):
    p = by_hand(1.5 * X[:, 0])
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(4, p=row) for row in p])


def model():
    prior = kp.NormalPrior(0.0, 1.0)
    line = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="line")
    return keras.Sequential([keras.Input((1,)), line])


def log_posterior(w):
    each = by_hand(w * X[:, 0].astype("float64"))[np.arange(60), grades()]
    return np.log(each).sum() + stats.norm.logpdf(w)


@pytest.fixture(scope="module")
def exact():
    """(mean, sd, log evidence) of the slope by quadrature."""
    height = log_posterior(1.5)

    def moment(k):
        return integrate.quad(lambda w: w**k * np.exp(log_posterior(w) - height), -1, 5)[0]

    z, first, second = (moment(k) for k in range(3))
    return first / z, np.sqrt(second / z - (first / z) ** 2), np.log(z) + height


def test_the_loss_and_the_moments():
    likelihood, f = Ordinal(CUTPOINTS), np.array([[-1.0], [0.3], [2.0]], "float32")
    p = by_hand(f[:, 0])
    expected = -np.log(p[[0, 1, 2], [2, 0, 3]])
    for y in (np.array([2, 0, 3]), np.array([[2], [0], [3]])):
        assert float(likelihood(y, f)) == pytest.approx(expected.mean(), rel=1e-5)
        found = ops.convert_to_numpy(likelihood.log_prob(y, np.stack([f, f])))
        np.testing.assert_allclose(found, [-expected] * 2, rtol=1e-5)
    assert float(likelihood(np.array([2, 0, 4]), f)) == np.inf
    mean = ops.convert_to_numpy(likelihood.mean(f))
    np.testing.assert_allclose(mean[:, 0], p @ np.arange(4), rtol=1e-5)
    spread = p @ np.arange(4) ** 2 - (p @ np.arange(4)) ** 2
    np.testing.assert_allclose(
        ops.convert_to_numpy(likelihood.variance(f))[:, 0], spread, rtol=1e-4
    )
    drawn = ops.convert_to_numpy(likelihood.sample(np.repeat(f[:1], 4000, axis=0), seed=0))
    assert stats.chisquare(np.bincount(drawn[:, 0], minlength=4), 4000 * p[0]).pvalue > 1e-3


def test_keras_fits_and_predict_speaks_of_grades():
    net = model()
    kp.set_num_data(net, 60)
    net.compile(keras.optimizers.Adam(0.1), loss=Ordinal(CUTPOINTS))
    net.fit(X, grades(), batch_size=60, epochs=80, verbose=0)
    slope = float(net.get_weights()[0][0, 0])
    h = 1e-4
    gradient = (log_posterior(slope + h) - log_posterior(slope - h)) / (2 * h)
    assert abs(gradient) < 0.5  # of a curvature of about 20: within 0.03 of the mode
    predictive = kp.predict(net, X[:3], verbose=0)
    expected = by_hand(slope * X[:3, 0]) @ np.arange(4)
    np.testing.assert_allclose(predictive.mean[:, 0], expected, rtol=1e-4)
    low, high = predictive.interval(0.9)
    assert np.all(low >= 0) and np.all(high <= 3)


def test_map_and_laplace_are_those_of_quadrature(exact, tmp_path):
    mean, sd, evidence = exact
    y = grades()
    point = kp.inference.MAP().fit(model(), X, y, Ordinal(CUTPOINTS), verbose=0)
    slope = float(point.mean()["line/kernel"][0, 0])
    h = 1e-3
    heights = [log_posterior(slope + d) for d in (-h, 0.0, h)]
    curvature = -(heights[0] - 2 * heights[1] + heights[2]) / h**2
    assert abs(heights[2] - heights[0]) / (2 * h) / np.sqrt(curvature) < 0.02
    assert point.log_posterior == pytest.approx(heights[1], rel=1e-5)
    laplace = kp.inference.Laplace("full").fit(model(), X, y, Ordinal(CUTPOINTS), verbose=0)
    assert laplace.mean()["line/kernel"][0, 0] == pytest.approx(mean, abs=0.3 * sd)
    assert laplace.stddev()["line/kernel"][0, 0] == pytest.approx(sd, rel=0.15)
    assert laplace.log_marginal_likelihood() == pytest.approx(evidence, abs=0.2)
    rows = kp.compare({"map": point, "laplace": laplace}, X, y)
    each = by_hand(slope * X[:, 0].astype("float64"))[np.arange(60), y]
    assert rows["map"]["nll"] == pytest.approx(-np.log(each).mean(), rel=1e-4)
    laplace.save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior")
    assert loaded.likelihood.cutpoints == list(CUTPOINTS)
    np.testing.assert_array_equal(
        loaded.predict(X[:3], seed=0, verbose=0).mean,
        laplace.predict(X[:3], seed=0, verbose=0).mean,
    )


@pytest.mark.closed_form
@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="NUTS is not there")
@pytest.mark.filterwarnings("ignore:R-hat", "ignore:The effective")
def test_nuts_draws_from_the_posterior(exact):
    mean, sd, _ = exact
    nuts = kp.inference.NUTS(num_chains=2, num_warmup=200, num_samples=400)
    posterior = nuts.fit(model(), X, grades(), Ordinal(CUTPOINTS), seed=0, verbose=0)
    slopes = posterior.draws()["line/kernel"][:, 0, 0]
    assert abs(slopes.mean() - mean) < 4 * sd / np.sqrt(100)
    assert slopes.std() == pytest.approx(sd, rel=0.2)
