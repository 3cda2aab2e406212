"""What the process of `test_over_devices.py` runs, with four devices: `python this file.json`."""

import contextlib
import json
import pathlib
import sys

import jax
import keras
import numpy as np

import keras_priors as kp
from keras_priors import backend
from keras_priors.functional.forward import forward_of

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(205, 3)).astype("float32")
Y = np.tanh(X[:, :1] - X[:, 1:2]).astype("float32")
NOISE = kp.likelihoods.Normal(0.1)


@contextlib.contextmanager
def over(distribution):
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)


def data_parallel(number):
    devices = keras.distribution.list_devices()[:number]
    return keras.distribution.DataParallel(devices=devices)


def model_parallel():
    """Two devices for each batch, two for each kernel of the hidden layer."""
    mesh = keras.distribution.DeviceMesh((2, 2), ["batch", "model"])
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*hidden/kernel.*"] = (None, "model")
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def net():
    keras.utils.set_random_seed(0)
    prior = kp.NormalPrior(0, 1)
    priors = {"kernel_regularizer": prior, "bias_regularizer": prior}
    hidden = keras.layers.Dense(16, activation="tanh", name="hidden", **priors)
    return keras.Sequential(
        [keras.Input((3,)), hidden, keras.layers.Dense(1, name="out", **priors)]
    )


def predicted():
    """Draws of everything that predicts, by name."""
    model = net()
    layers = kp.to_variational(model)
    batches = [X[:100], X[100:130], X[130:]]
    found = {
        "layers": kp.predict(layers, X, 7, NOISE, seed=0),
        "a few rows": kp.predict(layers, X[:5], 7, NOISE, seed=0),
        "a row": kp.predict(layers, X[:1], 7, NOISE, seed=0),
        "an odd batch_size": kp.predict(layers, X, 7, NOISE, batch_size=51, seed=0),
        "batch_size 1": kp.predict(layers, X[:9], 7, NOISE, batch_size=1, seed=0),
        "batches": kp.predict(layers, (x for x in batches), 7, NOISE, seed=0),
        "a point": kp.predict(model, X, likelihood=NOISE),
    }
    for name, method in (
        ("MAP", kp.inference.MAP()),
        ("Laplace", kp.inference.Laplace("diagonal")),
        ("Laplace, last", kp.inference.Laplace(layers="last")),
    ):
        posterior = method.fit(model, X[:64], Y[:64], NOISE, seed=0, verbose=0)
        found[name] = posterior.predict(X, seed=0)
        if name == "Laplace":
            found["Laplace, draws"] = posterior.predict(X, 5, seed=0, method="mc")
            found["Laplace, batch_size"] = posterior.predict(X, seed=0, batch_size=51)
    return {name: np.asarray(one.draws, "float64").ravel().tolist() for name, one in found.items()}


def laid():
    """Where the rows of a chunk and its outputs lie, and what devices tell each other."""
    model = kp.to_variational(net())
    rows = backend.place_batch(X[:64])
    seeds = keras.ops.convert_to_tensor(backend.spawn_seeds(0, 3), dtype="uint32")
    forward = forward_of(model)
    outputs = forward(seeds, rows)
    weights = [
        [v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables)
    ]
    program = forward._function.lower(*weights, seeds, rows).compile().as_text()
    return {
        "devices": len(outputs.sharding.device_set),
        "rows": [part.data.shape[0] for part in rows.addressable_shards],
        "outputs": [list(part.data.shape) for part in outputs.addressable_shards],
        "told": [word for word in ("all-gather", "all-reduce", "all-to-all") if word in program],
    }


def main(path):
    assert len(jax.devices()) == 4
    found = {"one": predicted()}
    for number in (2, 3, 4):
        with over(data_parallel(number)):
            found[f"{number} devices"] = predicted()
    with over(model_parallel()):
        found["model over devices"] = predicted()
    with over(data_parallel(4)):
        found["laid"] = laid()
    pathlib.Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
