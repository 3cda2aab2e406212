"""`pickle`, `copy.deepcopy` and other processes take what `save` writes."""

import copy
import pickle
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference.test_saving import FILES, SAVED


def draws(posterior):
    return posterior.draws(min(2, posterior.default_num_samples), seed=3)


def same(one, other):
    assert type(one) is type(other) and one.paths == other.paths
    for a, b in ((one.mean(), other.mean()), (draws(one), draws(other))):
        for path, value in a.items():
            np.testing.assert_array_equal(value, b[path])
    assert one.seconds == other.seconds and one.fingerprint == other.fingerprint
    assert repr(one.likelihood) == repr(other.likelihood)


def with_noise():
    """The guide's regression net, at a point."""
    prior = kp.NormalPrior(0.0, 1.0)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(1, kernel_regularizer=prior, bias_regularizer=prior, name="out"),
            kp.layers.NoiseScale(prior=kp.HalfNormalPrior(1.0), name="noise"),
        ]
    )
    values = [np.full(w.shape, 0.5, "float32") for w in model.trainable_variables]
    return kp.inference.PointPosterior(model, kp.likelihoods.HeteroscedasticNormal(), values)


@pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15),
    reason="the files were written by Keras 3.15",
)
@pytest.mark.parametrize("name", FILES)
def test_posteriors_of_all_methods(name):
    posterior = kp.inference.Posterior.load(SAVED / f"{name}.posterior")
    again = pickle.loads(pickle.dumps(posterior))
    same(again, posterior)
    assert again.model is not posterior.model


def test_layers_and_noise():
    posterior = with_noise()
    same(pickle.loads(pickle.dumps(posterior)), posterior)
    copied = copy.deepcopy({"it": posterior})["it"]
    same(copied, posterior)
    x = np.ones((3, 2), "float32")
    found, wanted = (p.predict(x, verbose=0).draws for p in (copied, posterior))
    np.testing.assert_array_equal(found, wanted)
    model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(1, name="out")])
    layers = kp.inference.VariationalLayers().fit(model, likelihood=kp.likelihoods.Normal(1.0))
    same(copy.deepcopy(layers), layers)


class _OfTheUser(kp.inference.PointPosterior):
    pass


def test_a_subclass_of_ones_own_stays_one():
    posterior = with_noise()
    own = _OfTheUser(posterior.model, posterior.likelihood, list(posterior.mean().values()))
    same(pickle.loads(pickle.dumps(own)), own)


def test_loading_is_silent_about_an_optimizer_that_never_ran(tmp_path):
    posterior = with_noise()
    posterior.model.compile(optimizer="adam", loss=posterior.likelihood)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        same(pickle.loads(pickle.dumps(posterior)), posterior)
        posterior.save(tmp_path / "a.posterior")
        kp.inference.Posterior.load(tmp_path / "a.posterior")


def test_damaged_bytes_are_refused():
    rebuild, (cls, content) = with_noise().__reduce__()
    with pytest.raises(ValueError, match="Received: a pickled posterior"):
        rebuild(cls, content[: len(content) // 2])


@pytest.mark.slow
def test_another_process_reads_it(tmp_path):
    path = tmp_path / "it.pickle"
    path.write_bytes(pickle.dumps(with_noise()))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).mean()['out/bias'][0])"
    told = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert float(told.stdout.split()[-1]) == 0.5
