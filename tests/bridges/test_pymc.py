"""A Keras model as a part of a PyMC model."""

import os

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import backend
from keras_priors.bridges.library import library
from tests._arviz import HAS_TREES, data_of
from tests.bridges._nets import (
    NOISE,
    X,
    Y,
    assert_exact,
    assert_same_predictions,
    exact,
    line,
    net,
    small_problem,
)
from tests.priors._models import every_prior, wide_model

pytest.importorskip("pymc", reason="no PyMC", exc_type=ModuleNotFoundError)
pm = library("pymc")
bridge = kp.bridges.pymc
BACKEND = keras.backend.backend()


def test_every_prior_is_a_variable_of_its_density_and_gradient():
    """At some z, which PyMC's transforms share with ours."""
    model = wide_model(every_prior(), kernel=0.4)
    x, y = np.zeros((2, 3), "float32"), np.zeros((2, 2), "float32")
    log_posterior = kp.inference.LogPosterior(model, x, y, NOISE).expanded()
    positions = log_posterior.positions
    with pm.Model() as built:
        found = bridge.weights(model)
    assert list(found) == list(kp.get_priors(model))
    names = [path.replace("/", ".") for path in positions.paths]
    values = {rv.name: built.rvs_to_values[rv].name for rv in built.free_RVs}
    z = 0.3 * np.random.default_rng(1).normal(size=positions.size).astype("float32")
    parts = positions.split(keras.ops.convert_to_tensor(z))
    point, order = {}, []
    for k, name in enumerate(names):
        variable = f"{name}.z" if positions.is_scaled(k) else name
        order.append(variable)
        point[values[variable]] = keras.ops.convert_to_numpy(parts[k]).astype("float64")
    densities = built.compile_logp(vars=[built[name] for name in order], sum=False)(point)
    expected = [float(positions.log_prior(z, indices=[k])) for k in range(len(names))]
    np.testing.assert_allclose([d.sum() for d in densities], expected, rtol=2e-5, atol=2e-5)
    # PyMC's own densities have PyMC's gradients; these are asked of the backend.
    ours = [
        k
        for k, prior in enumerate(positions.priors)
        if isinstance(prior, (kp.GeneralizedNormalPrior, kp.RegularizedHorseshoePrior))
    ]
    variables = [built[order[k]] for k in ours]
    slope = built.compile_dlogp(vars=variables)(point)
    vector = keras.ops.convert_to_tensor(z)
    _, wanted = backend.value_and_gradient(positions.log_prior)(vector)
    wanted = [positions.split(wanted)[k] for k in ours]
    wanted = np.concatenate([keras.ops.convert_to_numpy(each).ravel() for each in wanted])
    np.testing.assert_allclose(slope, wanted, rtol=2e-3, atol=2e-3)


def test_outputs_follow_weights_and_rows():
    import pytensor

    model = net()
    x = np.linspace(-1, 1, 5, dtype="float32")[:, None]
    start = bridge.start(model)
    with pm.Model() as built:
        rows = pm.Data("rows", x)
        weights = bridge.weights(model)
        found = bridge.outputs(model, rows, weights)
    given = {weights[path]: start[weights[path].name] for path in weights}
    assert found.type.shape == (None, 1)
    expected = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(found.eval(given), expected, rtol=1e-5, atol=1e-6)
    with built:
        pm.set_data({"rows": x[:2]})
    np.testing.assert_allclose(found.eval(given), expected[:2], rtol=1e-5, atol=1e-6)
    # In the inputs it is differentiable too: d sum(f) / dx is by finite differences.
    slope = pytensor.grad(found.sum(), rows).eval(given)
    up, down = (
        keras.ops.convert_to_numpy(model(x[:2] + np.float32(step))) for step in (1e-2, -1e-2)
    )
    np.testing.assert_allclose(slope, (up - down) / 2e-2, rtol=1e-2, atol=1e-3)


def test_outputs_have_the_structure_of_the_model():
    """Two inputs, one of whole numbers, and two outputs by name."""
    import pytensor.tensor as pt

    number, kind = keras.Input((1,), name="number"), keras.Input((), dtype="int32", name="kind")
    both = keras.layers.Embedding(3, 1, name="table")(kind) + number
    model = keras.Model([number, kind], {"sum": both, "twice": 2.0 * both})
    x = [np.ones((4, 1), "float32"), np.array([0, 1, 2, 0])]
    table = pt.matrix("table", shape=(3, 1))
    found = bridge.outputs(model, [x[0], pt.as_tensor(x[1])], {"table/embeddings": table})
    assert sorted(found) == ["sum", "twice"]
    at = {table: np.array([[1.0], [2.0], [3.0]])}
    np.testing.assert_allclose(found["twice"].eval(at)[:, 0], [4.0, 6.0, 8.0, 4.0], rtol=1e-6)
    slope = pt.grad(found["sum"].sum(), table).eval(at)
    np.testing.assert_allclose(slope[:, 0], [2.0, 1.0, 1.0], rtol=1e-6)


