"""Cost of a training step of variational and penalised nets against plain Dense, as JSON.

    KERAS_BACKEND=jax python benchmarks/training_step.py --nets W1 W2 --rounds 7

All variants of a net are compiled first and then timed in turn, one epoch each, round after round
(other work on the machine then hits all of them alike). A step is `model.fit` with Adam in its
steady state; reported are medians over rounds and the ratio to plain Dense in the same run.
"""

import argparse
import json
import sys

import keras
import numpy as np
from _timing import ratio, step_times, summarized

import keras_priors as kp

NETS = {
    "W1": ((54, 64, 64, 7), 512),
    "W2": ((784, 400, 400, 10), 128),
    "W3": ((1024, 2048, 2048, 10), 256),
    "W4": ((13, 50, 1), 32),
}
STEPS = {"W1": 100, "W2": 60, "W3": 6, "W4": 300}


def dense(width, activation, num_data):
    return keras.layers.Dense(width, activation=activation)


def dense_l2(width, activation, num_data):
    penalty = keras.regularizers.L2(0.5 / num_data)
    return keras.layers.Dense(width, activation=activation, kernel_regularizer=penalty)


def dense_prior(width, activation, num_data):
    prior = kp.NormalPrior(0.0, 1.0, num_data=num_data)
    return keras.layers.Dense(width, activation=activation, kernel_regularizer=prior)


def variational(estimator):
    def layer(width, activation, num_data):
        return kp.VariationalDense(
            width, activation=activation, estimator=estimator, num_data=num_data, seed=1
        )

    return layer


class ConstantNoise(kp.posteriors.MeanFieldNormal):
    """The same layer with its noise replaced by a constant: the floor of a shared draw."""

    noise_shape = (0,)

    def transform(self, noise):
        return self.loc + self.stddev() * 0.5


def constant_noise(width, activation, num_data):
    return kp.VariationalDense(
        width,
        activation=activation,
        num_data=num_data,
        kernel_posterior=ConstantNoise(),
        bias_posterior=ConstantNoise(),
    )


VARIANTS = {
    "dense": dense,
    "l2": dense_l2,
    "prior": dense_prior,
    "constant_noise": constant_noise,
    "reparameterization": variational("reparameterization"),
    "local_reparameterization": variational("local_reparameterization"),
    "flipout": variational("flipout"),
}


def build(net, variant, steps_per_execution, jit_compile):
    sizes, batch = NETS[net]
    num_data = STEPS[net] * batch
    layers = [keras.Input((sizes[0],))]
    for width in sizes[1:-1]:
        layers.append(VARIANTS[variant](width, "relu", num_data))
    layers.append(VARIANTS[variant](sizes[-1], None, num_data))
    model = keras.Sequential(layers)
    likelihood = kp.likelihoods.Normal() if sizes[-1] == 1 else kp.likelihoods.Categorical()
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss=likelihood,
        steps_per_execution=steps_per_execution,
        jit_compile=jit_compile,
    )
    return model


def measure(net, variants, rounds, steps_per_execution, jit_compile):
    sizes, batch = NETS[net]
    steps = STEPS[net]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps * batch, sizes[0])).astype("float32")
    y = rng.integers(0, sizes[-1], steps * batch)
    y = x[:, :1] if sizes[-1] == 1 else y
    models = {v: build(net, v, steps_per_execution, jit_compile) for v in variants}
    times, first = step_times(models, x, y, batch, rounds, steps_per_execution)
    result = summarized(times, first, "dense")
    if {"l2", "prior"} <= times.keys():
        result["prior"]["ratio_to_l2"] = ratio(times, "prior", "l2")
    if {"constant_noise", "reparameterization"} <= times.keys():
        of_noise = ratio(times, "reparameterization", "constant_noise")
        result["reparameterization"]["ratio_to_constant_noise"] = of_noise
    return result


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=["W1", "W2", "W4"])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps-per-execution", type=int, default=1)
    parser.add_argument("--jit-compile", action="store_true", help="XLA on TensorFlow")
    options = parser.parse_args(arguments)
    jit = True if options.jit_compile else "auto"
    for net in options.nets:
        result = measure(net, options.variants, options.rounds, options.steps_per_execution, jit)
        line = {
            "benchmark": "training_step",
            "backend": keras.config.backend(),
            "net": net,
            "batch": NETS[net][1],
            "steps_per_execution": options.steps_per_execution,
            "jit_compile": options.jit_compile,
            "variants": result,
        }
        json.dump(line, sys.stdout)
        print(flush=True)


if __name__ == "__main__":
    main()
