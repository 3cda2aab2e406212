"""Wherever a likelihood is needed `mse` is refused, with the sentence that says what to write."""

import keras
import numpy as np
import pytest

import keras_priors as kp

X, Y = np.ones((6, 3), "float32"), np.zeros((6, 1), "float32")
with pytest.raises(ValueError, match="is not a likelihood") as refused:
    kp.likelihoods.get("mse")
SENTENCE = str(refused.value)

INFERENCES = {
    "MAP": kp.inference.MAP(),
    "Laplace": kp.inference.Laplace("full"),
    "Laplace of the last layer": kp.inference.Laplace("full", layers="last"),
    "NUTS": kp.inference.NUTS(),
    "HMC": kp.inference.HMC(),
    "SGLD": kp.inference.SGLD(),
    "SGHMC": kp.inference.SGHMC(),
    "SWAG": kp.inference.SWAG(),
    "DeepEnsemble": kp.inference.DeepEnsemble(),
    "RandomizedMAP": kp.inference.RandomizedMAP(),
    "MeanField": kp.inference.MeanField(),
    "LowRank": kp.inference.LowRank(1),
    "FullRank": kp.inference.FullRank(),
}


def plain():
    priors = {f"{name}_regularizer": kp.NormalPrior(num_data=6) for name in ("kernel", "bias")}
    dense = keras.layers.Dense(1, **priors)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), dense])


def variational():
    return keras.Sequential([keras.Input((3,)), kp.VariationalDense(1, num_data=6)])


def draws_of_a_callback(callback):
    def posterior(model, **given):
        one = callback()
        model.fit(X, Y, batch_size=3, epochs=3, verbose=0, callbacks=[one])
        return one.posterior(**given)

    return posterior


def predictive(what):
    """An attribute or a method of a `Predictive`: the draws are there without a likelihood."""

    def ask(model, **given):
        return what(kp.predict(model, X, 2, seed=0, **given))

    return ask


# Each takes a model that is compiled with `mse`, and `likelihood=` where it has that argument.
ENTRIES = {
    **{
        name: lambda model, method=method, **given: method.fit(model, X, Y, verbose=0, **given)
        for name, method in INFERENCES.items()
    },
    "MCDropout": lambda model, **given: kp.inference.MCDropout().fit(model, X, Y, **given),
    "VariationalLayers": lambda model, **given: kp.inference.VariationalLayers().fit(
        model, X, Y, **given
    ),
    "LogPosterior": lambda model, **given: kp.inference.LogPosterior(model, X, Y, **given),
    "CollectDraws": draws_of_a_callback(lambda: kp.callbacks.CollectDraws(0, every=1)),
    "callbacks.SWAG": draws_of_a_callback(lambda: kp.callbacks.SWAG(0, rank=2)),
    "aleatoric": predictive(lambda p: p.aleatoric),
    "total": predictive(lambda p: p.total),
    "probabilities": predictive(lambda p: p.probabilities),
    "entropy": predictive(lambda p: p.entropy),
    "mutual_information": predictive(lambda p: p.mutual_information),
    "log_prob": predictive(lambda p: p.log_prob(Y)),
    "sample_observations": predictive(lambda p: p.sample_observations(2)),
    "prior_predictive": lambda model, **given: (
        kp.prior_predictive(model, X, 2, seed=0, **given).aleatoric
    ),
}
# These have no argument for a likelihood: the compiled loss is it.
OF_THE_COMPILED = {
    "fit with BayesianMonitor": lambda model: model.fit(
        X, Y, verbose=0, callbacks=[kp.callbacks.BayesianMonitor()]
    ),
    "evaluate with BayesianMonitor": lambda model: model.evaluate(
        X, Y, verbose=0, callbacks=[kp.callbacks.BayesianMonitor()]
    ),
}
OF_A_LIKELIHOOD = {
    "likelihoods.get": kp.likelihoods.get,
    "Predictive": lambda loss: kp.Predictive(np.zeros((2, 6, 1)), loss),
}


@pytest.fixture(scope="module")
def models():
    made = {"plain": plain(), "variational": variational()}
    for model in made.values():
        model.compile(kp.inference.SGLDOptimizer(1e-3, num_data=6), loss="mse", run_eagerly=True)
    return made


@pytest.mark.parametrize("name", {**ENTRIES, **OF_THE_COMPILED})
def test_a_model_compiled_with_it(name, models, backend):
    if backend == "torch" and name in ("NUTS", "HMC"):
        pytest.skip("refused before")
    model = models["variational" if name == "VariationalLayers" else "plain"]
    with pytest.raises(ValueError, match="is not a likelihood") as error:
        {**ENTRIES, **OF_THE_COMPILED}[name](model)
    assert SENTENCE in str(error.value)


@pytest.mark.parametrize("name", ENTRIES)
def test_it_is_given_as_the_likelihood(name, models, backend):
    if backend == "torch" and name in ("NUTS", "HMC"):
        pytest.skip("refused before")
    model = models["variational" if name == "VariationalLayers" else "plain"]
    with pytest.raises(ValueError, match="is not a likelihood") as error:
        ENTRIES[name](model, likelihood=keras.losses.MeanSquaredError())
    assert SENTENCE in str(error.value)


@pytest.mark.parametrize("name", OF_A_LIKELIHOOD)
@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError()], ids=["name", "loss"])
def test_it_is_given_alone(name, loss):
    with pytest.raises(ValueError, match="is not a likelihood") as error:
        OF_A_LIKELIHOOD[name](loss)
    assert str(error.value) == SENTENCE
