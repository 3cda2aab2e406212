"""Priors on models that Keras does not make from their config."""

import keras
import numpy as np
import pytest

import keras_priors as kp

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
