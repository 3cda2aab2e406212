"""A joint prior over an inferred noise, and beside other priors."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp
from keras_priors import inference

NOISE = 0.5
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 2)).astype("float32")
Y = (X @ [[1.0], [-1.0]] + 0.3 + NOISE * RANDOM.normal(size=(40, 1))).astype("float32")


def noisy():
    inputs = keras.Input((2,))
    line = keras.layers.Dense(1, name="line")(inputs)
    model = keras.Model(inputs, kp.layers.NoiseScale(initial_scale=NOISE, name="noise")(line))
    kp.set_priors(model, {keras.layers.Dense: kp.NormalPrior(0.5, 1.5)})
    return model


AT = {
    "line/kernel": np.array([[0.2], [-0.4]], "float32"),
    "line/bias": np.array([1.0], "float32"),
    "noise/scale": np.array([0.7], "float32"),
}


@pytest.mark.parametrize("structure", ["full", "low_rank", "diagonal", "swag", "draws"])
def test_a_noise_that_is_inferred_has_a_prior_by_its_logarithm(structure):
    model, rng = noisy(), np.random.default_rng(0)
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    if structure == "swag":
        arrays = rng.normal(size=4), rng.uniform(0.5, 2.0, 4), rng.normal(size=(2, 4))
        posterior = inference.SWAGPosterior(model, likelihood, *arrays)
        expected = posterior.log_prob(AT)
    elif structure == "draws":
        log_posterior = inference.LogPosterior(model, X, Y, likelihood)
        z = rng.normal(size=(1, 100, 4)) @ rng.normal(size=(4, 4))
        posterior = inference.SamplePosterior.from_draws(log_posterior, z)
        normal = stats.multivariate_normal(z[0].mean(axis=0), np.cov(z[0].T))
        at = log_posterior.flatten(AT)
        expected = normal.logpdf(at) - at[-1]
    else:
        # Around any point: its density is what counts here.
        method = inference.Laplace(structure, rank=4, max_iterations=0, tolerance=1e9)
        posterior = method.fit(model, X, Y, likelihood, seed=0, verbose=0)
        expected = posterior.log_prob(AT)
    prior = posterior.as_prior()
    np.testing.assert_allclose(prior.log_prob(AT), expected, rtol=1e-4)
    kp.set_priors(model, prior)
    log_posterior = inference.LogPosterior(model, X, Y, likelihood)
    np.testing.assert_allclose(log_posterior.log_prior(AT), expected, rtol=1e-4)
    z = ops.convert_to_tensor(log_posterior.flatten(AT), dtype="float32")
    of_z = [float(log_posterior.log_prior_at(z, jacobian)) for jacobian in (True, False)]
    np.testing.assert_allclose(of_z, [expected + np.log(0.7), expected], rtol=1e-4)
    for variable, value in zip(log_posterior.positions.variables, AT.values(), strict=True):
        variable.assign(value)
    kp.set_num_data(model, 10)
    loss = ops.convert_to_numpy(sum(model.losses))
    np.testing.assert_allclose(loss, -expected / 10, rtol=1e-4)
    drawn = np.log(kp.sample_prior(model, 400, seed=0)["noise/scale"])
    marginal = prior.stddev()["noise/scale"].item()
    np.testing.assert_allclose(drawn.std(), marginal, rtol=4 / 800**0.5)
    if structure == "diagonal":
        assert isinstance(kp.get_priors(model)["noise/scale"], kp.LogNormalPrior)


@pytest.mark.slow
@pytest.mark.closed_form
def test_a_noise_that_is_inferred_follows_the_parts():
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    # Of 400 rows the posterior of log(noise) is nearly normal.
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 2)).astype("float32")
    y = (x @ [[1.0], [-1.0]] + NOISE * rng.normal(size=(400, 1))).astype("float32")
    method = inference.Laplace("full")

    def of(model, part):
        return method.fit(model, x[part], y[part], likelihood, seed=0, verbose=0)

    joint, model = of(noisy(), slice(0, 400)), noisy()
    kp.set_priors(model, of(model, slice(0, 200)).as_prior())
    second, sd = of(model, slice(200, 400)), joint.stddev()
    for path, mean in second.mean().items():
        assert np.all(np.abs(mean - joint.mean()[path]) < 0.1 * sd[path])
        np.testing.assert_allclose(second.stddev()[path], sd[path], rtol=0.05)


def alike(temperature, kernel):
    """The log posteriors of priors of each weight, and of a joint prior without correlations."""
    inputs = keras.Input((2,))
    for joint in (False, True):
        hidden = keras.layers.Dense(2, activation="tanh", name="hidden")(inputs)
        line = keras.layers.Dense(1, name="line", use_bias=False)(hidden)
        outputs = kp.layers.NoiseScale(initial_scale=NOISE, name="noise")(line)
        model = keras.Model(inputs, outputs)
        model.set_weights([np.full(v.shape, 0.3, "float32") for v in model.variables])
        rules = {"hidden/kernel": kernel, "hidden/bias": kp.LogisticPrior(0, 2)}
        rules["line/kernel"] = kp.NormalPrior(0.5, 2.0)
        rules["noise/scale"] = kp.LogNormalPrior(-1.0, 0.5)
        kp.set_priors(model, rules)
        if joint:
            mean = {"line/kernel": [[0.5], [0.5]], "noise/scale": [-1.0]}
            matrix = np.diag([4.0, 4.0, 0.25])
            kp.set_priors(model, kp.JointNormalPrior(mean, matrix, positive=["noise/scale"]))
        likelihood = kp.likelihoods.HeteroscedasticNormal()
        yield inference.LogPosterior(model, X, Y, likelihood, temperature=temperature)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_without_correlations_it_is_the_priors_of_each_weight_beside_others(temperature):
    each, joint = alike(temperature, kp.HorseshoePrior(0.5))
    np.testing.assert_allclose(joint.log_prior(), each.log_prior(), rtol=1e-5)
    for one, other in ((each, joint), (each.expanded(), joint.expanded())):
        z = np.linspace(-1.0, 1.0, one.positions.size).astype("float32")
        values = [float(v.log_prior_at(ops.convert_to_tensor(z))) for v in (one, other)]
        np.testing.assert_allclose(values[1], values[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.closed_form
@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("structure", ["full", "diagonal"])
def test_laplace_takes_it_beside_other_priors(structure, temperature):
    method = inference.Laplace(structure, max_iterations=0, tolerance=1e9)
    found = [
        method.fit(
            log_posterior.model,
            X,
            Y,
            kp.likelihoods.HeteroscedasticNormal(),
            temperature=temperature,
            verbose=0,
        )
        for log_posterior in alike(temperature, kp.NormalPrior(0, 1))
    ]
    for path, stddev in found[0].stddev().items():
        np.testing.assert_allclose(found[1].stddev()[path], stddev, rtol=1e-4)
    if temperature == 1.0:
        evidences = [posterior.log_marginal_likelihood() for posterior in found]
        np.testing.assert_allclose(evidences[1], evidences[0], rtol=1e-5)
