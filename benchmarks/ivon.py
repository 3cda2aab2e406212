"""Cost of a training step of IVON against Adam's, on the same plain net with priors, as JSON.

    KERAS_BACKEND=jax python benchmarks/ivon.py --nets W1 W2 --rounds 9

Both are compiled first and then timed in turn, one epoch each, round after round, as in
`training_step.py`, whose nets these are; reported are medians over rounds and the ratio to Adam
in the same round.
"""

import argparse
import json
import sys

import keras
import numpy as np
from _timing import step_times, summarized
from training_step import NETS, STEPS, dense_prior

import keras_priors as kp

OPTIMIZERS = {
    "adam": lambda num_data: keras.optimizers.Adam(1e-3),
    "sgld": lambda num_data: kp.inference.SGLDOptimizer(1e-3, num_data, seed=0),
    "ivon": lambda num_data: kp.inference.IVONOptimizer(0.1, num_data, seed=0),
}


def build(net, name, jit_compile):
    sizes, batch = NETS[net]
    num_data = STEPS[net] * batch
    layers = [dense_prior(width, "relu", num_data) for width in sizes[1:-1]]
    layers = [keras.Input((sizes[0],)), *layers, dense_prior(sizes[-1], None, num_data)]
    model = keras.Sequential(layers)
    loss = kp.likelihoods.Categorical()
    model.compile(OPTIMIZERS[name](num_data), loss=loss, jit_compile=jit_compile)
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=["W1", "W2", "W3"], default=["W1", "W2"])
    parser.add_argument("--optimizers", nargs="+", choices=list(OPTIMIZERS), default=None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jit-compile", action="store_true", help="XLA on TensorFlow")
    options = parser.parse_args(arguments)
    jit = True if options.jit_compile else "auto"
    for net in options.nets:
        sizes, batch = NETS[net]
        rng = np.random.default_rng(0)
        x = rng.standard_normal((STEPS[net] * batch, sizes[0])).astype("float32")
        y = rng.integers(0, sizes[-1], len(x))
        models = {name: build(net, name, jit) for name in options.optimizers or OPTIMIZERS}
        line = {
            "benchmark": "ivon",
            "backend": keras.config.backend(),
            "net": net,
            "batch": batch,
            "jit_compile": options.jit_compile,
            "optimizers": summarized(*step_times(models, x, y, batch, options.rounds), "adam"),
        }
        json.dump(line, sys.stdout)
        print(flush=True)


if __name__ == "__main__":
    main()
