"""Laplace of other likelihoods, of time axes and masks, and of what differs from path to path."""

import keras
import numpy as np
import pytest
from scipy import special, stats

import keras_priors as kp
from keras_priors.inference import Laplace, LogPosterior
from keras_priors.inference.laplace import predictions as _laplace_predictive
from tests.inference.laplace.test_laplace import covariance_of, flat

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 2)).astype("float32")
AUGMENTED = np.c_[X, np.ones(20)].astype("float64")
W = np.array([[0.4, -0.3, 0.2], [0.1, 0.5, -0.2]])
COUNTS = RNG.poisson(1.5, size=(20, 1)).astype("float32")
REALS = RNG.normal(size=(20, 1)).astype("float32")
UNITS = RNG.uniform(0.05, 0.95, size=(20, 1)).astype("float32")
PRIOR = kp.NormalPrior(0.0, 1.0)


def line(outputs=1):
    """A linear model at fixed weights, and its outputs (20, K)."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(outputs, name="line")])
    kp.set_priors(model, PRIOR)
    model.layers[0].set_weights([W[:outputs, :2].T, W[:outputs, 2]])
    return model, AUGMENTED @ W[:outputs].T


def fit_here(model, x, y, likelihood, *args, **kwargs):
    """At the weights that the model has, mode or not."""
    return Laplace(*args, max_iterations=0, tolerance=1e6, **kwargs).fit(model, x, y, likelihood)


def poisson(y, f):
    return np.exp(f)


def negative_binomial(y, f):
    m, r = np.exp(f), 3.0
    return m * (y + r) * r / (m + r) ** 2


def student_t(y, f):
    return np.full_like(f, (4.0 + 1.0) / (4.0 + 3.0) / 0.8**2)


def laplace(y, f):
    return np.full_like(f, 1.0 / 0.7**2)


CURVATURES = [
    (kp.likelihoods.Poisson(), COUNTS, poisson),
    (kp.likelihoods.NegativeBinomial(3.0), COUNTS, negative_binomial),
    (kp.likelihoods.StudentT(4.0, 0.8), REALS, student_t),
    (kp.likelihoods.Laplace(0.7), REALS, laplace),
]
"""(likelihood, targets, -d2 log p / df2 or its mean over y)."""


@pytest.mark.parametrize("likelihood, y, curvature", CURVATURES, ids=lambda v: type(v).__name__)
def test_curvature_of_each_likelihood(likelihood, y, curvature):
    model, f = line()
    h = curvature(y.astype("float64"), f)
    expected = np.linalg.inv((AUGMENTED * h).T @ AUGMENTED + np.eye(3))
    found = covariance_of(fit_here(model, X, y, likelihood, "full"))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)
    last = fit_here(model, X, y, likelihood, "full", layers="last")
    np.testing.assert_allclose(covariance_of(last), found, rtol=1e-4, atol=1e-6)


# The information of a location, and of a scale, of each with the scale 1.
OF_BOTH = [
    (kp.likelihoods.HeteroscedasticNormal(), 1.0, 2.0),
    (kp.likelihoods.StudentT(5.0, scale=None), 6.0 / 8.0, 10.0 / 8.0),
    (kp.likelihoods.Laplace(scale=None), 1.0, 1.0),
]


@pytest.mark.parametrize(("likelihood", "of_location", "of_scale"), OF_BOTH, ids=repr)
def test_location_and_scale_have_the_fisher_information(likelihood, of_location, of_scale):
    model, f = line(2)
    raw = f[:, 1]
    scale, slope = np.logaddexp(0.0, raw), special.expit(raw)
    h = np.stack([of_location / scale**2, of_scale * (slope / scale) ** 2])
    posterior = fit_here(model, X, REALS, likelihood, "full")
    blocks = [np.linalg.inv((AUGMENTED.T * h[k]) @ AUGMENTED + np.eye(3)) for k in range(2)]
    # The kernel (2, 2) comes before the bias (2,): units are the fastest.
    for k in range(2):
        place = [k, 2 + k, 4 + k]
        found = covariance_of(posterior)[np.ix_(place, place)]
        np.testing.assert_allclose(found, blocks[k], rtol=3e-3, atol=1e-5)


def test_beta_has_the_curvature_of_its_two_outputs():
    model, f = line(2)
    y = UNITS.astype("float64")

    def density(f):
        total = np.logaddexp(0.0, f[:, 1:])
        mean = special.expit(f[:, :1])
        return stats.beta(total * mean, total * (1.0 - mean)).logpdf(y)[:, 0]

    step = 1e-4 * np.eye(2)
    h = np.empty((20, 2, 2))
    for i in range(2):
        for j in range(2):
            up = density(f + step[i] + step[j]) - density(f + step[i] - step[j])
            down = density(f - step[i] + step[j]) - density(f - step[i] - step[j])
            h[:, i, j] = -(up - down) / 4e-8
    expected = np.einsum("na,nij,nb->aibj", AUGMENTED, h, AUGMENTED).reshape(6, 6) + np.eye(6)
    found = np.linalg.inv(covariance_of(fit_here(model, X, UNITS, kp.likelihoods.Beta(), "full")))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-2)


def test_empirical_fisher_of_every_structure():
    # Residuals of one size: then slopes and inputs are independent, and Kronecker is exact.
    model, f = line()
    y = f + np.where(np.arange(20)[:, None] % 2, 0.5, -0.5)
    likelihood = kp.likelihoods.Normal(0.5)
    full = covariance_of(fit_here(model, X, y, likelihood, "full", "fisher"))
    expected = np.linalg.inv((0.5 / 0.25) ** 2 * AUGMENTED.T @ AUGMENTED + np.eye(3))
    np.testing.assert_allclose(full, expected, rtol=1e-3)
    for layers in ("all", "last"):
        each = {
            structure: fit_here(model, X, y, likelihood, structure, "fisher", layers=layers)
            for structure in ("kronecker", "diagonal", "low_rank", "full")
        }
        for structure in ("kronecker", "low_rank", "full"):
            np.testing.assert_allclose(covariance_of(each[structure]), full, rtol=2e-3, atol=1e-5)
        np.testing.assert_allclose(
            flat(each["diagonal"].stddev()) ** -2, np.diag(np.linalg.inv(full)), rtol=2e-3
        )


def test_the_hessian_of_a_net_is_the_slope_of_the_gradient():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)]
    )
    generator = np.random.default_rng(0)
    model.set_weights([0.5 * generator.normal(size=v.shape) for v in model.weights])
    kp.set_priors(model, kp.NormalPrior(0.0, 0.1))
    likelihood = kp.likelihoods.Normal(1.0)
    posterior = fit_here(model, X, REALS, likelihood, "full", "hessian")
    log_posterior = LogPosterior(model, X, REALS, likelihood)
    z = np.asarray(posterior._mode, "float32")
    step = 0.01
    slopes = []
    for move in step * np.eye(len(z), dtype="float32"):
        up, down = (
            keras.ops.convert_to_numpy(
                log_posterior.log_prob_and_gradient(
                    keras.ops.convert_to_tensor(at), log_posterior.data
                )[1]
            )
            for at in (z + move, z - move)
        )
        slopes.append((up - down) / (2 * step))
    found = np.linalg.inv(covariance_of(posterior))
    np.testing.assert_allclose(found, -np.array(slopes), rtol=2e-3, atol=1e-2)
    diagonal = fit_here(model, X, REALS, likelihood, "diagonal", "hessian")
    np.testing.assert_allclose(flat(diagonal.stddev()) ** -2, np.diag(found), rtol=1e-3)


@keras.saving.register_keras_serializable("tests")
class OnlySeen(keras.layers.Layer):
    """Zero where the mask is: what is not seen must not matter."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x, mask=None):
        return x if mask is None else x * keras.ops.cast(mask[..., None], x.dtype)