def test_draws_come_back_and_new_rows_are_predicted(line_of_pymc):
    """Known in closed form; predictions for new rows are those of its posterior."""
    built, model = line_of_pymc
    # Draws of the posterior, as PyMC has them; that it samples them: the tests below.
    mean, covariance = exact()
    drawn = np.random.default_rng(0).multivariate_normal(mean, covariance, (2, 100))[..., None]
    idata = data_of(
        posterior={"line.kernel": drawn},
        sample_stats={"diverging": np.zeros((2, 100), bool), "lp": np.ones((2, 100))},
    )
    with built:
        pm.compute_log_likelihood(idata, progressbar=False)
    posterior = bridge.from_pymc(model, idata, X, Y, NOISE)
    assert (posterior.num_chains, posterior.num_draws) == (2, 100)
    np.testing.assert_allclose(posterior.draws()["line/kernel"], drawn.reshape(200, 3, 1), 1e-5)
    assert posterior.sample_stats["lp"].shape == (2, 100)
    # Densities of rows are those of the likelihood at the draws.
    ours = posterior.log_likelihood(X, Y, num_samples=200)
    theirs = idata.log_likelihood["y"].values.reshape(200, 20)
    np.testing.assert_allclose(theirs, ours.reshape(200, 20), rtol=1e-4, atol=1e-4)
    with built:
        pm.set_data({"x": X[:2]})
        # With the name: without it PyMC puts "y" into its model a second time.
        new = pm.sample_posterior_predictive(
            idata, var_names=["y"], random_seed=0, progressbar=False
        )
        pm.set_data({"x": X})
    y = new.posterior_predictive["y"].values
    assert y.shape == (2, 100, 2, 1)
    sd = np.sqrt(np.einsum("ij,jk,ik->i", X[:2], covariance, X[:2]) + 0.25)
    assert np.all(np.abs(y.mean((0, 1))[:, 0] - X[:2] @ mean) < 4 * sd / np.sqrt(100))
    assert np.all(np.abs(y.std((0, 1))[:, 0] - sd) < 4 * sd / np.sqrt(2 * 100))


@pytest.fixture(scope="module")
def line_of_pymc():
    model = line()
    return bridge.to_pymc(model, X, Y, NOISE), model


def sampled(built, draws, tune, chains=2, **options):
    """By PyMC's NUTS, in this process."""
    return pm.sample(
        draws,
        tune=tune,
        chains=chains,
        cores=1,
        model=built,
        random_seed=1,
        progressbar=False,
        quiet=True,
        **options,
    )


@pytest.mark.skipif(BACKEND != "jax", reason="a call of Python for each gradient: see the slow one")
def test_the_line_is_sampled(line_of_pymc):
    built, model = line_of_pymc
    posterior = bridge.from_pymc(model, sampled(built, 150, 150), X, Y, NOISE)
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 150)
    assert {"diverging", "step_size", "tree_depth", "lp"} <= set(posterior.sample_stats)


@pytest.mark.slow
@pytest.mark.closed_form
def test_the_line_is_sampled_well(line_of_pymc):
    built, model = line_of_pymc
    posterior = bridge.from_pymc(model, sampled(built, 750, 500), X, Y, NOISE)
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 1000)


# PyMC 6 says so where the line search of float32 gradients ends before its tolerance.
@pytest.mark.filterwarnings("ignore:The optimizer did not converge:UserWarning")
def test_its_mode_is_the_map(line_of_pymc):
    built, model = line_of_pymc
    mode = pm.find_MAP(start=bridge.start(model), model=built, progressbar=False)
    np.testing.assert_allclose(mode["line.kernel"][:, 0], exact()[0], atol=1e-3)


