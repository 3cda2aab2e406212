"""Settings of SGHMC, SGLD, SWAG and DeepEnsemble on data of few rows, as JSON.

    KERAS_BACKEND=jax python benchmarks/small_data.py --out benchmarks/results/small_data.json

Nets d-50-1 (relu, `NoiseScale`) on UCI's yacht (277 training rows), energy (691) and concrete
(927), and 54-20-20-7 (tanh) on 1,000 rows of forest cover, N(0, 1) on every weight. A fifth of the
training rows of a split is held back and everything is measured on it: test rows have no part in a
choice. Each net is trained first, by 3,000 steps of Adam (0.01, batch 32, rate falling along a
cosine). `nll` is in nats a row, of standardised targets; `r_hat` and `ess_bulk` are those of
predictions. The data are read by `load.py` of the folder that `--data` names.
"""

import argparse
import importlib.util
import json
import math
import pathlib
import sys
import warnings

import keras
import numpy as np

import keras_priors as kp

SETS = ("yacht", "energy", "concrete", "cover")
BATCH = 32


def settings(rows):
    """By name, methods for so many rows."""
    inference = kp.inference
    long = {"num_samples": 125, "num_chains": 4, "num_burnin": 5000}
    few = -(-rows // BATCH)
    epoch = max(1, rows // 128)
    return {
        "fit": inference.MAP(max_iterations=0),
        "sghmc 1 x 500": inference.SGHMC(num_samples=500, num_chains=1, thinning=20),
        "sghmc 4 x 125": inference.SGHMC(thinning=20, **long),
        "sghmc 4 x 125, thin 80": inference.SGHMC(thinning=80, **long),
        "sghmc 4 x 125, rate 3e-4": inference.SGHMC(3e-4, thinning=20, **long),
        "sghmc 4 x 125, rate 1e-3": inference.SGHMC(1e-3, thinning=20, **long),
        "sghmc 4 x 125, rate 1e-3, thin 80": inference.SGHMC(1e-3, thinning=80, **long),
        "sgld 1 x 500": inference.SGLD(num_samples=500, num_chains=1, thinning=20),
        "sgld 4 x 125": inference.SGLD(thinning=20, **long),
        "sgld 4 x 125, thin 80": inference.SGLD(thinning=80, **long),
        "sgld 4 x 125, rate 3e-3": inference.SGLD(3e-3, thinning=20, **long),
        "sgld 4 x 125, rate 1e-2": inference.SGLD(1e-2, thinning=20, **long),
        "swag, an epoch": inference.SWAG(burnin_epochs=10, epochs_between=1.0),
        "swag, 20 steps": inference.SWAG(
            burnin_epochs=math.ceil(200 / epoch), epochs_between=max(1.0, 20 / epoch)
        ),
        "swag, 100 steps": inference.SWAG(
            burnin_epochs=math.ceil(1000 / epoch), epochs_between=max(1.0, 100 / epoch)
        ),
        "ensemble, 50 epochs of 128": inference.DeepEnsemble(batch_size=128, epochs=50),
        "ensemble, 50 epochs of 32": inference.DeepEnsemble(batch_size=32, epochs=50),
        "ensemble, 2000 steps of 32": inference.DeepEnsemble(
            batch_size=32, epochs=math.ceil(2000 / few)
        ),
        "ensemble, 5000 steps of 32": inference.DeepEnsemble(
            batch_size=32, epochs=math.ceil(5000 / few)
        ),
    }


def read(folder):
    """The module that reads the data."""
    spec = importlib.util.spec_from_file_location("load", pathlib.Path(folder) / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data(load, name, split):
    """(train, validation) of standardised rows, float32."""
    random = np.random.default_rng(split)
    if name == "cover":
        x, y = load.load_covertype()
        rows = random.permutation(len(x))
        train, held = rows[:1000], rows[1000:3000]
    else:
        x, y, splits = load.load_uci(name)
        rows = random.permutation(splits[split][0])
        train, held = rows[len(rows) // 5 :], rows[: len(rows) // 5]
        y = ((y - y[train].mean()) / y[train].std()).astype("float32")[:, None]
    mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
    x = ((x - mean) / np.where(sd > 0, sd, 1.0)).astype("float32")
    return (x[train], y[train]), (x[held], y[held])


def trained(name, x, y):
    """(model, likelihood)"""
    if name == "cover":
        units = [keras.layers.Dense(20, activation="tanh") for _ in range(2)]
        layers, likelihood = [*units, keras.layers.Dense(7)], kp.likelihoods.Categorical()
    else:
        layers = [keras.layers.Dense(50, activation="relu"), keras.layers.Dense(1)]
        layers += [kp.layers.NoiseScale()]
        likelihood = kp.likelihoods.HeteroscedasticNormal()
    model = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    kp.set_priors(model, {keras.layers.Dense: kp.NormalPrior(0, 1)})
    kp.set_num_data(model, x)
    epochs = math.ceil(3000 / -(-len(x) // BATCH))
    rate = keras.optimizers.schedules.CosineDecay(0.01, 3000)
    model.compile(keras.optimizers.Adam(rate), loss=likelihood)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return model, likelihood


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=None, help="leads of names")
    parser.add_argument("--out", default=None)
    options = parser.parse_args()
    load, results = read(options.data), []
    for name in options.sets:
        for split in options.splits:
            (x, y), held = data(load, name, split)
            keras.utils.set_random_seed(split)
            model, likelihood = trained(name, x, y)
            for key, method in settings(len(x)).items():
                if options.methods and not key.startswith(tuple(options.methods)):
                    continue
                line = {"set": name, "split": split, "setting": key}
                try:
                    posterior = method.fit(model, x, y, likelihood, seed=split, verbose=0)
                except ValueError as error:
                    line["error"] = str(error)[:120]
                else:
                    p = (
                        posterior.predict(held[0], 500, seed=0, verbose=0)
                        if (posterior._most_samples is None)
                        else posterior.predict(held[0], posterior._most_samples, verbose=0)
                    )
                    line["nll"] = round(-float(np.mean(p.log_prob(held[1]))), 4)
                    line["seconds"] = round(posterior.seconds, 1)
                    if key.startswith("sg"):
                        found = posterior.diagnose()["predictions"]
                        line |= {k: round(v, 3) for k, v in found.items()}
                results.append(line)
                print(json.dumps(line), flush=True)
            if options.out:
                head = {
                    "command": f"KERAS_BACKEND={keras.backend.backend()} python "
                    + " ".join(sys.argv),
                    "keras": keras.__version__,
                    "rows": "validation, out of the training rows of each split",
                }
                text = json.dumps({**head, "results": results}, indent=1)
                pathlib.Path(options.out).write_text(text + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