def steps_of(layer):
    """Classes of the steps of sequences, of which two are shorter than the others."""
    keras.utils.set_random_seed(0)
    tokens = np.array([[1, 2, 3], [3, 1, 0], [2, 2, 1], [1, 0, 0]])
    y = np.array([[0, 1, 2], [2, 1, 0], [1, 1, 0], [0, 2, 2]])
    inputs = keras.Input((3,), dtype="int32")
    h = keras.layers.Embedding(4, 2, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(layer(h)))
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    return model, tokens, y


def fisher_by_differences(model, x, weight):
    """sum over steps of J^T (diag(p) - p p^T) J, from the logits at moved weights."""
    start = [v.numpy() for v in model.trainable_variables]
    sizes = np.cumsum([0, *(v.size for v in start)])

    def logits(flat_weights):
        for k, v in enumerate(model.trainable_variables):
            v.assign(flat_weights[sizes[k] : sizes[k + 1]].reshape(start[k].shape))
        return keras.ops.convert_to_numpy(model(x, training=False)).astype("float64")

    w = np.concatenate([v.reshape(-1) for v in start]).astype("float64")
    step = 0.02
    moves = step * np.eye(len(w))
    jacobian = np.stack([(logits(w + m) - logits(w - m)) / (2 * step) for m in moves])
    p = special.softmax(logits(w), axis=-1)
    h = (p[..., :, None] * np.eye(3) - p[..., :, None] * p[..., None, :]) * weight[..., None, None]
    return np.einsum("dnti,ntij,entj->de", jacobian, h, jacobian)