@pytest.mark.parametrize(
    "prior", [kp.NormalPrior(0.2, kp.HalfCauchyPrior(1.0)), kp.RegularizedHorseshoePrior(0.1, 1.0)]
)
def test_the_start_is_where_the_model_is(prior):
    """Of scales and standardized weights too: what they make is the weight."""
    model = line(prior)
    start = bridge.start(model)
    with pm.Model() as built:
        kernel = bridge.weights(model)["line/kernel"]
    assert set(start) == {rv.name for rv in built.free_RVs}
    found = kernel.eval({rv: start[rv.name] for rv in built.free_RVs})
    np.testing.assert_allclose(found, np.asarray(model.get_weights()[0]), rtol=1e-4, atol=1e-6)


def test_an_unknown_scale_has_draws_too():
    model = line(kp.NormalPrior(0, kp.HalfCauchyPrior(1.0)))
    built = bridge.to_pymc(model, X, Y, NOISE)
    with built:
        prior = pm.sample_prior_predictive(3, random_seed=0)
    names = {"line.kernel.prior_scale", "line.kernel.z", "line.kernel"}
    assert names <= set(built.named_vars)
    posterior = bridge.from_pymc(model, _dataset(prior.prior), X, Y, NOISE)
    draws = posterior.draws()
    scale = prior.prior["line.kernel.prior_scale"].values.reshape(3, 1, 1)
    z = prior.prior["line.kernel.z"].values[0]
    np.testing.assert_allclose(draws["line/kernel"], scale * z, rtol=1e-5)
    np.testing.assert_allclose(draws["line/kernel/prior_scale"], scale[:, 0, 0], rtol=1e-5)


def _dataset(group):
    return group.to_dataset() if HAS_TREES else group


@pytest.mark.parametrize("one_hot", [False, True])
def test_classes_have_their_probabilities(one_hot):
    layer = keras.layers.Dense(3, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1))
    model = keras.Sequential([keras.Input((3,)), layer])
    classes = np.arange(20) % 3
    y = np.eye(3, dtype="float32")[classes] if one_hot else classes
    likelihood = kp.likelihoods.Categorical()
    built = bridge.to_pymc(model, X, y, likelihood)
    log_posterior = kp.inference.LogPosterior(model, X, y, likelihood)
    point = bridge.start(model)
    (observed,) = built.observed_RVs
    assert observed.dtype == "int64"
    (densities,) = built.compile_logp(vars=[observed], sum=False)(point)
    assert densities.shape == (20,)
    np.testing.assert_allclose(densities.sum(), log_posterior.log_likelihood(), rtol=1e-5)
    drawn = pm.draw(observed, random_seed=0)
    assert drawn.shape == (20,) and set(drawn) <= {0, 1, 2}


def test_several_outputs_have_their_likelihoods():
    x = keras.Input((3,))
    mean = keras.layers.Dense(1, name="mean", kernel_regularizer=kp.NormalPrior(0, 1))(x)
    count = keras.layers.Dense(1, name="count", kernel_regularizer=kp.NormalPrior(0, 1))(x)
    model = keras.Model(x, {"mean": mean, "count": count})
    y = {"mean": Y, "count": np.arange(20)}
    likelihoods = {"mean": NOISE, "count": kp.likelihoods.Poisson()}
    with pytest.warns(UserWarning, match="without a prior has a flat one"):
        built = bridge.to_pymc(model, X, y, likelihoods)
    assert sorted(rv.name for rv in built.observed_RVs) == ["y.count", "y.mean"]
    log_posterior = kp.inference.LogPosterior(model, X, y, likelihoods)
    found = built.compile_logp()(bridge.start(model))
    np.testing.assert_allclose(found, log_posterior(), rtol=1e-5)


