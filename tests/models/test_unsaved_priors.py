"""Priors on models that Keras does not make from their config."""

import pickle

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.functional.carry_priors import carry_priors

X = np.random.default_rng(0).standard_normal((12, 3)).astype("float32")
Y = X[:, :1] - 0.5
NOISE = kp.likelihoods.Normal(0.5)


@keras.saving.register_keras_serializable("test_unsaved_priors")
class OfCode(keras.Model):
    """Takes what it is not asked for, as many models do."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(4, "tanh", name="hidden")
        self.out = keras.layers.Dense(1, name="out")

    def call(self, x, **kwargs):
        return self.out(self.hidden(x))


def model_of_code():
    keras.utils.set_random_seed(0)
    model = OfCode(name="code")
    model(X[:1])
    return model


def test_it_is_refused_and_says_how():
    with pytest.raises(ValueError, match=r"set_priors\(model, rules, saved=False\)"):
        kp.set_priors(model_of_code(), kp.NormalPrior(0, 1))


def test_fit_and_inference_see_them():
    model = model_of_code()
    rules = {"*kernel": kp.NormalPrior(0, 2.0), "hidden/bias": kp.LaplacePrior(0, 0.5)}
    found = kp.set_priors(model, rules, saved=False)
    assert set(found) == {"hidden/kernel", "out/kernel", "hidden/bias"}
    assert kp.set_num_data(model, X) == 12
    values = {v.path.split("/", 1)[-1]: v for v in model.trainable_variables}
    log_prior = sum(
        float(prior.log_prob(keras.ops.convert_to_numpy(values[path])))
        for path, prior in found.items()
    )
    losses = sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)
    np.testing.assert_allclose(losses, -log_prior / 12, rtol=1e-5)
    model.compile("sgd", loss=NOISE)
    history = model.fit(X, Y, epochs=1, batch_size=12, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    kp.set_priors(model, {"out/bias": kp.NormalPrior(0, 1)}, saved=False)
    method = kp.inference.SGLD(num_burnin=1, num_samples=2, num_chains=1)
    with pytest.warns(UserWarning, match="2 draws of SGLD a chain are too few"):
        posterior = method.fit(model, X, Y, NOISE, seed=0, verbose=0)
    assert posterior.draws(2)["hidden/kernel"].shape == (2, 3, 4)


def test_a_file_does_not_keep_them(tmp_path):
    model = model_of_code()
    kp.set_priors(model, kp.NormalPrior(0, 1), saved=False)
    model.save(tmp_path / "it.keras")
    loaded = keras.models.load_model(tmp_path / "it.keras")
    assert not any(kp.get_priors(loaded).values())
    assert all(kp.get_priors(model).values())


def test_none_removes_and_bounds_bring_their_constraint():
    model = model_of_code()
    with pytest.warns(UserWarning, match="outside|inside"):
        kp.set_priors(model, {"out/kernel": kp.HalfNormalPrior(1.0)}, saved=False)
    kernel = model.out.kernel
    assert kernel.constraint is not None
    assert np.all(keras.ops.convert_to_numpy(kernel) > 0)
    kp.set_priors(model, {"out/kernel": None}, saved=False)
    assert kernel.regularizer is None and kernel.constraint is None


def line(prior):
    """One whose config would keep a prior, and does not keep this one."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, use_bias=False, name="line")], name="net"
    )
    model.set_weights([np.full((3, 1), 0.5)])
    kp.set_priors(model, prior, saved=False)
    return model


def test_copies_of_the_model_have_them_too():
    """Found by an ensemble whose members were trained without: a copy is made of the config."""
    model = line(kp.NormalPrior(0, 1e-3))
    adam = keras.optimizers.Adam(0.02)
    found = kp.inference.DeepEnsemble(1, 300, 12, adam).fit(model, X, Y, NOISE, seed=0, verbose=0)
    assert np.abs(found.mean()["line/kernel"]).max() < 0.01  # 1 without it
    for estimator in ("reparameterization", "flipout"):
        twin = kp.to_variational(model, estimator=estimator, num_data=12)
        assert kp.get_priors(twin)["line/kernel"].scale == 1e-3
    laplace = kp.inference.Laplace("full").fit(model, X, Y, NOISE, verbose=0)
    assert np.isfinite(laplace.tune().log_marginal_likelihood())
    assert kp.get_priors(laplace.to_variational(num_data=12))["line/kernel"].scale == 1e-3
    assert kp.get_priors(model)["line/kernel"].num_data is None


def test_a_wrapped_layer_and_one_that_stays_have_them_too():
    layers = [keras.layers.SimpleRNN(2, name="rnn"), keras.layers.Dense(1, name="line")]
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    kp.set_priors(model, {"rnn/*": kp.NormalPrior(0, 0.3), "line/*": kp.NormalPrior(0, 0.2)})
    kp.set_priors(model, {"*kernel": kp.NormalPrior(0, 0.1)}, saved=False)
    new = kp.get_priors(kp.to_variational(model, layers="rnn", num_data=12))
    cell = "rnn/simple_rnn_cell"
    assert {path: prior.scale for path, prior in new.items()} == {
        f"{cell}/kernel": 0.1,
        f"{cell}/recurrent_kernel": 0.1,
        f"{cell}/bias": 0.3,
        "line/kernel": 0.1,
        "line/bias": 0.2,
    }


def test_bounds_come_along():
    model = line(kp.HalfNormalPrior(2.0))
    copy = keras.models.clone_model(model)
    carry_priors(model, copy)
    (weight,) = copy.trainable_variables
    assert weight.regularizer.scale == 2.0
    assert weight.regularizer is not model.trainable_variables[0].regularizer
    assert type(weight.constraint) is type(model.trainable_variables[0].constraint) is not None


@pytest.mark.filterwarnings("ignore:A weight without a prior")
@pytest.mark.parametrize("prior", [kp.HalfNormalPrior(2.0), None])
def test_a_posterior_is_saved_with_what_its_model_lacks(prior, tmp_path):
    model = line(kp.NormalPrior(0, 1))
    kp.set_priors(model, {"line/kernel": kp.NormalPrior(0, 3)})
    kp.set_priors(model, {"line/kernel": prior}, saved=False)
    point = kp.inference.MAP(max_iterations=0).fit(model, X, Y, NOISE, verbose=0)
    point.save(tmp_path / "a.posterior")
    for again in (
        kp.inference.Posterior.load(tmp_path / "a.posterior"),
        pickle.loads(pickle.dumps(point)),
    ):
        (weight,) = again.model.trainable_variables
        assert repr(weight.regularizer) == repr(prior)
        assert (weight.constraint is None) == (prior is None)


def test_a_prior_that_was_removed_is_removed_from_copies():
    model = line(kp.NormalPrior(0, 1))
    kp.set_priors(model, {"line/kernel": kp.HalfNormalPrior(3)})
    kp.set_priors(model, {"line/kernel": None}, saved=False)
    copy = keras.models.clone_model(model)
    assert copy.trainable_variables[0].regularizer is not None
    carry_priors(model, copy)
    assert copy.trainable_variables[0].regularizer is None
    assert copy.trainable_variables[0].constraint is None
