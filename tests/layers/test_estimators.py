"""Each estimator is unbiased for inputs without positions, and the better ones are better."""

import numpy as np
import pytest
from keras import ops

from keras_priors.layers import VariationalDense
from tests.layers._layers import (
    ESTIMATORS,
    PAIRS,
    X,
    dense,
    expected,
    output_moments,
    raw_of,
    variables_of,
)
from tests.posteriors._calculus import compiled, standard_errors
from tests.posteriors._families import FAMILIES, moments

DRAWS = 2000
# Families of the bias are crossed with one family of the kernel each.
TRIPLES = [(e, f, "mean_field") for e, f in PAIRS] + [
    (estimator, "mean_field", bias)
    for estimator in ESTIMATORS
    for bias in ("delta", "low_rank_1", "full", "log_normal")
]


def draws_of(layer, x, count=DRAWS):
    state = [layer.seed_generator.state]
    run = compiled(lambda tensor: layer(tensor, training=True), layer.trainable_variables, state)
    tensor = ops.convert_to_tensor(x)
    return np.stack([run(tensor)[0] for _ in range(count)])


@pytest.mark.parametrize("estimator, family, bias", TRIPLES)
def test_outputs_have_the_exact_mean_and_covariance(estimator, family, bias):
    layer = dense(estimator, family, bias)
    mean, covariance = expected(layer, family, bias, X.astype("float64"))
    draws = draws_of(layer, X)
    assert standard_errors(draws, mean).max() < 4
    centred = draws - mean
    products = centred[..., :, None] * centred[..., None, :]
    assert standard_errors(products, covariance).max() < 4


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_inputs_with_a_time_axis(estimator):
    x = np.random.default_rng(5).normal(size=(2, 2, 3)).astype("float32")
    layer = dense(estimator, "mean_field")
    mean, covariance = expected(
        layer, "mean_field", "mean_field", x.reshape(4, 3).astype("float64")
    )
    draws = draws_of(layer, x)
    assert draws.shape[1:] == (2, 2, 2)
    draws = draws.reshape(-1, 4, 2)
    assert standard_errors(draws, mean).max() < 4
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    assert standard_errors((draws - mean) ** 2, variance).max() < 4


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rows_are_independent_but_for_the_shared_draw(estimator):
    layer = dense(estimator, "mean_field", bias="delta")
    x = np.ones((2, 3), "float32")
    draws = draws_of(layer, x, 1000)[:, :, 0]
    mean, _ = expected(layer, "mean_field", "delta", x.astype("float64"))
    product = (draws[:, 0] - mean[0, 0]) * (draws[:, 1] - mean[1, 0])
    if estimator == "reparameterization":
        assert np.array_equal(draws[:, 0], draws[:, 1])
    else:
        assert standard_errors(product, 0.0) < 4


TARGET = np.random.default_rng(4).normal(size=(3, 2))


def expected_loss(family, bias, kernel_raw, bias_raw):
    """E of half the mean over rows of the squared error, exactly."""
    x = X.astype("float64")
    mean, covariance = output_moments(x, moments(family, kernel_raw), moments(bias, bias_raw))
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    return 0.5 * np.mean(np.sum((mean - TARGET) ** 2 + variance, axis=-1))


def finite_differences(function, raw):
    gradients = {}
    for part, value in raw.items():
        gradients[part] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            moved = {**raw, part: value.copy()}
            moved[part][index] += 1e-5
            up = function(moved)
            moved[part][index] -= 2e-5
            gradients[part][index] = (up - function(moved)) / 2e-5
    return gradients


def gradients_of(layer, x, target, variables, count):
    def loss(tensor, goal):
        error = ops.square(layer(tensor, training=True) - goal)
        return 0.5 * ops.mean(ops.sum(error, axis=-1))

    run = compiled(loss, variables, [layer.seed_generator.state], with_gradient=True)
    tensors = [ops.convert_to_tensor(x), ops.convert_to_tensor(target.astype("float32"))]
    return zip(*[run(*tensors)[1] for _ in range(count)], strict=True)


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_gradients_are_unbiased(estimator, family):
    layer = dense(estimator, family)
    kernel, bias = variables_of(layer.kernel_posterior), variables_of(layer.bias_posterior)
    kernel_raw, bias_raw = raw_of(layer.kernel_posterior), raw_of(layer.bias_posterior)
    args = family, "mean_field"
    exact = [
        *finite_differences(lambda raw: expected_loss(*args, raw, bias_raw), kernel_raw).values(),
        *finite_differences(lambda raw: expected_loss(*args, kernel_raw, raw), bias_raw).values(),
    ]
    names = [*kernel, *(f"bias {part}" for part in bias)]
    variables = [*kernel.values(), *bias.values()]
    drawn = gradients_of(layer, X, TARGET, variables, 1000)
    for name, samples, gradient in zip(names, drawn, exact, strict=True):
        assert standard_errors(np.stack(samples), gradient).max() < 4, name