def test_a_mask_is_refused():
    model = keras.Sequential(
        [
            keras.Input((4, 1)),
            keras.layers.Masking(),
            keras.layers.SimpleRNN(2, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    x = np.ones((2, 4, 1), "float32")
    built = x.copy()
    built[0, 2:] = 0.0
    with pytest.raises(ValueError, match="knows no mask"):
        bridge.to_pymc(model, built, x, NOISE)


def test_weights_that_do_not_fit_are_refused():
    model = line()
    for weights in ({}, {"line/kernel": np.ones((3, 1)), "other": 1.0}):
        with pytest.raises(ValueError, match="a variable for each weight"):
            bridge.outputs(model, X, weights)
    with pytest.raises(ValueError, match=r"must have the shape \(3, 1\)"):
        bridge.outputs(model, X, {"line/kernel": np.ones((3, 2))})


def test_a_forked_process_is_refused(monkeypatch):
    found = bridge.outputs(line(), X, {"line/kernel": np.ones((3, 1))})
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with pytest.raises(RuntimeError, match="cores=1"):
        found.eval()


def fitted(built, model, method):
    """Draws (2000, 3) of what `pm.fit` ends with, first with a large rate and then a small one."""
    kind = {"advi": pm.ADVI, "fullrank_advi": pm.FullRankADVI}[method]
    with built:
        inference = kind(start=bridge.start(model), random_seed=0)
        for rate, steps in ((0.03, 1500), (0.003, 1000)):
            approximation = pm.fit(
                steps,
                method=inference,
                obj_optimizer=pm.adam(learning_rate=rate),
                progressbar=False,
            )
    return approximation.sample(2000, random_seed=1)


# PyMC's optimizers and approximations ask PyTensor for what it calls deprecated.
QUIET = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@QUIET
@pytest.mark.slow
@pytest.mark.closed_form
@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_variational_inference_of_pymc(line_of_pymc, method):
    """Where q is independent its deviations are 1 / sqrt(P_ii), not those of the posterior."""
    built, model = line_of_pymc
    idata = fitted(built, model, method)
    posterior = bridge.from_pymc(model, idata, X, Y, NOISE)
    draws = posterior.draws()["line/kernel"][:, :, 0]
    mean, covariance = exact()
    full = method == "fullrank_advi"
    sd = np.sqrt(np.diag(covariance) if full else 1 / np.diag(np.linalg.inv(covariance)))
    assert np.all(np.abs(draws.mean(0) - mean) < 0.3 * sd)
    assert np.all(np.abs(draws.std(0) / sd - 1.0) < 0.25)


@QUIET
@pytest.mark.slow
@pytest.mark.closed_form
def test_minibatches_weigh_as_much_as_all_rows():
    model = line()
    with pm.Model() as built:
        # In PyMC's own precision: it takes no targets that it would have to cast.
        x, y = pm.Minibatch(X, Y.astype("float64"), batch_size=10)
        f = bridge.outputs(model, x, bridge.weights(model))
        pm.Normal("y", f, 0.5, observed=y, total_size=20)
    idata = fitted(built, model, "advi")
    draws = idata.posterior["line.kernel"].values.reshape(2000, 3)
    mean, covariance = exact()
    sd = np.sqrt(1 / np.diag(np.linalg.inv(covariance)))
    assert np.all(np.abs(draws.mean(0) - mean) < 0.6 * sd)
    # Without `total_size` they would be those of half of the rows: 1.4 times as wide.
    assert np.all(np.abs(draws.std(0) / sd - 1.0) < 0.3)
    assert abs(np.mean(draws.std(0) / sd) - 1.0) < 0.2


@pytest.mark.slow
@pytest.mark.closed_form
def test_a_net_beside_intercepts_of_groups():
    """y = f(x) + a_group with a ~ N(0, 1): f, one part of a larger model, is linear here, so that
    the posterior is known.
    """
    groups, tau = np.arange(20) % 4, 1.0
    y = Y[:, 0] + np.array([1.0, -1.0, 0.5, 0.0])[groups]
    model = line()
    with pm.Model() as built:
        f = bridge.outputs(model, X, bridge.weights(model))
        a = pm.Normal("a", 0.0, tau, shape=4)
        pm.Normal("y", f[:, 0] + a[groups], 0.5, observed=y)
    idata = sampled(built, 1000, 500)
    design = np.concatenate([X, np.eye(4)[groups]], axis=1)
    covariance = np.linalg.inv(np.eye(7) + design.T @ design / 0.25)
    mean, sd = covariance @ design.T @ y / 0.25, np.sqrt(np.diag(covariance))
    found = idata.posterior["line.kernel"].values.reshape(2000, 3)
    found = np.concatenate([found, idata.posterior["a"].values.reshape(2000, 4)], axis=1)
    assert np.all(np.abs(found.mean(0) - mean) < 4 * sd / np.sqrt(800))
    assert np.all(np.abs(found.std(0) - sd) < 4 * sd / np.sqrt(1600))


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="minutes, where each gradient is a call of Python")
def test_a_net_has_the_predictions_of_our_nuts():
    """Of a net, whose posterior no one knows: two samplers, one answer."""
    model, x, y, likelihood = small_problem()
    built = bridge.to_pymc(model, x, y, likelihood)
    theirs = bridge.from_pymc(model, sampled(built, 400, 300), x, y, likelihood)
    assert_same_predictions(theirs)
