"""What a GPU makes of it: training, predicting and inference, as a table in Markdown.

    KERAS_BACKEND=jax python benchmarks/gpu.py

For whoever has one: no table of ours is made on a GPU. It says where the weights lie; on a machine
without an accelerator it measures the CPU, and says so. Training: medians over rounds of the step
of plain `Dense`, and the ratio of variational layers to it within a round, as in
`training_step.py`. Predictions and inference of a 784-400-400-10 net: seconds for 20,000 rows at
the first call, and the median of later ones; each `fit` traces its programs anew. Chains so short
do not mix; their warnings are not shown.
"""

import argparse
import statistics
import sys
import time
import warnings

import keras
import numpy as np
from training_step import NETS, measure

import keras_priors as kp

ESTIMATORS = ("reparameterization", "flipout", "local_reparameterization")
WIDE, SMALL = (784, 400, 400, 10), (13, 50, 1)


def device():
    """Where a new weight lies, in the words of the backend."""
    layer = keras.layers.Dense(1)
    layer.build((None, 1))
    return str(layer.kernel.value.device)


def training(nets, rounds):
    rows = [["net", "batch", "plain, ms", *ESTIMATORS], ["---"] * (3 + len(ESTIMATORS))]
    for net in nets:
        found = measure(net, ("dense", *ESTIMATORS), rounds, 1, "auto")
        ratios = [f"{found[name]['ratio_to_dense']:.2f}" for name in ESTIMATORS]
        sizes, batch = NETS[net]
        milliseconds = f"{found['dense']['ms_per_step']:.2f}"
        rows.append(["-".join(map(str, sizes)), str(batch), milliseconds, *ratios])
    return rows


def seconds(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def net(layer, widths):
    hidden = [layer(width, activation="relu") for width in widths[1:-1]]
    return keras.Sequential([keras.Input((widths[0],)), *hidden, layer(widths[-1])])


def others(rounds, count):
    random = np.random.default_rng(0)
    x = random.standard_normal((count, WIDE[0]), "float32")
    y = random.integers(0, WIDE[-1], len(x))
    few = x[:400, : SMALL[0]]
    classes, normal = kp.likelihoods.Categorical(), kp.likelihoods.Normal(0.5)
    bayesian, plain, small = (
        net(kp.VariationalDense, WIDE),
        net(keras.layers.Dense, WIDE),
        net(keras.layers.Dense, SMALL),
    )
    for model in (plain, small):
        kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    arguments = {"seed": 0, "verbose": 0}

    def predict():
        return kp.predict(bayesian, x, likelihood=classes, num_samples=32, **arguments).mean

    chains = kp.inference.SGHMC(num_burnin=500, num_samples=50, thinning=10)
    work = {
        "predict, 32 draws": predict,
        "SGHMC, 4 chains of 1,000 steps": lambda: chains.fit(plain, x, y, classes, **arguments),
        "MeanField, 500 steps": lambda: kp.inference.MeanField(500).fit(
            plain, x, y, classes, **arguments
        ),
    }
    if keras.config.backend() != "torch":
        nuts = kp.inference.NUTS(4, 100, 100)
        work["NUTS, 13-50-1, 400 rows, 4 chains of 200 transitions"] = lambda: nuts.fit(
            small, few, few[:, :1], normal, **arguments
        )
    rows = [["what", "first, s", "after it, s"], ["---"] * 3]
    for name, function in work.items():
        first = seconds(function)
        later = statistics.median([seconds(function) for _ in range(rounds)])
        rows.append([name, f"{first:.3g}", f"{later:.3g}"])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--training-only", action="store_true")
    parser.add_argument("--rows", type=int, default=20_000, help="of predictions and inference")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    place = device()
    if "cpu" in place.lower():
        print("No accelerator is in use: these are times of the CPU.", file=sys.stderr)
    print(f"keras {keras.__version__}, {keras.config.backend()}, weights on {place}\n")
    tables = [training(options.nets, options.rounds)]
    if not options.training_only:
        tables.append(others(options.rounds, options.rows))
    for table in tables:
        print("\n".join(f"| {' | '.join(row)} |" for row in table), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
