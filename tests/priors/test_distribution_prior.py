"""DistributionPrior: what it takes, what it refuses, and what a file may name."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import backend
from keras_priors import priors as p
from tests._gradients import value_and_gradient

W = np.array([[0.3, 0.7, 1.2], [0.1, 2.0, 0.5]], "float32")
LOC = np.array([0.0, 1.0, 2.0])


def native(kind, **parameters):
    tensors = {k: ops.convert_to_tensor(np.asarray(v, "float32")) for k, v in parameters.items()}
    return backend.distribution(kind, **tensors)


def independent(distribution, ndims):
    return backend.distribution("Independent", distribution=distribution, ndims=ndims)


TAKEN = {
    "scalar": (lambda: native("Gumbel", loc=0.5, scale=2.0), stats.gumbel_r(0.5, 2.0).logpdf),
    "batch": (lambda: native("Normal", loc=LOC, scale=2.0 + LOC), stats.norm(LOC, 2 + LOC).logpdf),
    "gamma": (
        lambda: native("Gamma", concentration=2.0, rate=3.0),
        stats.gamma(2, 0, 1 / 3).logpdf,
    ),
    "half": (lambda: native("HalfCauchy", scale=2.0), stats.halfcauchy(0, 2).logpdf),
    "uniform": (lambda: native("Uniform", low=-1.0, high=3.0), stats.uniform(-1, 4).logpdf),
    "own": (lambda: native("Logistic", loc=0.5, scale=2.0), stats.logistic(0.5, 2.0).logpdf),
    "event": (
        lambda: independent(native("Normal", loc=LOC, scale=1.0 + LOC), 1),
        stats.norm(LOC, 1 + LOC).logpdf,
    ),
    "positive event": (
        lambda: independent(native("Gamma", concentration=1.0 + LOC, rate=1.0 + 0 * LOC), 1),
        stats.gamma(1 + LOC).logpdf,
    ),
    "mixture": (
        lambda: backend.distribution(
            "NormalMixture",
            logits=ops.convert_to_tensor(np.log([0.3, 0.7]).astype("float32")),
            loc=ops.convert_to_tensor(np.array([0.0, 1.0], "float32")),
            scale=ops.convert_to_tensor(np.array([1.0, 0.5], "float32")),
        ),
        lambda w: np.log(0.3 * stats.norm.pdf(w) + 0.7 * stats.norm(1.0, 0.5).pdf(w)),
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_density_config_and_draws(name):
    make, logpdf = TAKEN[name]
    prior = p.DistributionPrior(make(), num_data=3)
    expected = logpdf(W.astype("float64")).sum()
    value, gradient = value_and_gradient(prior.log_prob, W)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    w = W.astype("float64")
    slope = (logpdf(w + 1e-5) - logpdf(w - 1e-5)) / 2e-5
    np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-4)
    config = keras.regularizers.serialize(prior)
    again = keras.regularizers.deserialize(config)
    np.testing.assert_allclose(float(again.log_prob(W)), value, rtol=1e-6)
    assert again.num_data == 3
    whole = prior.distribution((2, 3))
    assert tuple(whole.batch_shape) + tuple(whole.event_shape) == (2, 3)
    np.testing.assert_allclose(
        float(ops.sum(whole.log_prob(ops.convert_to_tensor(W)))), expected, rtol=1e-5
    )
    assert tuple(prior.sample((2, 3), seed=1).shape) == (2, 3)
    assert prior.factorized == ("event" not in name)


@pytest.mark.parametrize("name", ["gamma", "half", "positive event"])
def test_outside_the_support_the_penalty_is_infinite(name):
    prior = p.DistributionPrior(TAKEN[name][0](), num_data=3)
    value, gradient = value_and_gradient(prior, np.where(W > 1.0, -W, W).astype("float32"))
    assert value == np.inf
    assert np.isfinite(gradient).all()
    assert prior.constraint() is not None


def test_what_is_no_distribution_is_refused():
    for value in (1.0, "Normal", p.NormalPrior(), lambda w: w):
        with pytest.raises(TypeError, match="distribution object"):
            p.DistributionPrior(value)


def test_a_class_of_another_origin_is_refused():
    base = backend.distribution_class("Normal")
    impostor = type("Normal", (base,), {})
    one = ops.convert_to_tensor(np.float32(1.0))
    with pytest.raises(ValueError, match="distribution library itself"):
        p.DistributionPrior(impostor(one, one))


def test_a_discrete_distribution_is_refused():
    with pytest.raises(ValueError, match="discrete"):
        p.DistributionPrior(native("Poisson", rate=2.0))


def test_what_is_not_made_of_numbers_is_refused():
    if keras.backend.backend() == "torch":
        import torch

        distribution = torch.distributions.TransformedDistribution(
            torch.distributions.Normal(0.0, 1.0), [torch.distributions.ExpTransform()]
        )
    else:
        transformed = backend.distribution_class("TransformedDistribution")
        distribution = transformed(native("Normal", loc=0.0, scale=1.0), bijector=_exp_bijector())
    with pytest.raises(ValueError, match="numbers, arrays and distributions"):
        p.DistributionPrior(distribution)


def _exp_bijector():
    if keras.backend.backend() == "jax":
        import tensorflow_probability.substrates.jax as tfp
    else:
        import tensorflow_probability as tfp
    return tfp.bijectors.Exp()


@pytest.mark.parametrize(
    "name", ["system", "os.system", "Distribution.mro", "__builtins__", "kl_divergence"]
)
def test_a_file_can_name_nothing_but_a_distribution(name):
    config = p.DistributionPrior(native("Normal", loc=0.0, scale=1.0)).get_config()
    config["distribution"]["distribution"] = name
    with pytest.raises(ValueError, match="Only distribution classes"):
        p.DistributionPrior.from_config(config)


def test_wrong_parameters_in_a_file_are_refused():
    config = p.DistributionPrior(native("Normal", loc=0.0, scale=1.0)).get_config()
    config["distribution"]["parameters"]["power"] = 2.0
    with pytest.raises(ValueError, match=r"cannot construct Normal.*power"):
        p.DistributionPrior.from_config(config)


@pytest.mark.parametrize(
    ("name", "shape"), [("batch", (2, 4)), ("batch", ()), ("event", (2, 4)), ("event", (1,))]
)
def test_a_shape_that_does_not_fit_is_refused(name, shape):
    prior = p.DistributionPrior(TAKEN[name][0]())
    with pytest.raises(ValueError, match="must broadcast against the weight"):
        prior.log_prob(np.zeros(shape, "float32"))


def test_a_mixture_of_positive_distributions_is_never_not_a_number():
    part = native("LogNormal", loc=[0.1, 1.0], scale=[0.5, 1.0])
    mixture, weights = map(backend.distribution_class, ("MixtureSameFamily", "Categorical"))
    prior = p.DistributionPrior(mixture(weights(logits=ops.zeros(2)), part))
    assert float(prior(np.array([-1.0], "float32"))) == np.inf
    assert np.isfinite(float(prior(np.array([1.0], "float32"))))
    assert np.isnan(float(prior(np.array([np.nan], "float32"))))