@pytest.mark.parametrize(
    "estimator, error, of_loc, of_rho",
    [
        ("local_reparameterization", "signal", 0.7, 0.4),
        ("local_reparameterization", "noise", 0.4, 0.4),
        ("flipout", "signal", 0.7, 0.4),
        # Where the errors come from the noise itself: its rows share |noise|, and the gradient of
        # a scale varies with that as before.
        ("flipout", "noise", 0.4, 1.2),
    ],
)
def test_gradients_vary_less_than_with_a_shared_draw(estimator, error, of_loc, of_rho):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype("float32")
    target = rng.normal(size=(64, 2))
    if error == "signal":  # what the means have yet to learn, as at the start of a fit
        target = target + x @ rng.normal(size=(8, 2)) * 4.0

    def spread(name):
        layer = dense(name, "mean_field", inputs=8)
        if error == "signal":
            layer.kernel_posterior.rho.assign(np.full((8, 2), -3.3, "float32"))  # scales of 0.036
        variables = [layer.kernel_posterior.loc, layer.kernel_posterior.rho]
        drawn = gradients_of(layer, x, target, variables, 150)
        return [np.stack(samples).var(axis=0).sum() for samples in drawn]

    shared, own = spread("reparameterization"), spread(estimator)
    assert own[0] < of_loc * shared[0]
    assert own[1] < of_rho * shared[1]
    # The step that an optimizer takes is along all of them.
    assert sum(own) < 0.7 * sum(shared)


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_rows_of_zeros_have_finite_gradients(estimator, family):
    layer = dense(estimator, family, bias="delta")
    x = X.copy()
    x[0] = 0.0
    every = layer.trainable_variables
    for rows in (x, np.zeros_like(x)):
        for samples in gradients_of(layer, rows, TARGET, every, 1):
            assert np.isfinite(samples[0]).all()


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_rows_of_zeros_have_finite_input_gradients(estimator, family):
    import keras

    layer = dense(estimator, family, bias="delta")
    x = keras.Variable(np.zeros((3, 3), "float32"))
    run = compiled(
        lambda: ops.sum(layer(ops.multiply(x, 1.0), training=True)),
        [x],
        with_gradient=True,
        once=True,
    )
    assert np.isfinite(run()[1][0]).all()


UNSUPPORTED = [(e, f) for e in ESTIMATORS for f in FAMILIES if (e, f) not in PAIRS]


@pytest.mark.parametrize("estimator, family", UNSUPPORTED)
def test_unsupported_pairs_are_refused_by_both_names(estimator, family):
    with pytest.raises(ValueError, match="reparameterization") as error:
        VariationalDense(2, kernel_posterior=FAMILIES[family], estimator=estimator)
    assert estimator in str(error.value)
    assert type(FAMILIES[family]).__name__ in str(error.value)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match=r"'flipout', 'local_repar.*Received: estimator='radial'"):
        VariationalDense(2, estimator="radial")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3), (5, 3), (2, 3, 4, 3)], ids=str)
def test_shapes(estimator, shape):
    layer = dense(estimator, "mean_field")
    assert tuple(layer(np.ones(shape, "float32"), training=True).shape) == (*shape[:-1], 2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("rank", [65])
def test_a_high_rank_kernel_is_independent_of_the_bias(estimator, rank):
    from keras_priors import posteriors

    if estimator == "flipout":
        pytest.skip("not for this family")
    # All spread in the last column of B; the bias draws from its own stream.
    layer = VariationalDense(
        1,
        kernel_posterior=posteriors.LowRankNormal(rank),
        estimator=estimator,
        bias_posterior=posteriors.FullNormal(),
        num_data=1,
        seed=0,
    )
    layer.build((None, 1))
    kernel = layer.kernel_posterior
    factor = np.zeros((rank, 1, 1), "float32")
    factor[63] = 1.0
    kernel.factor.assign(factor)
    kernel.rho.assign([[-30.0]])
    layer.bias_posterior.scale_tril.assign([[0.5413]])  # softplus(0.5413) = 1
    draws = draws_of(layer, np.ones((1, 1), "float32"), 600).reshape(-1)
    mean = float(np.asarray(raw_of(kernel)["loc"]).sum())
    # Two independent unit normals: a variance of 2, and of 4 if they were one.
    assert standard_errors((draws - mean) ** 2, 2.0) < 4
