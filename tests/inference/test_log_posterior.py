"""The log posterior against SciPy: values, gradients, batches, blocks, chains, bounds, models."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers
from scipy import optimize, stats

import keras_priors as kp
from keras_priors import backend as kp_backend

N, NOISE = 5, 0.7
LIKELIHOOD = kp.likelihoods.Normal(NOISE)
PATHS = ("hidden/kernel", "hidden/bias", "out/kernel", "out/bias")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype("float32") for shape in ((N, 2), (N, 1))]


@pytest.fixture(scope="module")
def net():
    """tanh and then a product with weights that are positive, or between -1 and 2."""
    keras.utils.set_random_seed(0)
    gamma, uniform = kp.GammaPrior(2.0, 1.5), kp.UniformPrior(-1.0, 2.0)
    return keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(
                3,
                "tanh",
                kernel_regularizer=kp.NormalPrior(0.2, 0.8),
                bias_regularizer=kp.StudentTPrior(4.0, 0.0, 0.5),
                name="hidden",
            ),
            layers.Dense(
                1,
                kernel_regularizer=gamma,
                kernel_initializer=gamma.initializer(seed=0),
                bias_regularizer=uniform,
                bias_initializer=keras.initializers.Constant(0.3),
                name="out",
            ),
        ]
    )


@pytest.fixture(scope="module")
def log_posterior(net, data):
    return kp.inference.LogPosterior(net, *data, LIKELIHOOD)


@pytest.fixture(scope="module")
def position():
    rng = np.random.default_rng(1)
    shapes = (2, 3), (3,), (3, 1), (1,)
    values = [rng.uniform(0.1, 0.9, shape).astype("float32") for shape in shapes]
    return dict(zip(PATHS, values, strict=True))


def by_hand(vector, x, y, weight=1.0):
    """(log likelihood, log prior) of the net in float64 from all weights in one vector."""
    kernel, bias = vector[:6].reshape(2, 3), vector[6:9]
    mean = np.tanh(x @ kernel + bias) @ vector[9:12, None] + vector[12:]
    likelihood = np.sum(stats.norm(mean, NOISE).logpdf(y)[:, 0] * weight)
    prior = (
        stats.norm(0.2, 0.8).logpdf(kernel).sum()
        + stats.t(4, 0, 0.5).logpdf(bias).sum()
        + stats.gamma(2, scale=1 / 1.5).logpdf(vector[9:12]).sum()
        + stats.uniform(-1, 3).logpdf(vector[12:]).sum()
    )
    return likelihood, prior


def joined(position):
    return np.concatenate([position[path].ravel() for path in PATHS]).astype("float64")


def test_its_value_is_that_of_scipy(log_posterior, position, data):
    likelihood, prior = by_hand(joined(position), *data)
    assert log_posterior.log_likelihood(position) == pytest.approx(likelihood, rel=1e-5)
    assert log_posterior.log_prior(position) == pytest.approx(prior, rel=1e-5)
    assert log_posterior(position) == pytest.approx(likelihood + prior, rel=1e-5)
    assert log_posterior.paths == PATHS and log_posterior.size == 13


def test_by_default_it_is_taken_at_the_weights_of_the_model(log_posterior, net, data):
    now = joined(dict(zip(PATHS, net.get_weights(), strict=True)))
    assert log_posterior() == pytest.approx(sum(by_hand(now, *data)), rel=1e-5)


def test_its_gradient_is_that_of_finite_differences(log_posterior, position, data):
    value, gradient = log_posterior.value_and_gradient(position)
    at = joined(position)
    assert value == pytest.approx(sum(by_hand(at, *data)), rel=1e-5)
    slope = optimize.approx_fprime(at, lambda w: sum(by_hand(w, *data)), 1e-6)
    np.testing.assert_allclose(joined(gradient), slope, rtol=1e-3, atol=1e-3)


def test_rows_are_weighed(net, data, position):
    weight = np.array([1.0, 0.0, 2.5, 0.0, 1.0])
    found = kp.inference.LogPosterior(net, *data, LIKELIHOOD, sample_weight=weight)
    expected = by_hand(joined(position), *data, weight)[0]
    assert found.log_likelihood(position) == pytest.approx(expected, rel=1e-5)


def test_batches_give_an_unbiased_estimate(log_posterior, position, data):
    x, y = data
    pairs = list(itertools.combinations(range(N), 2))
    found = [log_posterior.estimate(list(pair), position) for pair in pairs]
    likelihood, prior = by_hand(joined(position), x[[0, 1]], y[[0, 1]])
    assert found[0] == pytest.approx(N / 2 * likelihood + prior, rel=1e-5)
    # Over all pairs of rows: the mean of the estimates is the value.
    assert np.mean(found) == pytest.approx(sum(by_hand(joined(position), *data)), rel=1e-5)


def test_blocks_of_rows_change_nothing(net, data, log_posterior, position):
    weight = np.array([1.0, 0.5, 2.0, 1.0, 0.25])
    whole, blocks = (
        kp.inference.LogPosterior(net, *data, LIKELIHOOD, sample_weight=weight, batch_size=size)
        for size in (None, 2)
    )
    (value, slope), (other, in_blocks) = (
        each.value_and_gradient(position) for each in (whole, blocks)
    )
    assert other == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(joined(in_blocks), joined(slope), rtol=1e-4, atol=1e-5)


def test_a_position_goes_to_a_vector_without_bounds_and_back(log_posterior, position):
    z = log_posterior.flatten(position)
    expected = joined(position)
    expected[9:12] = np.log(expected[9:12])  # of (0, inf)
    inside = (expected[12:] + 1) / 3  # of (-1, 2)
    expected[12:] = np.log(inside / (1 - inside))
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)
    back = log_posterior.unflatten(z)
    for path, value in position.items():
        np.testing.assert_allclose(back[path], value, rtol=1e-5)


def test_an_upper_bound_is_one_too(data):
    x, y = data
    prior = kp.TruncatedNormalPrior(0.0, 1.0, high=1.0)
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="d")]
    )
    found = kp.inference.LogPosterior(model, x, y, LIKELIHOOD)
    w = np.array([[0.5], [-2.0]], "float32")
    z = found.flatten({"d/kernel": w})
    np.testing.assert_allclose(z, np.log(1 - w[:, 0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.unflatten(z)["d/kernel"], w, rtol=1e-5)


def test_a_vector_has_the_jacobian_and_chains_are_those_of_a_loop(log_posterior, position, data):
    """All of it in one compiled call: two chains, with the Jacobian and without."""

    def both(z, data):
        first = log_posterior.log_prob_and_gradient(z, data)
        second = log_posterior.log_prob_and_gradient(z, data, jacobian=False)
        return *first, *second, log_posterior.log_prob(z, data)

    run = kp_backend.compile_function(
        lambda z, data: kp_backend.vectorize(lambda each: both(each, data))(z)
    )
    start = log_posterior.flatten(position).astype("float64")
    chains = np.stack([start, 0.5 * start + 0.1])
    found = run(keras.ops.convert_to_tensor(chains, dtype="float32"), log_posterior.data)
    found = [keras.ops.convert_to_numpy(part) for part in found]

    def constrained(z):
        w = np.array(z)
        w[9:12] = np.exp(z[9:12])
        w[12:] = -1 + 3 / (1 + np.exp(-z[12:]))
        return w

    def log_density(z, jacobian):
        w = constrained(z)
        # log dw/dz: of exp(z) it is z; of the sigmoid, log((w + 1) (2 - w) / 3).
        log_det = np.sum(z[9:12]) + np.sum(np.log((w[12:] + 1) * (2 - w[12:]) / 3))
        return sum(by_hand(w, *data)) + jacobian * log_det

    for k, z in enumerate(chains):
        for value, slope, jacobian in ((found[0], found[1], 1), (found[2], found[3], 0)):
            assert value[k] == pytest.approx(log_density(z, jacobian), rel=1e-5)
            expected = optimize.approx_fprime(z, log_density, 1e-6, jacobian)
            np.testing.assert_allclose(slope[k], expected, rtol=1e-3, atol=1e-3)
        assert found[4][k] == pytest.approx(found[0][k], rel=1e-6)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "likelihood", "given"])
def test_the_loss_that_a_model_was_compiled_with_is_its_likelihood(loss, data):
    x = data[0]
    y = np.array([[0], [1], [1], [0], [1]])
    prior = kp.NormalPrior(0.0, 2.0)
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, "sigmoid", kernel_regularizer=prior, name="out")]
    )
    kp.set_priors(model, prior)
    bernoulli = kp.likelihoods.Bernoulli(from_logits=False)
    if loss != "given":
        model.compile("sgd", loss=bernoulli if loss == "likelihood" else loss)
    found = kp.inference.LogPosterior(model, x, y, bernoulli if loss == "given" else None)
    kernel, bias = model.get_weights()
    p = 1 / (1 + np.exp(-(x @ kernel + bias).astype("float64")))
    expected = stats.bernoulli(p).logpmf(y).sum()
    expected += stats.norm(0, 2).logpdf(np.append(kernel, bias)).sum()
    assert found() == pytest.approx(expected, rel=1e-5)


def test_mse_is_refused_with_what_to_write(data):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"keras_priors\.likelihoods\.Normal\("):
        kp.inference.LogPosterior(model, *data)


def test_a_flat_prior_is_said_once_and_is_worth_nothing(data):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), name="out")]
    )
    with pytest.warns(UserWarning, match=r"has a flat one: out/bias of .*set_priors") as caught:
        kp.inference.MAP(max_iterations=0).fit(model, *data, LIKELIHOOD)
    assert len([w for w in caught if w.category is UserWarning]) == 1
    kernel = model.get_weights()[0]
    found = kp.inference.LogPosterior(model, *data, LIKELIHOOD)
    assert found.log_prior() == pytest.approx(stats.norm().logpdf(kernel).sum(), rel=1e-5)


def test_a_mixture_of_normals_is_taken_apart_at_a_temperature_of_1_alone(data):
    """The power of a marginal density is not the marginal of a power."""
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, use_bias=False, kernel_regularizer=kp.HorseshoePrior())]
    )
    for temperature, size in ((1.0, 4), (0.5, 2)):
        log_posterior = kp.inference.LogPosterior(model, *data, LIKELIHOOD, temperature=temperature)
        assert log_posterior.expanded().size == size


def test_num_data_has_no_part_in_it(data):
    values = []
    for num_data in (None, 1, 1000):
        prior = kp.NormalPrior(0.0, 1.0, num_data=num_data)
        model = keras.Sequential(
            [
                keras.Input((2,)),
                layers.Dense(
                    1, use_bias=False, kernel_initializer="ones", kernel_regularizer=prior
                ),
            ]
        )
        values.append(kp.inference.LogPosterior(model, *data, LIKELIHOOD)())
    assert values[0] == values[1] == values[2]


def test_what_is_no_log_posterior_is_refused(net, data, position):
    def line(**arguments):
        return keras.Sequential([keras.Input((2,)), layers.Dense(1, **arguments)])

    frozen = line()
    frozen.trainable = False
    for model, message in (
        (line(kernel_regularizer="l2"), r"must be a prior .* write keras_priors\.NormalPrior"),
        (line(activity_regularizer="l2"), "activity_regularizer"),
        (frozen, "trained weights"),
    ):
        with pytest.raises(ValueError, match=f"(?s){message}"):
            kp.inference.LogPosterior(model, *data, LIKELIHOOD)
    with pytest.raises(ValueError, match="sample_weight"):
        kp.inference.LogPosterior(net, *data, LIKELIHOOD, sample_weight=-np.ones(N))
    with pytest.raises(ValueError, match="batch_size"):
        kp.inference.LogPosterior(net, *data, LIKELIHOOD, batch_size=0)
    found = kp.inference.LogPosterior(net, *data, LIKELIHOOD)
    with pytest.raises(ValueError, match=r"without \['out/bias'\]"):
        found({path: position[path] for path in PATHS[:3]})
    with pytest.raises(ValueError, match=r"out/bias must have the shape \(1,\)"):
        found({**position, "out/bias": np.zeros(2)})
    with pytest.raises(ValueError, match="inside the support of its prior"):
        found.flatten({**position, "out/bias": [2.5]})
    assert found({**position, "out/bias": [2.5]}) == -np.inf
