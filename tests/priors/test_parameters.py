"""What is refused, where, and with which words."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp
from keras_priors import priors as p
from keras_priors.priors import NormalPrior

NAN, INF = float("nan"), float("inf")
EYE = np.eye(2)

ONE_NUMBER = [
    (lambda v: p.NormalPrior(v, 1.0), "loc"),
    (lambda v: p.LaplacePrior(v), "loc"),
    (lambda v: p.StudentTPrior(3.0, v), "loc"),
    (lambda v: p.CauchyPrior(v), "loc"),
    (lambda v: p.LogisticPrior(v), "loc"),
    (lambda v: p.GeneralizedNormalPrior(v), "loc"),
    (lambda v: p.UniformPrior(v, 5.0), "low"),
    (lambda v: p.UniformPrior(-5.0, v), "high"),
    (lambda v: p.TruncatedNormalPrior(v, 1.0, -1.0, 1.0), "loc"),
    (lambda v: p.LogNormalPrior(v), "loc"),
    (lambda v: p.MultivariateNormalPrior(v, EYE), "loc"),
    (lambda v: p.MatrixNormalPrior(v, EYE, EYE), "loc"),
]
POSITIVE = [
    (lambda v: p.NormalPrior(0.0, v), "scale"),
    (lambda v: p.LaplacePrior(0.0, v), "scale"),
    (lambda v: p.StudentTPrior(v), "df"),
    (lambda v: p.StudentTPrior(3.0, 0.0, v), "scale"),
    (lambda v: p.CauchyPrior(0.0, v), "scale"),
    (lambda v: p.LogisticPrior(0.0, v), "scale"),
    (lambda v: p.GeneralizedNormalPrior(0.0, v), "scale"),
    (lambda v: p.GeneralizedNormalPrior(0.0, 1.0, v), "power"),
    (lambda v: p.TruncatedNormalPrior(0.0, v, -1.0), "scale"),
    (lambda v: p.HalfNormalPrior(v), "scale"),
    (lambda v: p.HalfCauchyPrior(v), "scale"),
    (lambda v: p.HalfStudentTPrior(v), "df"),
    (lambda v: p.HalfStudentTPrior(3.0, v), "scale"),
    (lambda v: p.ExponentialPrior(v), "rate"),
    (lambda v: p.GammaPrior(v), "concentration"),
    (lambda v: p.GammaPrior(1.0, v), "rate"),
    (lambda v: p.InverseGammaPrior(v), "concentration"),
    (lambda v: p.InverseGammaPrior(1.0, v), "scale"),
    (lambda v: p.LogNormalPrior(0.0, v), "scale"),
    (lambda v: p.BetaPrior(v, 1.0), "concentration1"),
    (lambda v: p.BetaPrior(1.0, v), "concentration0"),
    (lambda v: p.ScaleMixturePrior((v, 0.5), (1.0, 0.1)), "weights"),
    (lambda v: p.ScaleMixturePrior((0.5, 0.5), (v, 0.1)), "scales"),
    (lambda v: p.SpikeAndSlabPrior(v), "slab_probability"),
    (lambda v: p.SpikeAndSlabPrior(0.5, v), "slab_scale"),
    (lambda v: p.SpikeAndSlabPrior(0.5, 1.0, v), "spike_scale"),
    (lambda v: p.HorseshoePrior(v), "scale"),
    (lambda v: p.RegularizedHorseshoePrior(v), "scale"),
    (lambda v: p.RegularizedHorseshoePrior(0.1, v), "slab_scale"),
    (lambda v: p.VarianceScalingPrior(v), "scale"),
    (lambda v: p.VarianceScalingPrior(1.0, family="student_t", df=v), "df"),
]


@pytest.mark.parametrize(("make", "name"), ONE_NUMBER + POSITIVE)
@pytest.mark.parametrize(
    ("value", "error"),
    [("1.0", TypeError), (NAN, ValueError), ([], ValueError), ([[1.0], [1.0, 2.0]], TypeError)],
)
def test_what_is_no_number_is_refused(make, name, value, error):
    mixture = isinstance(value, list) and name in ("weights", "scales")
    with pytest.raises((TypeError, ValueError) if mixture else error, match=rf"`{name}`.*Received"):
        make(value)


@pytest.mark.parametrize(("make", "name"), [c for c in ONE_NUMBER + POSITIVE if c[1] != "df"])
@pytest.mark.parametrize("value", [True, ["1", "2"], 1j])
def test_booleans_texts_and_complex_numbers_are_refused(make, name, value):
    if value is True and name in ("weights", "scales"):
        pytest.skip("NumPy reads True beside a number as 1")
    with pytest.raises(TypeError, match=rf"`{name}`.*Received"):
        make(value)


@pytest.mark.parametrize(("make", "name"), ONE_NUMBER + POSITIVE)
def test_infinity_is_refused(make, name):
    with pytest.raises(ValueError, match=rf"`{name}` .*finite.*Received"):
        make(INF)


@pytest.mark.parametrize(("make", "name"), POSITIVE)
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_what_is_not_positive_is_refused(make, name, value):
    with pytest.raises(ValueError, match=rf"`{name}` .*greater than 0.*Received"):
        make(value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: p.UniformPrior(1.0, 1.0), "`low`.*less than `high`"),
        (lambda: p.UniformPrior([0.0, 2.0], 1.0), "`low`.*less than `high`"),
        (lambda: p.TruncatedNormalPrior(0.0, 1.0, 2.0, 1.0), "`low`.*less than `high`"),
        (lambda: p.TruncatedNormalPrior(0.0, 1.0), "needs a bound"),
        (lambda: p.TruncatedNormalPrior(0.0, 1.0, NAN), "`low`.*finite"),
        (lambda: p.NormalPrior([0.0, 1.0], [1.0, 1.0, 1.0]), "broadcast against each other"),
        (lambda: p.BetaPrior([1.0, 1.0], [1.0, 1.0, 1.0]), "broadcast against each other"),
        (lambda: p.ScaleMixturePrior((0.5, 0.4), (1.0, 0.1)), "`weights`.*sum to 1"),
        (lambda: p.ScaleMixturePrior((0.5, 0.5), (1.0, 0.1, 0.2)), "one number for each"),
        (lambda: p.ScaleMixturePrior(1.0, 1.0), "one axis"),
        (lambda: p.SpikeAndSlabPrior(1.0), "`slab_probability`.*less than 1"),
        (lambda: p.SpikeAndSlabPrior(0.5, 0.1, 0.2), "`spike_scale`.*less than `slab_scale`"),
        (lambda: p.MultivariateNormalPrior(), "exactly one of.*none"),
        (lambda: p.MultivariateNormalPrior(covariance=EYE, precision=EYE), "exactly one of"),
        (lambda: p.MultivariateNormalPrior(covariance=[1.0, 2.0]), "`covariance`.*square"),
        (lambda: p.MultivariateNormalPrior(covariance=np.ones((2, 3))), "`covariance`.*square"),
        (lambda: p.MultivariateNormalPrior(covariance=[[1, 0.5], [0, 1]]), "symmetric"),
        (lambda: p.MultivariateNormalPrior(covariance=[[1, 2], [2, 1]]), "positive definite"),
        (lambda: p.MultivariateNormalPrior(precision=[[0, 0], [0, 1]]), "positive definite"),
        (lambda: p.MultivariateNormalPrior(scale_tril=[[1, 1], [0, 1]]), "lower triangular"),
        (lambda: p.MultivariateNormalPrior(scale_tril=[[1, 0], [0, -1]]), "lower triangular"),
        (lambda: p.MatrixNormalPrior(row_covariance=EYE), "`column_covariance`.*none"),
        (
            lambda: p.MatrixNormalPrior(0.0, EYE, EYE, row_scale_tril=EYE),
            "exactly one of `row_covariance`",
        ),
        (lambda: p.MatrixNormalPrior(0.0, -EYE, EYE), "`row_covariance`.*positive definite"),
        (lambda: p.VarianceScalingPrior(1.0, mode="fan"), "`mode`.*'fan_in'.*Received"),
        (lambda: p.VarianceScalingPrior(1.0, family="cauchy"), "`family`.*'laplace'.*Received"),
        (lambda: p.VarianceScalingPrior(1.0, df=3.0), "`df`.*student_t"),
        (lambda: p.VarianceScalingPrior(1.0, family="student_t", df=2.0), "`df`.*greater than 2"),
        (lambda: p.NormalPrior(num_data=0), "`num_data`.*at least 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(make, words):
    with pytest.raises(ValueError, match=rf"(?s){words}"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: p.MultivariateNormalPrior(covariance=EYE, axis=0.5),
        lambda: p.MultivariateNormalPrior(covariance=EYE, axis=True),
        lambda: p.VarianceScalingPrior([1.0, 2.0]),
        lambda: p.NormalPrior(num_data=2.5),
        lambda: p.NormalPrior(num_data=True),
    ],
)
def test_the_wrong_type_is_refused(make):
    with pytest.raises(TypeError, match="Received"):
        make()


@pytest.mark.parametrize(
    ("prior", "shape", "name"),
    [
        (p.NormalPrior([0.0, 1.0, 2.0]), (3, 2), "loc"),
        (p.NormalPrior(0.0, np.ones((4, 3, 2))), (3, 2), "scale"),
        (p.GammaPrior(1.0, [1.0, 2.0, 3.0]), (3, 2), "rate"),
        (p.RegularizedHorseshoePrior(0.1, [1.0, 2.0, 3.0]), (3, 2), "slab_scale"),
        (p.MultivariateNormalPrior(covariance=EYE), (2, 3), "axis"),
        (p.MultivariateNormalPrior(covariance=EYE, axis=2), (2, 2), "axis"),
        (p.MultivariateNormalPrior([0.0, 1.0, 2.0], EYE), (3, 2), "loc"),
        (p.MatrixNormalPrior(0.0, EYE, EYE), (2, 3), "shape"),
        (p.MatrixNormalPrior(0.0, EYE, EYE), (2,), "shape"),
        (p.MatrixNormalPrior([0.0, 1.0, 2.0], EYE, EYE), (2, 2), "loc"),
    ],
)
def test_a_shape_that_does_not_fit_the_weight_is_refused_at_the_first_weight(prior, shape, name):
    with pytest.raises(ValueError, match=rf"{name}.*Received.*weight of shape"):
        prior.log_prob(np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match=rf"{name}.*Received.*weight of shape"):
        prior.distribution(shape)
    with pytest.raises(ValueError, match=rf"{name}.*Received.*weight of shape"):
        prior.sample(shape)


@pytest.mark.parametrize("scale", [1e-50, 1e-19, 1e19, [1.0, 1e-30]])
def test_a_scale_whose_square_leaves_float32_is_refused(scale):
    with pytest.raises(ValueError, match=r"must lie between 1e-18 and 1e\+18"):
        NormalPrior(0.0, scale)


def test_the_least_scale_has_no_nan():
    for scale in (1e-18, 1e18):
        for w in (0.0, 1.0):
            assert not np.isnan(float(NormalPrior(0.0, scale)(np.array([w], "float32"))))


def test_initializers_obey_the_seed_of_keras():
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        draws.append([NormalPrior().initializer()((4,)) for _ in range(2)])
    first, second = np.asarray([[ops.convert_to_numpy(w) for w in pair] for pair in draws])
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).all()


def test_every_prior_is_a_name_of_the_package():
    for name in p.__all__:
        assert vars(kp)[name] is vars(p)[name]
        assert name in kp.__all__
