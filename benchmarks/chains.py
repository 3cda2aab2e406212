"""What four chains of SGHMC cost beside one, as JSON; SGLD is the same loop.

    KERAS_BACKEND=jax python benchmarks/chains.py

Milliseconds of a step (all chains together), compiled: the difference of a long and a short run,
each the fastest of three, and the ratio of four chains to one, of a regression net 8-50-1 on 277
rows and of a net 54-20-20-7 on 2,000 rows, batches of 128. The data are noise: a step costs what it
costs.
"""

import json
import math
import time
import warnings

import keras
import numpy as np

import keras_priors as kp

# Steps are short beside a compilation, except on PyTorch, which has none.
SHORT, LONG = (400, 2400) if keras.backend.backend() == "torch" else (1000, 21_000)
ROUNDS = 3


def regression():
    random = np.random.default_rng(0)
    x = random.normal(size=(277, 8)).astype("float32")
    y = random.normal(size=(277, 1)).astype("float32")
    net = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(50, activation="relu"),
            keras.layers.Dense(1),
            kp.layers.NoiseScale(),
        ]
    )
    return net, x, y, kp.likelihoods.HeteroscedasticNormal()


def classes():
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 54)).astype("float32")
    y = random.integers(7, size=2000)
    net = keras.Sequential([keras.Input((54,))])
    net.add(keras.layers.Dense(20, activation="tanh"))
    net.add(keras.layers.Dense(20, activation="tanh"))
    net.add(keras.layers.Dense(7))
    return net, x, y, kp.likelihoods.Categorical()


def seconds(steps, chains, net, x, y, likelihood):
    method = kp.inference.SGHMC(
        num_burnin=steps, num_samples=20, thinning=20, num_chains=chains, batch_size=128
    )
    start = time.perf_counter()
    method.fit(net, x, y, likelihood, seed=0, verbose=0)
    return time.perf_counter() - start


def main():
    for name, of in {"8-50-1": regression, "54-20-20-7": classes}.items():
        keras.utils.set_random_seed(0)
        net, x, y, likelihood = of()
        kp.set_priors(net, {keras.layers.Dense: kp.NormalPrior(0, 1)})
        found = {(chains, steps): math.inf for chains in (1, 4) for steps in (SHORT, LONG)}
        for _ in range(ROUNDS):
            for chains, steps in found:
                now = seconds(steps, chains, net, x, y, likelihood)
                found[chains, steps] = min(now, found[chains, steps])
        each = {c: (found[c, LONG] - found[c, SHORT]) / (LONG - SHORT) * 1e3 for c in (1, 4)}
        line = {"backend": keras.backend.backend(), "net": name}
        line |= {f"ms_{chains}": round(value, 3) for chains, value in each.items()}
        print(json.dumps({**line, "ratio": round(each[4] / each[1], 2)}), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
