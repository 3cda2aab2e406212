"""Learning rates of the members of DeepEnsemble, as JSON.

    KERAS_BACKEND=jax python benchmarks/ensembles.py --out benchmarks/results/ensembles.json

Five members, N(0, 1) on every weight, everything else as it comes: nets d-50-1 (relu, `NoiseScale`)
on UCI's yacht, energy, concrete, wine and kin8nm, of whose training rows of a split a fifth is held
back; 54-20-20-7 (tanh) on 1,000 rows of forest cover; 64-64-64-10 (relu) on 1,000 digits of
scikit-learn; and on 4,000 digits of MNIST, for 20 epochs in batches of 128, 784-400-400-10, a
convolutional net and an LSTM. Everything is measured on the rows held back: test rows have no part
in a choice. `rate` is Adam's; "a to 0" falls along half a cosine. `nll` is in nats a row, of
standardised targets. The data are read by `load.py` of the folder that `--data` names.
"""

import argparse
import json
import math
import pathlib
import sys
import warnings

import keras
import numpy as np
from small_data import read

import keras_priors as kp

NUMBERS = ("yacht", "energy", "concrete", "wine", "kin8nm")
IMAGES = ("mnist, dense", "mnist, conv", "mnist, lstm")
SETS = (*NUMBERS, "cover", "digits", *IMAGES)
SETTINGS = {
    "0.001": (None, 1e-3, 1.0),
    "0.001 to 0": (True, 1e-3, 1.0),
    "0.003 to 0": (True, 3e-3, 1.0),
    "0.01 to 0": (True, 1e-2, 1.0),
    "0.03 to 0": (True, 3e-2, 1.0),
    "0.01 to 0, 2.5 times the steps": (True, 1e-2, 2.5),
}


def rows_of(load, name, split):
    """(training rows, rows held back), standardised, float32."""
    random = np.random.default_rng(split)
    if name in NUMBERS:
        x, y, splits = load.load_uci(name)
        rows = random.permutation(splits[split][0])
        train, held = rows[len(rows) // 5 :], rows[: len(rows) // 5]
        y = ((y - y[train].mean()) / y[train].std()).astype("float32")[:, None]
    else:
        if name in IMAGES:
            (x, y), _ = load.load_mnist()
            x = (x / 255.0)[..., None]
        elif name == "cover":
            x, y = load.load_covertype()
        else:
            from sklearn.datasets import load_digits

            x, y = load_digits(return_X_y=True)
        rows, count = random.permutation(len(x)), 4000 if name in IMAGES else 1000
        train, held = rows[:count], rows[count : 2 * count]
    if name not in IMAGES:
        mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
        x = (x - mean) / np.where(sd > 0, sd, 1.0)
    x = x.astype("float32")
    return (x[train], y[train]), (x[held], y[held])


def net(name, shape):
    """(model, likelihood)"""
    make = keras.layers
    layers = {
        "cover": [make.Dense(20, "tanh"), make.Dense(20, "tanh"), make.Dense(7)],
        "digits": [make.Dense(64, "relu"), make.Dense(64, "relu"), make.Dense(10)],
        "mnist, dense": [
            make.Flatten(),
            make.Dense(400, "relu"),
            make.Dense(400, "relu"),
            make.Dense(10),
        ],
        "mnist, conv": [
            make.Conv2D(16, 3, strides=2, activation="relu"),
            make.Conv2D(32, 3, strides=2, activation="relu"),
            make.Flatten(),
            make.Dense(64, "relu"),
            make.Dense(10),
        ],
        "mnist, lstm": [make.Reshape((28, 28)), make.LSTM(32), make.Dense(10)],
    }.get(name, [make.Dense(50, "relu"), make.Dense(1), kp.layers.NoiseScale()])
    model = keras.Sequential([keras.Input(shape), *layers])
    kinds = {type(layer) for layer in layers if layer.trainable_weights}
    kinds.discard(kp.layers.NoiseScale)
    kp.set_priors(model, dict.fromkeys(kinds, kp.NormalPrior(0, 1)))
    if name in NUMBERS:
        return model, kp.likelihoods.HeteroscedasticNormal()
    return model, kp.likelihoods.Categorical()


def ensemble(name, rows, falls, rate, times):
    """A `DeepEnsemble` of so many times the steps that it has by itself."""
    size = 128 if name in IMAGES or rows >= 4096 else 32
    steps = -(-rows // size)
    epochs = 20 if name in IMAGES else max(50, math.ceil(2000 / steps))
    epochs = math.ceil(times * epochs)
    if falls:
        rate = keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
    return kp.inference.DeepEnsemble(5, epochs, size, keras.optimizers.Adam(rate))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", default=None)
    options = parser.parse_args()
    load, results = read(options.data), []
    for name in options.sets:
        for split in options.splits:
            (x, y), held = rows_of(load, name, split)
            model, likelihood = net(name, x.shape[1:])
            for key, setting in SETTINGS.items():
                method = ensemble(name, len(x), *setting)
                line = {"set": name, "split": split, "rate": key}
                try:
                    posterior = method.fit(model, x, y, likelihood, seed=split, verbose=0)
                except ValueError as error:
                    line["error"] = str(error)[:120]
                else:
                    p = posterior.predict(held[0], verbose=0)
                    line["nll"] = round(-float(np.mean(p.log_prob(held[1]))), 4)
                    line["seconds"] = round(posterior.seconds, 1)
                results.append(line)
                print(json.dumps(line), flush=True)
            if options.out:
                head = {
                    "command": f"KERAS_BACKEND={keras.backend.backend()} python "
                    + " ".join(sys.argv),
                    "keras": keras.__version__,
                    "rows": "held back out of the training rows of each split",
                }
                text = json.dumps({**head, "results": results}, indent=1)
                pathlib.Path(options.out).write_text(text + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
