"""A normal prior over several weights together, as the regularizers of a model."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp
from keras_priors.priors import FullBlock, KroneckerBlock, LowRankBlock

COVARIANCE = [[1.0, 0.9, 0.2], [0.9, 2.0, -0.3], [0.2, -0.3, 0.5]]
MEAN = {"line/kernel": np.array([[1.0], [-1.0]]), "line/bias": np.array([0.5])}
NORMAL = stats.multivariate_normal([1.0, -1.0, 0.5], COVARIANCE)


def make(name="line"):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name=name)])


def with_prior():
    model = make()
    kp.set_priors(model, kp.JointNormalPrior(MEAN, COVARIANCE))
    kp.set_num_data(model, 10)
    return model


def values_of(model):
    return np.concatenate([ops.convert_to_numpy(v.value).ravel() for v in model.weights])


def penalty(model):
    return float(ops.convert_to_numpy(sum(model.losses)))


def test_the_density_is_that_of_scipy():
    at = {"line/kernel": [[0.3], [2.0]], "line/bias": [-1.0]}
    for given in ({"covariance": COVARIANCE}, {"precision": np.linalg.inv(COVARIANCE)}):
        prior = kp.JointNormalPrior(MEAN, **given)
        np.testing.assert_allclose(prior.log_prob(at), NORMAL.logpdf([0.3, 2.0, -1.0]), rtol=1e-6)
        np.testing.assert_allclose(np.linalg.inv(prior.precision()), COVARIANCE, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Received: none for \[.line/bias.\]"):
        prior.log_prob({"line/kernel": [[0.3], [2.0]]})


@pytest.mark.parametrize(
    ("mean", "match"),
    [({}, "a weight at least"), ({"line/bias": [0.5]}, "a row for each of the 1 elements")],
)
def test_a_mean_and_a_matrix_fit_each_other(mean, match):
    with pytest.raises(ValueError, match=match):
        kp.JointNormalPrior(mean, COVARIANCE)


def test_a_file_keeps_it_and_a_loaded_model_says_what_to_do(tmp_path):
    model = with_prior()
    model.layers[0].bias.assign([2.0])
    expected = -NORMAL.logpdf(values_of(model)) / 10
    np.testing.assert_allclose(penalty(model), expected, rtol=1e-5)
    model.save(tmp_path / "m.keras")
    for copy in (keras.saving.load_model(tmp_path / "m.keras"), keras.models.clone_model(model)):
        with pytest.raises(ValueError, match="in a model that was loaded or copied"):
            penalty(copy)
        kp.set_num_data(copy, 5)
        copy.set_weights(model.get_weights())
        np.testing.assert_allclose(penalty(copy), 2 * expected, rtol=1e-5)
    np.testing.assert_allclose(penalty(model), expected, rtol=1e-5)


def test_weights_are_frozen_and_given_other_priors_together():
    model = with_prior()
    with pytest.raises(ValueError, match="have one density together"):
        kp.set_priors(model, {"kernel": kp.NormalPrior(0, 1)})
    with pytest.raises(ValueError, match="have one density together"):
        kp.set_priors(model, {"kernel": None})
    penalty(model)  # as it was
    model.layers[0].bias.regularizer = None
    with pytest.raises(ValueError, match="line/bias with None"):
        penalty(model)
    with pytest.raises(ValueError, match="one of which only, or more than once, line/kernel"):
        kp.sample_prior(with_bias(model), 3)
    kp.set_priors(model, kp.NormalPrior(0, 1))
    assert isinstance(kp.get_priors(model)["line/bias"], kp.NormalPrior)
    for trained in ("kernel", "bias"):
        model = with_prior()
        getattr(model.layers[0], trained).trainable = False
        with pytest.raises(ValueError, match="trained together, or frozen together"):
            penalty(model)


def with_bias(model):
    model.layers[0].bias.regularizer = kp.NormalPrior(0, 1)
    return model


def test_it_is_for_the_weights_that_it_names():
    prior = kp.JointNormalPrior(MEAN, COVARIANCE)
    with pytest.raises(ValueError, match="line/kernel, which 0 have, of other/kernel"):
        kp.set_priors(make("other"), prior)
    wide = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="line")])
    with pytest.raises(ValueError, match=r"line/kernel of shape \(3, 1\), not \(2, 1\)"):
        kp.set_priors(wide, prior)
    outer = keras.Sequential([keras.Input((2,)), make()])
    assert len(kp.set_priors(outer, prior)) == 2
    kp.set_num_data(outer, 10)
    np.testing.assert_allclose(penalty(outer), -NORMAL.logpdf(values_of(outer)) / 10, rtol=1e-5)


def test_a_positive_weight_is_log_normal(tmp_path):
    prior = kp.JointNormalPrior(MEAN, COVARIANCE, positive=["line/bias"])
    at = {"line/kernel": [[0.3], [2.0]], "line/bias": [0.4]}
    expected = NORMAL.logpdf([0.3, 2.0, np.log(0.4)]) - np.log(0.4)
    np.testing.assert_allclose(prior.log_prob(at), expected, rtol=1e-6)
    assert prior.log_prob({**at, "line/bias": [-0.4]}) == -np.inf
    assert prior.log_prob({**at, "line/bias": [0.0]}) == -np.inf
    model = make()
    model.layers[0].bias.assign([0.4])
    kp.set_priors(model, prior)
    assert kp.get_priors(model)["line/bias"].support == (0.0, np.inf)
    assert model.layers[0].bias_constraint is not None
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    kp.set_num_data(loaded, 10)
    values = values_of(loaded)
    expected = NORMAL.logpdf([*values[:2], np.log(0.4)]) - np.log(0.4)
    np.testing.assert_allclose(penalty(loaded), -expected / 10, rtol=1e-5)
    assert isinstance(kp.get_priors(loaded)["line/bias"].marginal(), kp.LogNormalPrior)
    with pytest.raises(ValueError, match="`positive` of JointNormalPrior must name weights"):
        kp.JointNormalPrior(MEAN, COVARIANCE, positive=["other"])


def test_one_weight_alone_has_no_density_and_no_draws():
    part = kp.get_priors(with_prior())["line/kernel"]
    for ask in (part.log_prob, part.sample, part.distribution, part.initializer()):
        with pytest.raises(NotImplementedError, match="one density for several weights"):
            ask(np.zeros((2, 1), "float32") if ask == part.log_prob else (2, 1))
    marginal = part.marginal()
    np.testing.assert_allclose(np.ravel(marginal.scale) ** 2, [1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(marginal.loc, MEAN["line/kernel"])


def blocks():
    rng = np.random.default_rng(0)
    of_all = (("a/kernel", "a/bias"), ((2, 2), (2,)), rng.normal(size=6))
    turn = [np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (3, 2, 6)]
    yield FullBlock(*of_all, whitening=rng.normal(size=(6, 6)))
    values = rng.uniform(0.5, 2.0, (3, 2))
    yield KroneckerBlock(*of_all, left=turn[0], right=turn[1], values=values)
    scale = rng.uniform(0.5, 2.0, 6)
    yield LowRankBlock(*of_all, scale=scale, vectors=turn[2][:, :2], values=[-0.7, 3.0])


@pytest.mark.parametrize("block", list(blocks()), ids=lambda block: block.kind)
def test_a_block_has_one_covariance_in_all_that_it_does(block):
    covariance = np.linalg.inv(block.precision())
    root = np.stack([block.color(e) for e in np.eye(6)], axis=1)
    np.testing.assert_allclose(root @ root.T, covariance, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(block.variance(), np.diagonal(covariance))
    np.testing.assert_allclose(block.precision_diagonal(), np.diagonal(block.precision()))
    again = type(block).from_config(block.config())
    at = np.arange(6.0, dtype="float32") / 10
    found = again.log_prob([ops.convert_to_tensor(v) for v in block.split(at).values()])
    expected = stats.multivariate_normal(block.mean, covariance).logpdf(at)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


def test_a_damaged_block_is_refused():
    full, kronecker, low_rank = blocks()
    for block, name, value, match in (
        (full, "whitening", np.eye(5), "arrays for 6 elements"),
        (full, "whitening", np.ones((6, 6)), "must be positive definite"),
        (kronecker, "values", -np.ones((3, 2)), "must be positive definite"),
        (low_rank, "values", [-1.5, 1.0], "must be positive definite"),
    ):
        config = block.config()
        config["arrays"][name] = np.asarray(value)
        with pytest.raises(ValueError, match=match):
            type(block).from_config(config)
    with pytest.raises(ValueError, match="kind of a joint normal must be one of"):
        FullBlock.from_config({**full.config(), "kind": "other"})
