"""Methods on a model that begins with text, which TensorFlow alone can run."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp

TEXTS = np.array([["good film"], ["bad film"], ["so good"], ["so bad"]] * 4)
Y = np.array([[1.0], [0.0], [1.0], [0.0]] * 4, "float32")
METHODS = {
    "DeepEnsemble": kp.inference.DeepEnsemble(2, epochs=2, batch_size=4),
    "SGLD": kp.inference.SGLD(num_burnin=3, num_samples=3, num_chains=1),
    "MeanField": kp.inference.MeanField(20),
}


@pytest.fixture(scope="module")
def model():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("strings are tensors on TensorFlow alone")
    keras.utils.set_random_seed(0)
    words = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    words.adapt(TEXTS[:, 0])
    prior = kp.NormalPrior(0, 1)
    return keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            keras.layers.Embedding(20, 3, embeddings_regularizer=prior),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, kernel_regularizer=prior, bias_regularizer=prior),
        ]
    )


@pytest.mark.parametrize("dtype", ["U", object])
@pytest.mark.parametrize("name", METHODS)
def test_texts_are_rows(name, dtype, model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # so few steps are not enough
        posterior = METHODS[name].fit(
            model, TEXTS.astype(dtype), Y, kp.likelihoods.Bernoulli(), seed=0, verbose=0
        )
    p = posterior.predict(TEXTS.astype(dtype), 2, seed=0, verbose=0).probabilities
    assert p.shape == (16, 1)
    # Equal texts have equal predictions, and others have others.
    np.testing.assert_allclose(p[:4], p[4:8], rtol=1e-5)
    assert len(np.unique(p[:4].round(5))) == 4


def test_an_ensemble_validates_on_texts(model):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["val_loss"])

    METHODS["DeepEnsemble"].fit(
        model,
        TEXTS,
        Y,
        kp.likelihoods.Bernoulli(),
        seed=0,
        verbose=0,
        callbacks=lambda number: [Watch()],
        validation_split=0.25,
    )
    assert len(seen) == 4 and np.all(np.isfinite(seen))


def test_laplace_says_what_to_do(model):
    with pytest.raises(ValueError, match=r"inputs must be numbers.*fit a model of the rest"):
        kp.inference.Laplace("diagonal").fit(model, TEXTS, Y, kp.likelihoods.Bernoulli(), verbose=0)
