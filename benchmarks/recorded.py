"""Seconds of whole fits on PyTorch with and without recorded gradients, as JSON.

    OMP_NUM_THREADS=1 KERAS_BACKEND=torch python benchmarks/recorded.py

Methods whose steps are few operations on a small net, where each call is mostly Python. The two
ways take turns within every round; a time is the median over rounds of a whole `fit`, with what
recording costs. The draws of the two are compared, and must be the same to the last bit.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import time
import warnings
from importlib.metadata import version
from unittest import mock

import keras
import numpy as np

import keras_priors as kp
from keras_priors import backend

RESULTS = pathlib.Path(__file__).parent / "results" / "recorded.json"
METHODS = {
    "SGHMC, 4 chains, 2,000 steps": lambda: kp.inference.SGHMC(num_burnin=1200, num_samples=10),
    "SWAG, 2,000 steps": lambda: kp.inference.SWAG(
        1e-4, batch_size=16, burnin_epochs=64, num_snapshots=270
    ),
    "MeanField, 2,000 steps": lambda: kp.inference.MeanField(num_steps=2000),
    "MAP, at most 1,000 iterations": lambda: kp.inference.MAP(max_iterations=1000),
    "RandomizedMAP, 3 members": lambda: kp.inference.RandomizedMAP(3, max_iterations=200),
}


def net(width):
    """3-width-2, normal priors, mean and noise."""
    keras.utils.set_random_seed(0)
    prior = {"kernel_regularizer": kp.NormalPrior(0, 1), "bias_regularizer": kp.NormalPrior(0, 1)}
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(width, activation="tanh", **prior),
            keras.layers.Dense(2, **prior),
        ]
    )


def fitted(method, width, likelihood):
    """(seconds, draws)."""
    random = np.random.default_rng(0)
    x = random.normal(size=(100, 3)).astype("float32")
    y = (np.sin(x[:, :1]) + 0.1 * random.normal(size=(100, 1))).astype("float32")
    if isinstance(likelihood, kp.likelihoods.Normal):
        y = np.concatenate([y, -y], axis=1)
    model, begin = net(width), time.perf_counter()
    posterior = method.fit(model, x, y, likelihood, seed=0, verbose=0)
    seconds = time.perf_counter() - begin
    drawn = isinstance(method, (kp.inference.MeanField, kp.inference.SWAG))
    draws = posterior.draws(3, seed=0) if drawn else posterior.draws()
    return seconds, [np.asarray(value) for value in draws.values()]


def called(method, width, likelihood):
    """The same with each gradient called anew."""
    with mock.patch.object(backend, "recorded", lambda function: function):
        return fitted(method, width, likelihood)


def main():
    """Print each row, and write all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args()
    if keras.config.backend() != "torch":
        raise SystemExit("Recorded functions are PyTorch's: set KERAS_BACKEND=torch.")
    warnings.simplefilter("ignore")  # of chains that are too short to have mixed
    rows = []
    for name, make in METHODS.items():
        likelihood = kp.likelihoods.HeteroscedasticNormal()
        if "Randomized" in name:
            likelihood = kp.likelihoods.Normal(0.1)
        times = {"called": [], "recorded": []}
        for _ in range(options.rounds):
            first, expected = called(make(), 50, likelihood)
            second, found = fitted(make(), 50, likelihood)
            times["called"].append(first)
            times["recorded"].append(second)
            same = all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
        row = {"method": name, "same": same}
        row |= {way: round(statistics.median(values), 3) for way, values in times.items()}
        rows.append(row)
        print(json.dumps(row), flush=True)
    stored = {
        "command": "OMP_NUM_THREADS=1 KERAS_BACKEND=torch python benchmarks/recorded.py"
        f" --rounds {options.rounds}",
        "date": datetime.date.today().isoformat(),
        "keras": keras.__version__,
        "torch": version("torch"),
        "rounds": options.rounds,
        "results": rows,
    }
    options.out.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