@pytest.mark.parametrize("recurrent", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_each_unmasked_step_is_an_observation(recurrent):
    layer = keras.layers.SimpleRNN(2, return_sequences=True) if recurrent else OnlySeen()
    model, tokens, y = steps_of(layer)
    posterior = fit_here(model, tokens, y, kp.likelihoods.Categorical(), "full")
    expected = np.linalg.inv(
        fisher_by_differences(model, tokens, (tokens > 0) * 1.0) + np.eye(posterior._rows.size)
    )
    np.testing.assert_allclose(covariance_of(posterior), expected, rtol=0, atol=3e-3)
    p = posterior.predict(tokens, 50, seed=0).probabilities
    assert p.shape == (4, 3, 3)
    np.testing.assert_allclose(p.sum(-1), 1.0, atol=1e-5)


def test_kronecker_factors_over_time():
    # Every place of a convolution sees the same, so that A and G are independent.
    x = np.repeat(RNG.normal(size=(20, 1, 2)), 5, axis=1).astype("float32")
    y = RNG.normal(size=(20, 1)).astype("float32")
    model = keras.Sequential(
        [keras.Input((5, 2)), keras.layers.Conv1D(1, 5), keras.layers.Flatten()]
    )
    kp.set_priors(model, PRIOR)
    posterior = fit_here(model, x, y, kp.likelihoods.Normal(0.5))
    full = fit_here(model, x, y, kp.likelihoods.Normal(0.5), "full")
    np.testing.assert_allclose(covariance_of(posterior), covariance_of(full), rtol=2e-3, atol=1e-5)


def test_draws_through_the_jacobian_of_large_nets(monkeypatch):
    model, f = line(2)
    posterior = fit_here(model, X, np.c_[REALS, REALS], kp.likelihoods.Normal(0.5), "full")
    exact = posterior.predict(X, 50, seed=0).epistemic
    # Another number of rows is another program.
    np.testing.assert_allclose(posterior.predict(X[:3], 50, seed=0).epistemic, exact[:3], rtol=1e-4)
    monkeypatch.setattr(_laplace_predictive, "_BYTES", 0)
    drawn = posterior.predict(X, 500, batch_size=7, seed=0)
    np.testing.assert_allclose(drawn.mean, f, atol=4 * np.sqrt(exact.max() / 500))
    np.testing.assert_allclose(drawn.epistemic, exact, rtol=4 * np.sqrt(2 / 500))


def test_an_interrupted_pass_tells_how_much_it_saw(monkeypatch):
    model, _ = line()
    monkeypatch.setattr("keras_priors.inference.laplace.laplace_rows._MAX_ROWS", 5)
    compiled = kp.backend.compile_function

    def stops_in_the_third_call(function):
        inner, calls = compiled(function), []

        def call(*args):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return inner(*args)

        return call

    monkeypatch.setattr(
        "keras_priors.inference.laplace.sum_over_blocks.backend.compile_function",
        stops_in_the_third_call,
    )
    with pytest.warns(UserWarning, match=r"block 3 of 4.*times 2\b"):
        posterior = fit_here(model, X, REALS, kp.likelihoods.Normal(0.5), "full")
    seen = AUGMENTED[:10]
    expected = np.linalg.inv(2.0 * seen.T @ seen / 0.25 + np.eye(3))
    np.testing.assert_allclose(covariance_of(posterior), expected, rtol=1e-3)
    with pytest.raises(KeyboardInterrupt):
        fit_here(model, X, REALS, kp.likelihoods.Normal(0.5), "low_rank")


@pytest.mark.parametrize("layers", ["all", "last"])
def test_residuals_of_many_rows_and_little_noise_are_not_rounded_away(layers):
    """The scale, 1, is far from the noise: log densities are one constant but for 1e-5."""
    count, noise = 200_000, 0.003
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2)).astype("float32")
    y = (x @ [[0.5], [-0.25]] + noise * rng.normal(size=(count, 1))).astype("float32")
    weight = rng.integers(0, 3, size=count).astype("float32")
    prior = kp.NormalPrior(0.0, 1.0)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior)]
    )
    a, b = x.astype("float64"), y.astype("float64")
    precision = a.T @ (weight[:, None] * a) + np.eye(2)
    mode = np.linalg.solve(precision, a.T @ (weight[:, None] * b))
    model.set_weights([mode])
    method = kp.inference.Laplace("full", layers=layers, max_iterations=0, tolerance=1e3)
    posterior = method.fit(
        model, x, y[:, 0], kp.likelihoods.Normal(1.0), sample_weight=weight, verbose=0
    )
    squares = np.sum(weight[:, None] * (b - a @ mode) ** 2)
    found = posterior._found.residuals
    assert found == pytest.approx((weight.sum(dtype="float64"), squares), rel=1e-5)
    # The maximum: squares / s^2 = count - (number of weights that the data know, both).
    scale = np.sqrt(squares / (weight.sum(dtype="float64") - 2))
    assert posterior.tune(None, noise=True).noise == pytest.approx(scale, rel=1e-4)
