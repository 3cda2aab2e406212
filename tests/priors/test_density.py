"""log_prob, its gradient and its support against the references."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import priors as p
from tests._gradients import value_and_gradient
from tests.priors._cases import CASES, float32

EXACT = {"rtol": 1e-5, "atol": 2e-6}
REAL_LINE = [case for case in CASES if case.points.min() < 0.0 and case.name != "uniform"]
UNBOUNDED = {
    "normal", "laplace", "student_t", "cauchy", "logistic", "generalized_normal", "scale_mixture",
    "spike_and_slab", "horseshoe", "regularized_horseshoe", "variance_scaling",
}  # fmt: skip
# Written down, not asked of the priors: one that lost its support would drop out of its tests.
BOUNDED = [c for c in CASES if not any(c.name.startswith(name) for name in UNBOUNDED)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_log_prob_is_the_reference_also_far_in_the_tails(case):
    prior = case.make()
    points = float32(case.points)
    values = [float(prior.log_prob(np.array([w], "float32"))) for w in points]
    np.testing.assert_allclose(values, case.logpdf(points), **EXACT)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_log_prob_of_a_tensor_is_the_sum(case):
    points = float32(case.points[2:])
    points = np.tile(points, (3, 1)).astype("float32")
    if case.name.startswith("variance_scaling"):
        pytest.skip("its scale depends on the shape")
    value = case.make().log_prob(points)
    assert value.shape == ()
    expected = case.logpdf(points.astype("float64")).sum()
    np.testing.assert_allclose(float(value), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_slope_of_the_reference(case):
    prior = case.make()
    points = float32([w for w in case.points if 1e-4 < abs(w) < 1e3])
    step = 1e-4 * np.abs(points)
    if "beta" in case.name:
        step = np.minimum(step, 1e-4 * (1.0 - points))
    slope = (case.logpdf(points + step) - case.logpdf(points - step)) / (2.0 * step)
    for w, expected in zip(points, slope, strict=True):
        _, gradient = value_and_gradient(prior.log_prob, np.array([w], "float32"))
        np.testing.assert_allclose(gradient[0], expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_finite_in_the_tails(case):
    prior = case.make()
    for w in (case.points[0], case.points[-1]):
        value, gradient = value_and_gradient(prior.log_prob, np.array([w], "float32"))
        assert np.isfinite(value)
        if not case.name.startswith("inverse_gamma"):  # scale / w^2 overflows at 1e-30
            assert np.isfinite(gradient).all()
        assert not np.isnan(gradient).any()


@pytest.mark.parametrize("case", REAL_LINE, ids=str)
def test_value_and_gradient_at_zero_are_finite(case):
    value, gradient = value_and_gradient(case.make().log_prob, np.zeros(3, "float32"))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("case", BOUNDED, ids=str)
def test_outside_the_support_the_penalty_is_infinite_and_the_gradient_no_nan(case):
    prior = case.make()
    prior.num_data = 10
    low, high = prior.support
    inside = float32(case.points[3])
    outside = [w for w in (low - 0.1, low - 1e3, high + 0.1, high + 1e3) if np.isfinite(w)]
    assert outside
    for w in outside:
        value, gradient = value_and_gradient(prior, np.array([inside, w], "float32"))
        assert np.isposinf(value), w
        assert np.isfinite(gradient).all()
        assert gradient[1] == 0.0
        assert float(prior.log_prob(np.array([w], "float32"))) == -np.inf


@pytest.mark.parametrize("case", BOUNDED, ids=str)
def test_at_a_bound_nothing_is_nan(case):
    prior = case.make()
    for w in prior.support:
        if np.isfinite(w):
            value, gradient = value_and_gradient(prior.log_prob, np.array([w], "float32"))
            assert not np.isnan(value)
            assert not np.isposinf(value)
            assert not np.isnan(gradient).any()


@pytest.mark.parametrize("case", BOUNDED, ids=str)
def test_constraint_brings_a_weight_back_inside(case):
    prior = case.make()
    w = ops.convert_to_tensor(np.array([-1e4, 1e4, float(case.points[3])], "float32"))
    back = prior.constraint()(w)
    assert np.isfinite(float(prior.log_prob(back)))
    assert float(back[2]) == float(w[2])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_from_either_side_the_constraint_leads_to_a_finite_penalty(dtype):
    for case in BOUNDED:
        prior = case.make()
        w = np.array([-1e4, -1e-7, 0.0, 1.0, 1e4], "float32")
        back = prior.constraint()(ops.cast(w, dtype))
        assert keras.backend.standardize_dtype(back.dtype) == dtype
        assert np.isfinite(float(prior.log_prob(back))), case.name


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-1.0, 2.0), (0.1, 0.2), (3.0, 1e30), (-1e3, -900.0)]
)
def test_the_constraint_goes_to_the_nearest_numbers_inside(low, high, dtype):
    constraint = p.UniformPrior(low, high).constraint()
    ends = constraint(ops.cast(np.array([-3e4, 6e4 if high < 6e4 else np.inf], "float32"), dtype))
    ends = ops.convert_to_numpy(ops.cast(ends, "float32")).astype("float64")
    unit = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    margin = 2e-6 * min(high - low, max(1.0, abs(low), abs(high) if high < 6e4 else 0.0))
    assert low < ends[0] <= low + margin + 2 * unit * abs(low)
    if high < 6e4:
        assert high > ends[1] >= high - margin - 2 * unit * abs(high)
    else:
        assert np.isfinite(ends[1])
    inside = constraint(ops.cast(ends, dtype))
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(inside, "float32")), ends)


def test_the_constraint_of_a_narrow_interval_leaves_a_weight_inside_alone():
    constraint = p.UniformPrior(100.0, 100.0001).constraint()
    inside = np.array([100.00002, 100.00005, 100.00008], "float32")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(constraint(ops.convert_to_tensor(inside))), inside
    )
    # The bound itself is the only number there.
    back = constraint(ops.cast(np.array([5.0, 200.0], "float32"), "float16"))
    np.testing.assert_array_equal(ops.convert_to_numpy(back), [100.0, 100.0])
    with pytest.raises(ValueError, match=r"bfloat16 has no value in the support.*low=100\.01"):
        p.UniformPrior(100.01, 100.02).constraint()(ops.cast(inside, "bfloat16"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_weight_that_is_nan_stays_nan(case):
    assert np.isnan(float(case.make().log_prob(np.array([np.nan, 0.5], "float32"))))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_half_precision_weights_are_summed_in_float32(case):
    w = np.full((300, 300), 0.5, "float16")
    value = case.make().log_prob(ops.convert_to_tensor(w))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    if not case.name.startswith("variance_scaling"):
        np.testing.assert_allclose(float(value), w.size * case.logpdf(0.5), rtol=1e-4, atol=0.2)


COLUMN = np.array([[0.5], [1.0], [2.0]])
ROW = np.array([0.3, 0.7, 1.0, 4.0])
FULL = COLUMN * ROW


@pytest.mark.parametrize(
    ("prior", "logpdf"),
    [
        (lambda: p.NormalPrior(ROW, COLUMN), lambda w: stats.norm(ROW, COLUMN).logpdf(w)),
        (lambda: p.LaplacePrior(ROW, COLUMN), lambda w: stats.laplace(ROW, COLUMN).logpdf(w)),
        (
            lambda: p.StudentTPrior(FULL, ROW, COLUMN),
            lambda w: stats.t(FULL, ROW, COLUMN).logpdf(w),
        ),
        (lambda: p.CauchyPrior(0.0, FULL), lambda w: stats.cauchy(0.0, FULL).logpdf(w)),
        (lambda: p.LogisticPrior(ROW, COLUMN), lambda w: stats.logistic(ROW, COLUMN).logpdf(w)),
        (
            lambda: p.GeneralizedNormalPrior(ROW, COLUMN, ROW),
            lambda w: stats.gennorm(ROW, ROW, COLUMN).logpdf(w),
        ),
        (
            lambda: p.UniformPrior(-COLUMN, ROW + 1.0),
            lambda w: stats.uniform(-COLUMN, ROW + 1.0 + COLUMN).logpdf(w),
        ),
        (
            lambda: p.TruncatedNormalPrior(0.0, COLUMN, -1.0, ROW + 1.0),
            lambda w: stats.truncnorm(-1.0 / COLUMN, (ROW + 1.0) / COLUMN, 0.0, COLUMN).logpdf(w),
        ),
        (lambda: p.HalfNormalPrior(FULL), lambda w: stats.halfnorm(0.0, FULL).logpdf(w)),
        (lambda: p.HalfCauchyPrior(ROW), lambda w: stats.halfcauchy(0.0, ROW).logpdf(w)),
        (
            lambda: p.HalfStudentTPrior(ROW, COLUMN),
            lambda w: stats.t(ROW, 0.0, COLUMN).logpdf(w) + np.log(2.0),
        ),
        (lambda: p.ExponentialPrior(ROW), lambda w: stats.expon(0.0, 1.0 / ROW).logpdf(w)),
        (lambda: p.GammaPrior(ROW, COLUMN), lambda w: stats.gamma(ROW, 0.0, 1 / COLUMN).logpdf(w)),
        (
            lambda: p.InverseGammaPrior(ROW, COLUMN),
            lambda w: stats.invgamma(ROW, 0.0, COLUMN).logpdf(w),
        ),
        (
            lambda: p.LogNormalPrior(ROW, COLUMN),
            lambda w: stats.lognorm(COLUMN, 0.0, np.exp(ROW)).logpdf(w),
        ),
        (lambda: p.BetaPrior(ROW, COLUMN), lambda w: stats.beta(ROW, COLUMN).logpdf(w)),
    ],
)
def test_array_parameters_broadcast_against_the_weight(prior, logpdf):
    prior = prior()
    w = np.random.default_rng(0).uniform(0.05, 0.95, (3, 4)).astype("float32")
    expected = logpdf(w.astype("float64"))
    np.testing.assert_allclose(float(prior.log_prob(w)), expected.sum(), rtol=1e-5)
    # Element by element: that each parameter went where it belongs.
    _, gradient = value_and_gradient(prior.log_prob, w)
    w = w.astype("float64")
    step = 1e-5
    slope = (logpdf(w + step) - logpdf(w - step)) / (2.0 * step)
    np.testing.assert_allclose(gradient, slope, rtol=2e-3, atol=2e-4)
    draw = prior.sample((3, 4), seed=1)
    assert tuple(draw.shape) == (3, 4)
    assert np.isfinite(float(prior.log_prob(draw)))


@pytest.mark.parametrize(
    ("arrays", "scalars"),
    [
        (
            lambda: p.SpikeAndSlabPrior([0.2, 0.5], [[1.0], [2.0]], [0.1, 0.2]),
            lambda i, j: p.SpikeAndSlabPrior([0.2, 0.5][j], [1.0, 2.0][i], [0.1, 0.2][j]),
        ),
        (lambda: p.HorseshoePrior([0.2, 0.5]), lambda i, j: p.HorseshoePrior([0.2, 0.5][j])),
        (
            lambda: p.RegularizedHorseshoePrior([0.2, 0.5], [[1.0], [2.0]]),
            lambda i, j: p.RegularizedHorseshoePrior([0.2, 0.5][j], [1.0, 2.0][i]),
        ),
    ],
)
def test_sparse_priors_broadcast_too(arrays, scalars):
    w = np.array([[0.05, -0.3], [1.2, 0.7]], "float32")
    parts = [float(scalars(i, j).log_prob(w[i, j])) for i in (0, 1) for j in (0, 1)]
    np.testing.assert_allclose(float(arrays().log_prob(w)), sum(parts), rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX is without float64 by default")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_float64_weights_keep_their_precision(case):
    points = float32(case.points)
    prior = case.make()
    values = [float(prior.log_prob(ops.convert_to_tensor([w], dtype="float64"))) for w in points]
    approximate = "horseshoe" in case.name  # the approximations are of 1e-7
    np.testing.assert_allclose(
        values, case.logpdf(points), rtol=2e-6 if approximate else 1e-10, atol=1e-10
    )
