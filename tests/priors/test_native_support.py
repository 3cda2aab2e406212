"""DistributionPrior inside and outside of the supports that the libraries know."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp
from keras_priors import priors as p
from keras_priors.callbacks import BayesianMonitor
from keras_priors.functional.positions import Positions
from tests._gradients import value_and_gradient
from tests.priors._native_cases import CASES, TORCH, native

# TFP's code is the same on JAX, where each case compiles for a second.
JAX = keras.backend.backend() == "jax"
slow_on_jax = pytest.mark.slow if JAX else lambda test: test
SOME_SLOW = [
    pytest.param(case, marks=[pytest.mark.slow] * (JAX and i % 5 > 0))
    for i, case in enumerate(CASES)
]


@pytest.mark.parametrize("case", SOME_SLOW, ids=str)
def test_inside_the_density_is_the_reference_and_outside_the_penalty_is_infinite(case):
    prior = case.prior()
    inside = case.inside.astype("float32")
    value, gradient = value_and_gradient(prior.log_prob, inside)
    if case.logpdf is not None:
        expected = np.sum(case.logpdf(inside.astype("float64")))
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
    assert np.isfinite(gradient).all()
    assert (gradient != 0.0).any() or "Uniform" in case.name or "gap" in case.name
    low, high = prior.support
    np.testing.assert_allclose([low, high], case.support, rtol=1e-6)
    for point in case.outside:
        w = inside.copy()
        w[np.shape(w)[0] - 1] = point
        value, gradient = value_and_gradient(prior, w)
        assert value == np.inf, point
        assert np.isfinite(gradient).all()
    _check_constraint(prior, case, inside)


def _check_constraint(prior, case, inside):
    constraint = prior.constraint()
    bounded = np.isfinite(case.support).any()
    assert (constraint is not None) == (case.is_box and bool(bounded))
    for bound in case.support:
        if constraint is not None and np.isfinite(bound):
            at_bound = float(prior.log_prob(np.full(inside.shape, bound, "float32")))
            assert not np.isnan(at_bound)
            assert not np.isposinf(at_bound)
            far = np.full(inside.shape, 1e6 * (1.0 if bound > 0.5 else -1.0), "float32")
            back = float(prior.log_prob(constraint(ops.convert_to_tensor(far))))
            # torch's own Kumaraswamy rounds 1 - w^a to 1 below w = 1e-4.
            assert np.isfinite(back) or (TORCH and case.name == "Kumaraswamy")


@slow_on_jax
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_description_gives_the_same_distribution(case):
    prior = case.prior()
    config = prior.get_config()
    again = p.DistributionPrior.from_config(config)
    assert again.get_config() == config
    inside = case.inside.astype("float32")
    assert float(again.log_prob(inside)) == float(prior.log_prob(inside))
    unknown = inside.copy()
    unknown[0] = np.nan
    assert np.isnan(float(prior(unknown)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scale": -1.0}, "parameters that its class takes"),
        ({"scale": np.nan}, "numbers, arrays and distributions"),
    ],
)
def test_parameters_that_the_class_refuses_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        p.DistributionPrior(native("Normal", loc=0.0, **parameters))


def test_what_is_no_interval_is_refused_where_one_is_needed():
    prior = next(case for case in CASES if case.name == "Dirichlet").prior()
    with pytest.raises(ValueError, match=r"must not leave the support.*in a part of"):
        kp.VariationalDense(3, use_bias=False, kernel_prior=prior).build((None, 2))
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, use_bias=False, kernel_regularizer=prior)]
    )
    with pytest.raises(ValueError, match="support is an interval for each element"):
        Positions(model)
    model.compile(keras.optimizers.SGD(0.1), kp.likelihoods.Normal())
    with pytest.raises(ValueError, match=r"outside the support.*`kernel_constraint` of your own"):
        model.fit(np.ones((3, 2)), np.ones((3, 3)), callbacks=[BayesianMonitor()], verbose=0)


@pytest.mark.skipif(TORCH, reason="classes of TFP")
def test_a_distribution_with_an_unknown_support_is_refused():
    normal = native("Normal", loc=[0.0], scale=1.0)
    with pytest.raises(ValueError, match=r"where their density is not zero.*BatchConcat"):
        p.DistributionPrior(native("BatchConcat", distributions=[normal, normal], axis=0))
    with pytest.raises(ValueError, match="discrete"):
        p.DistributionPrior(native("Deterministic", loc=1.0))


TAILS = {
    "Cauchy": stats.cauchy(0.5, 2.0),
    "Gumbel": stats.gumbel_r(0.5, 2.0),
    "Laplace": None,
    "LogNormal": stats.lognorm(2.0, 0.0, np.exp(0.5)),
    "Exponential": stats.expon(0.0, 0.5),
    "InverseGamma": stats.invgamma(2.0, 0.0, 0.5),
    "StudentT": stats.t(3.0, 0.5, 2.0),
    "HalfCauchy": stats.halfcauchy(0.0, 2.0),
    "TruncatedNormal": stats.truncnorm(-0.75, 1.25, 0.5, 2.0),
}


@slow_on_jax
@pytest.mark.parametrize("name", TAILS)
def test_far_in_the_tails_and_by_goodness_of_fit(name):
    case = next(case for case in CASES if case.name == name)
    frozen = stats.laplace(0.5, 2.0) if TAILS[name] is None else TAILS[name]
    prior = case.prior()
    low, high = case.support
    for w in (1e-30, 1e4, -1e4):
        if not (low < w < high) or (name == "Gumbel" and w < 0.0):  # exp(5000) overflows
            continue
        exact = float(np.float32(w))
        expected = -abs(exact - 0.5) / 2.0 - np.log(4.0) if name == "Laplace" else None
        expected = frozen.logpdf(exact) if expected is None else expected
        value = float(prior.log_prob(np.array([w], "float32")))
        if name == "InverseGamma" and TORCH and w < 1e-20:
            expected = -np.inf  # torch's own overflows
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    draws = ops.convert_to_numpy(prior.sample((4000,), seed=2)).astype("float64")
    assert stats.kstest(draws, frozen.cdf).pvalue > 1e-3


def test_an_infinite_weight_is_refused_and_one_that_is_nan_stays_so():
    for made_from in (p.NormalPrior(), p.HalfNormalPrior()):
        prior = p.DistributionPrior(made_from.distribution(()))
        assert float(prior(np.array([np.inf, 0.5], "float32"))) == np.inf
        assert np.isnan(float(prior(np.array([np.nan, 0.5], "float32"))))
