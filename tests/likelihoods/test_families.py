"""The families of `_families.py`: densities, gradients, moments, curvatures, files and fits."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from scipy import optimize, special, stats

import keras_priors as kp
from keras_priors import backend, likelihoods
from keras_priors.inference.laplace.natural_outputs import NaturalOutputs
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from tests.likelihoods._cases import f32, numpy
from tests.likelihoods._families import BY_NAME, FAMILIES, LIKE_OTHERS, N

every_family = pytest.mark.parametrize("family", FAMILIES, ids=repr)
slow_of_others = [
    pytest.param(family, marks=pytest.mark.slow if family.name in LIKE_OTHERS else ())
    for family in FAMILIES
]
most_families = pytest.mark.parametrize("family", slow_of_others, ids=repr)
DRAWS = 4000


@every_family
def test_densities_are_those_of_scipy_in_every_shape(family):
    y, f, of = family.y, f32(family.outputs), family.likelihood
    rolled = np.stack([np.roll(f, k, axis=0) for k in range(N)])
    expected = np.stack([family.logpdf(y, each.astype("float64")) for each in rolled])
    assert expected.shape == (N, N)
    # Targets with an axis of draws, as `Predictive` gives them, and without.
    for target in (y[None], y):
        found = numpy(of.log_prob(target, rolled))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-6)
    steps, at_steps = f32(np.stack([y] * N, axis=1)), np.swapaxes(rolled, 0, 1)
    np.testing.assert_allclose(numpy(of.call(steps, at_steps)), -expected.T, rtol=1e-5, atol=5e-6)
    loss = float(of(steps, at_steps))
    np.testing.assert_allclose(loss, -expected.mean(), rtol=1e-5)
    twin = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.losses.serialize(of))), safe_mode=True
    )
    assert (type(twin), repr(twin), twin.get_config()) == (type(of), repr(of), of.get_config())
    assert float(twin(steps, at_steps)) == loss
    if keras.backend.backend() != "jax":  # which has no float64 unless it is told
        found = of.log_prob(y, ops.convert_to_tensor(family.outputs, dtype="float64"))
        assert keras.backend.standardize_dtype(found.dtype) == "float64"
        expected = family.logpdf(y, family.outputs)
        np.testing.assert_allclose(numpy(found), expected, rtol=1e-9, atol=1e-9)


def losses_and_gradients(of, y, f):
    """The loss of each observation, and the gradient of their sum, from one program."""

    def both(f):
        losses = of.call(f32(y), f)
        return losses, backend.value_and_gradient(lambda f: ops.sum(of.call(f32(y), f)))(f)[1]

    return tuple(map(numpy, backend.compile_function(both)(ops.convert_to_tensor(f32(f)))))


@every_family
def test_gradients_are_those_of_differences_and_never_nan(family):
    step, f = 1e-6, family.outputs
    expected = np.empty_like(f)
    for k in range(f.shape[1]):
        move = step * np.eye(f.shape[1])[k]
        change = family.logpdf(family.y, f + move) - family.logpdf(family.y, f - move)
        expected[:, k] = -change / (2 * step)
    outside = np.repeat(family.y[:1], len(family.outside), axis=0)
    for row, target in enumerate(family.outside):
        outside[row] = target
    low, high = family.extremes
    far = np.full((4, N, f.shape[1]), low)
    far[1], far[2, :, ::2], far[3, :, 1::2] = high, high, high
    y = np.concatenate([family.y, outside, *[family.y] * 4])
    rows = np.concatenate([f, np.repeat(f[:1], len(outside), axis=0), *far])
    losses, found = losses_and_gradients(family.likelihood, y, rows)
    np.testing.assert_allclose(found[:N], expected, rtol=2e-4, atol=5e-5)
    assert np.all(losses[N : N + len(outside)] == np.inf), losses
    assert np.all(np.isfinite(found[: N + len(outside)]))
    assert not np.any(np.isnan(losses)), rows[np.isnan(losses)]
    assert not np.any(np.isnan(found)), rows[np.isnan(found).any(-1)]


@most_families
def test_moments_are_those_of_scipy_and_of_the_draws(family):
    of, f = family.likelihood, f32(family.outputs)
    mean, variance = family.moments(f.astype("float64"))
    np.testing.assert_allclose(numpy(of.mean(f)), mean, rtol=3e-5)
    np.testing.assert_allclose(numpy(of.variance(f)), variance, rtol=3e-4)
    wide = np.repeat(f[None], DRAWS, axis=0)
    y = numpy(of.sample(wide, seed=1))
    assert y.shape == (DRAWS, *mean.shape)
    assert y.dtype == ("int32" if of.is_discrete else "float32")
    if isinstance(of, likelihoods.VonMises):  # whose moments are those of a circle
        y, mean = np.cos(y - mean), 1.0 - variance
        assert np.max(np.abs(y.mean(0) - mean) / y.std(0)) * np.sqrt(DRAWS) < 4.5
        return
    assert np.max(np.abs(y.mean(0) - mean) / np.sqrt(variance / DRAWS)) < 4.5
    squares = np.square(y - mean)
    error = squares.std(0) / np.sqrt(DRAWS)
    assert np.max(np.abs(squares.mean(0) - variance) / error) < 5.0


def scores(family, y, o, step=1e-5):
    """d log p / d outputs (K,) of one observation each, for targets (M, ...) and outputs (K,)."""
    rows = np.repeat(o[None], len(y), axis=0)
    moves = step * np.eye(len(o))
    both = [(family.logpdf(y, rows + m), family.logpdf(y, rows - m)) for m in moves]
    return np.stack([(up - down) / (2 * step) for up, down in both], axis=-1)


def fisher(family, o):
    """E[s s^T] over targets of one element, by quantiles or over the support."""
    if family.information is not None:
        return family.information(o)
    law = family.law(o)
    if family.likelihood.is_discrete:
        y = np.arange(200.0)
        weight = law.pmf(y)
        y, weight = y[weight > 1e-12], weight[weight > 1e-12]
    else:
        x, weight = np.polynomial.legendre.leggauss(400)
        y, weight = law.ppf(0.5 * (1.0 + x)), 0.5 * weight
    s = scores(family, y[:, None], o)
    return np.einsum("n,ni,nj->ij", weight, s, s)


def observed(family, y, o, step=1e-4):
    moves, at = step * np.eye(len(o)), lambda m: family.logpdf(y[None], o[None] + m)[0]
    cross = [[at(a + b) - at(a - b) - at(b - a) + at(-a - b) for a in moves] for b in moves]
    return -np.array(cross) / (4 * step**2)


@most_families
def test_the_curvature_is_the_information_or_the_observed_one(family):
    of, k = family.likelihood, family.outputs.shape[-1]
    per_target = of._outputs_per_target
    # Of several independent elements one, whose law is known.
    if family.law is not None and isinstance(of, ElementwiseLikelihood) and k > per_target:
        outputs, y = family.outputs[:, :: k // per_target], family.y[:, :1]
        config = {**of.get_config()}
        for name, value in config.items():
            if isinstance(value, list):
                config[name] = value[:1]
        of = type(of).from_config(config)
    else:
        outputs, y = family.outputs, family.y
    expected = [
        fisher(family, o) if family.law or family.information else observed(family, row, o)
        for row, o in zip(y, outputs, strict=True)
    ]
    f, target, ones = (ops.convert_to_tensor(f32(each)) for each in (outputs, y, np.ones(N)))

    def curvature(f, y, counted, shape):
        natural = NaturalOutputs(of)
        return numpy(
            backend.compile_function(lambda *row: natural.curvature(*row, shape))(f, y, counted)
        )

    width = outputs.shape[1]
    found = curvature(f, target, ones, (width,))
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=2e-3)
    if family.name not in ("binomial-of-trials", "weibull-of-both", "ordinal"):
        return
    # Two steps of a row are blocks of one matrix, and weights are in them.
    rows, steps = ops.reshape(f, (N // 2, -1)), ops.reshape(target, (N // 2, 2, -1))
    weights = ops.convert_to_tensor(f32([[1.0, 2.0]] * (N // 2)))
    both = curvature(rows, steps, weights, (2, width))
    np.testing.assert_allclose(both[:, :width, :width], found[::2], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(both[:, width:, width:], 2.0 * found[1::2], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(both[:, :width, width:], 0.0, atol=1e-5)


FITTED = ["binomial-of-trials", "ordinal-probit", "censored-weibull", "inflated-poisson"]
FITTED_SLOWLY = [
    *("bernoulli-probit", "gamma-of-both", "log-normal-of-both", "weibull-of-both"),
    *("asymmetric-laplace", "von-mises-of-both", "dirichlet"),
]


def best_constant(family):
    """The outputs (k,), the same for all rows, of the largest likelihood, and the loss there."""

    def loss(o):
        return -family.logpdf(family.y, np.repeat(o[None], N, axis=0)).mean()

    if family.name == "asymmetric-laplace":  # order statistics
        levels = zip(family.y.T, family.likelihood.quantile, strict=True)
        best = np.array([np.quantile(y, q, method="inverted_cdf") for y, q in levels])
        return best, loss(best)
    found = optimize.minimize(loss, family.outputs.mean(0), method="Nelder-Mead", **NELDER_MEAD)
    return found.x, found.fun


NELDER_MEAD = {"options": {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-6, "fatol": 1e-9}}


@pytest.mark.parametrize(
    "fitted", [FITTED, pytest.param(FITTED_SLOWLY, marks=pytest.mark.slow)], ids=len
)
def test_fit_finds_the_best_constants_and_a_file_keeps_them(fitted, tmp_path):
    """One model with an output for each, because a model costs more than its outputs."""
    families = [BY_NAME[name] for name in fitted]
    best = [best_constant(family) for family in families]
    inputs = keras.Input((1,))
    names = [family.name.replace("-", "_") for family in families]
    outputs = {
        name: keras.layers.Dense(len(at), kernel_initializer="zeros", name=name)(inputs)
        for name, (at, _) in zip(names, best, strict=True)
    }
    model = keras.Model(inputs, outputs)
    for name, (at, _) in zip(names, best, strict=True):
        model.get_layer(name).set_weights([np.zeros((1, len(at))), at + 0.3])
    rate = keras.optimizers.schedules.CosineDecay(0.05, 100)
    losses = {name: family.likelihood for name, family in zip(names, families, strict=True)}
    model.compile(keras.optimizers.Adam(rate), losses)
    x, steps = np.zeros((N, 1), "float32"), 100
    y = {name: f32(family.y) for name, family in zip(names, families, strict=True)}
    many = {name: np.tile(each, (steps, 1)) for name, each in y.items()}
    model.fit(np.tile(x, (steps, 1)), many, batch_size=N, shuffle=False, verbose=0)
    found = model.predict(x[:1], verbose=0)
    for name, family, (_, least) in zip(names, families, best, strict=True):
        loss = -family.logpdf(family.y, np.repeat(found[name], N, axis=0)).mean()
        assert least - 1e-6 < loss < least + 3e-3, name
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert repr(dict(twin.loss)) == repr(losses)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert twin.evaluate(x, y, verbose=0, return_dict=True) == expected


def test_predictive_speaks_of_them():
    ordinal, weibull = BY_NAME["ordinal"], BY_NAME["censored-weibull"]
    p = kp.Predictive(f32(ordinal.outputs)[None], ordinal.likelihood)
    masses = np.array([ordinal.law(o).pmf(np.arange(4)) for o in ordinal.outputs])
    np.testing.assert_allclose(p.probabilities, masses, rtol=1e-5)
    np.testing.assert_allclose(p.entropy, -(masses * np.log(masses)).sum(-1), rtol=1e-5)
    low, high = p.interval(0.8)
    assert low.shape == (N, 1)
    # The quantile of 5000 draws is the class in which the level is reached, give or take an error.
    error = 4 * np.sqrt(0.1 * 0.9 / 5000)
    for q, found in ((0.1, low), (0.9, high)):
        place = found.astype(int)
        reached = np.take_along_axis(np.cumsum(masses, axis=-1), place, axis=-1)
        assert np.all(reached > q - error)
        assert np.all(reached - np.take_along_axis(masses, place, axis=-1) < q + error)
    p = kp.Predictive(f32(weibull.outputs)[None], weibull.likelihood)
    expected = weibull.logpdf(weibull.y, weibull.outputs)
    np.testing.assert_allclose(p.log_prob(weibull.y), expected, rtol=1e-5)
    low, high = p.interval(0.8)  # of the times themselves
    law = BY_NAME["weibull"].law(weibull.outputs)
    np.testing.assert_allclose(law.cdf(low), 0.1, atol=error)
    np.testing.assert_allclose(law.cdf(high), 0.9, atol=error)
    assert p.sample_observations(3, seed=0).shape == (3, *weibull.outputs.shape)
    # Of other numbers of trials speak the same draws.
    f = f32(BY_NAME["binomial"].outputs)[None]
    of_one, of_twenty = (kp.Predictive(f, likelihoods.Binomial(n)) for n in (None, 20))
    np.testing.assert_allclose(of_twenty.mean, 20 * of_one.mean, rtol=1e-6)


def test_probits_are_taken_for_no_logits():
    f = np.array([[[-1.0], [0.3], [2.0]]])
    probit = likelihoods.Bernoulli(link="probit")
    scaling = kp.calibration.TemperatureScaling()
    y = np.array([1, 0, 1])
    found = [
        scaling.fit(kp.Predictive(outputs, of), y).temperature_
        for of, outputs in [
            (probit, f),
            (likelihoods.Bernoulli(), special.logit(stats.norm.cdf(f))),
        ]
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    with pytest.raises(ValueError, match=r"link='probit'.*whose outputs are none"):
        kp.ood_score(kp.Predictive(f, probit), "energy")
    p = kp.Predictive(f32(f), probit)
    np.testing.assert_allclose(p.probabilities, stats.norm.cdf(f)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: likelihoods.Bernoulli(link="log"), '`link` of Bernoulli must be "logit" or'),
        (lambda: likelihoods.Bernoulli(False, "probit"), "Probabilities have no link"),
        (lambda: likelihoods.Binomial(1.5), "`total_count` of Binomial must be a whole number"),
        (lambda: likelihoods.Ordinal(1), "`num_classes` of Ordinal must be at least 2"),
        (lambda: likelihoods.Gamma(0.0), "`concentration` of Gamma must be"),
        (lambda: likelihoods.Weibull(-1.0), "`concentration` of Weibull must be"),
        (lambda: likelihoods.Censored(likelihoods.Poisson()), "Received: Poisson"),
        (lambda: likelihoods.Censored("mse"), "is not a likelihood"),
        (lambda: likelihoods.ZeroInflated(likelihoods.Binomial()), "Received: Binomial"),
        (lambda: likelihoods.ZeroInflated(likelihoods.Normal()), "Received: Normal"),
        (lambda: likelihoods.AsymmetricLaplace(1.0), "must be between 0 and 1"),
        (lambda: likelihoods.NormalMixture(2, 0.0), "`min_scale` of NormalMixture must be"),
        (lambda: likelihoods.NormalMixture(2)(np.ones(3), np.ones((3, 4))), "multiple of 6"),
        (lambda: likelihoods.MultivariateNormal().mean(np.ones((3, 4))), r"Dense\(9\) for three"),
        (lambda: likelihoods.MultivariateNormal(rank=2).mean(np.ones((3, 5))), r"Dense\(12\)"),
        (lambda: likelihoods.VonMises(0.0), "`concentration` of VonMises must be"),
        (lambda: likelihoods.Dirichlet().mean(np.ones((3, 2))), r"K \+ 1 outputs for K shares"),
        (lambda: likelihoods.DirichletMultinomial(0), "`total_count` of DirichletMultinomial must"),
        (lambda: likelihoods.DirichletMultinomial().mean(np.ones((3, 2))), r"K \+ 1 outputs"),
        (lambda: likelihoods.Binomial()(np.ones((3, 1)), np.ones((3, 1))), "numbers of trials"),
        (lambda: likelihoods.Ordinal(4)(np.ones(3), np.ones((3, 1))), "Cutpoints"),
        (
            lambda: likelihoods.Censored(likelihoods.Normal())(np.ones((3, 1)), np.ones((3, 1))),
            "all upper bounds",
        ),
    ],
)
def test_what_is_no_such_likelihood_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("width", [1e-6, 1e-4, 1e-2, 1.0, 30.0])
@pytest.mark.parametrize("low", [-60.0, -9.0, -0.3, 0.0, 4.0, 30.0])
def test_an_interval_keeps_its_digits_however_narrow_and_far_out(low, width):
    """In float64 SciPy has them from the tail that is the small one."""
    likelihood = likelihoods.Censored(likelihoods.Normal())
    high = np.float32(low) + np.float32(width)
    if high == np.float32(low):
        pytest.skip("no interval in float32")
    a, b = np.float64(np.float32(low)), np.float64(high)
    a, b = (a, b) if a + b < 0 else (-b, -a)  # the lower tail
    log_a, log_b = stats.norm.logcdf([a, b])
    expected = log_b + np.log(-np.expm1(log_a - log_b))
    if b - a < 1e-3:  # at 60 deviations the density falls by exp(-60 t)
        half = 0.5 * (b - a)
        tilt = 0.5 * (a + b) * half
        expected = (
            stats.norm.logpdf(0.5 * (a + b)) + np.log(2 * half) + np.log(np.sinh(tilt) / tilt)
        )
    found = float(likelihood.log_prob(f32([[low, high]]), f32([[0.0]]))[0])
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=3e-6)


def test_gamma_keeps_its_digits_at_large_concentrations():
    y, f = f32([[0.5], [1.0], [1.01], [3.0]]), np.zeros((4, 1), "float32")
    for k in (1e-3, 0.5, 9.0, 1e4, 1e6):
        expected = stats.gamma(k, scale=1.0 / k).logpdf(y.astype("float64"))[:, 0]
        found = numpy(likelihoods.Gamma(k).log_prob(y, f))
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-5)


def test_binomial_keeps_its_digits_of_many_trials():
    y = f32([[0, 1e5], [37, 1e5], [5e4, 1e5], [99_990, 1e5], [0, 0]])
    f = f32([[-7.0], [-7.5], [0.01], [9.0], [3.0]])
    p = special.expit(f.astype("float64"))[:, 0]
    expected = stats.binom.logpmf(*y.T.astype("float64"), p)
    found = numpy(likelihoods.Binomial().log_prob(y, f))
    # Of y log p, half a digit of 7e4 nats is 0.004; but log p is right to 6e-8 only.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=5e-3)
    np.testing.assert_allclose(found[[0, 1, 3, 4]], expected[[0, 1, 3, 4]], rtol=3e-5, atol=1e-5)


def test_counts_of_kinds_keep_their_digits_at_large_concentrations():
    """Where it is a multinomial, and log Gamma(c + y) - log Gamma(c) has no digits in float32."""
    f, y = f32([[0.2, -0.3, 1.0]]), np.array([[300.0, 200.0, 700.0]])
    of = likelihoods.DirichletMultinomial()
    for r in (1e-3, 30.0, 3e4, 1e6):
        outputs = np.concatenate([f, [[r]]], axis=1)
        expected = BY_NAME["kinds"].logpdf(y, outputs.astype("float64"))
        found = numpy(of.log_prob(f32(y), f32(outputs)))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-4)


def test_one_share_of_two_is_a_beta_and_half_a_quantile_a_laplace():
    f, y = f32([[0.3, 1.0, 2.0]]), f32([[0.2, 0.8]])
    beta = likelihoods.Beta().log_prob(y[:, :1], f32([[0.3 - 1.0, 2.0]]))
    found = likelihoods.Dirichlet().log_prob(y, f)
    np.testing.assert_allclose(numpy(found), numpy(beta), rtol=1e-5)
    laplace = likelihoods.Laplace(2.0).log_prob(y, f[:, 1:])
    found = likelihoods.AsymmetricLaplace(0.5, 1.0).log_prob(y, f[:, 1:])
    np.testing.assert_allclose(numpy(found), numpy(laplace), rtol=1e-6)


def test_a_low_rank_keeps_its_digits_where_woodbury_loses_them():
    """Noise a ten-thousandth of the factors: in float32 the difference of squares is noise."""
    of = likelihoods.MultivariateNormal(rank=1, min_scale=1e-4)
    factor = np.array([1.0, -2.0, 0.5])
    outputs = f32([[*np.zeros(3), *np.full(3, -50.0), *factor]])
    y = f32([1.5 * factor + [1e-4, 0.0, -1e-4]])
    c = np.outer(factor, factor) + 1e-8 * np.eye(3)
    away = y[0].astype("float64")
    expected = -0.5 * (away @ np.linalg.solve(c, away) + np.linalg.slogdet(2 * np.pi * c)[1])
    np.testing.assert_allclose(float(of.log_prob(y, outputs)[0]), expected, rtol=1e-3)
    np.testing.assert_allclose(numpy(of.covariance(outputs))[0], c, rtol=1e-6)
