"""Cost of a converted model: its training step, the wrapper's, and the conversion itself, as JSON.

    KERAS_BACKEND=jax python benchmarks/conversion.py --parts conv wrapper large

- conv: a step of a conv net after `to_variational`, by estimator, as a ratio to the plain one;
- wrapper: a step of a net of `Variational(Dense)` as a ratio to the same of `VariationalDense`,
  and of wrapped recurrent layers to the plain ones;
- large: seconds and memory of converting a model of 50 million weights.
"""

import argparse
import gc
import json
import os
import pathlib
import resource
import sys
import time

import keras
import numpy as np
from _timing import ratio, step_times, summarized

import keras_priors as kp

DENSE = {"W1": ((54, 64, 64, 7), 512), "W2": ((784, 400, 400, 10), 128)}
ESTIMATORS = ("reparameterization", "local_reparameterization", "flipout")
WRAPPED = (keras.layers.Conv2D, keras.layers.Dense)


def compiled(model):
    model.compile(keras.optimizers.Adam(1e-3), loss=kp.likelihoods.Categorical())
    return model


def conv_net():
    conv = keras.layers.Conv2D
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            conv(32, 3, activation="relu"),
            conv(32, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
            conv(64, 3, activation="relu"),
            conv(64, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )


def measure_conv(rounds):
    x, y = rows((28, 28, 1), 10, 64, 8)
    plain = conv_net()
    models = {"plain": compiled(plain)}
    for estimator in ESTIMATORS:
        model = kp.to_variational(plain, estimator=estimator, num_data=len(x), seed=0)
        models[estimator] = compiled(model)

    def wrap(layer):
        new = type(layer).from_config(layer.get_config())
        return wrapped(new, len(x)) if isinstance(layer, WRAPPED) else new

    models["wrapper"] = compiled(keras.models.clone_model(plain, clone_function=wrap))
    times, first = step_times(models, x, y, 64, rounds)
    result = summarized(times, first, "plain")
    result["wrapper"]["ratio_to_twin"] = ratio(times, "wrapper", "reparameterization")
    return result


def wrapped(layer, num_data):
    return kp.layers.Variational(layer, num_data=num_data, seed=0)


def rows(shape, classes, batch, steps):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps * batch, *shape)).astype("float32")
    return x, rng.integers(0, classes, len(x))


def dense_nets(sizes, num_data):
    def dense(units, activation=None):
        return keras.layers.Dense(units, activation)

    def twin(units, activation=None):
        return kp.VariationalDense(units, activation, num_data=num_data, seed=0)

    def wrapper(units, activation=None):
        return wrapped(dense(units, activation), num_data)

    models = {}
    for layer in (dense, twin, wrapper):
        hidden = [layer(units, "relu") for units in sizes[1:-1]]
        model = keras.Sequential([keras.Input(sizes[:1]), *hidden, layer(sizes[-1])])
        models[layer.__name__] = compiled(model)
    return models


def recurrent_nets(make, num_data):
    def net(layer):
        return compiled(keras.Sequential([keras.Input((32, 32)), layer, keras.layers.Dense(10)]))

    return {"plain": net(make(64)), "wrapper": net(wrapped(make(64), num_data))}


def measure_wrapper(rounds):
    result = {}
    for name, (sizes, batch) in DENSE.items():
        x, y = rows(sizes[:1], sizes[-1], batch, 50)
        times, first = step_times(dense_nets(sizes, len(x)), x, y, batch, rounds)
        result[name] = summarized(times, first, "dense")
        result[name]["wrapper"]["ratio_to_twin"] = ratio(times, "wrapper", "twin")
    x, y = rows((32, 32), 10, 64, 8)
    for make in (keras.layers.LSTM, keras.layers.GRU):
        models = recurrent_nets(make, len(x))
        result[make.__name__] = summarized(*step_times(models, x, y, 64, rounds), "plain")
    return result


def resident_mib():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_large(rounds):
    sizes = (2048, 4096, 4096, 4096, 2048)
    # The first layer that Keras serializes imports TensorFlow where that is installed.
    kp.to_variational(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]), num_data=1)
    model = keras.Sequential([keras.Input(sizes[:1]), *map(keras.layers.Dense, sizes[1:])])
    gc.collect()
    weights = sum(v.nbytes for v in map(np.asarray, model.get_weights()))
    gc.collect()
    before, start = resident_mib(), time.perf_counter()
    new = kp.to_variational(model, num_data=1000)
    took = time.perf_counter() - start
    gc.collect()
    after = resident_mib()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "million_weights": round(model.count_params() / 1e6, 1),
        "seconds": round(took, 2),
        "weights_mib": round(weights / 2**20),
        "new_model_mib": round(sum(int(np.prod(v.shape)) for v in new.variables) * 4 / 2**20),
        "resident_rise_mib": round(after - before),
        "peak_rise_mib": round(peak - before),
    }


PARTS = {"conv": measure_conv, "wrapper": measure_wrapper, "large": measure_large}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    for part in options.parts:
        line = {
            "benchmark": "conversion",
            "backend": keras.config.backend(),
            "part": part,
            "result": PARTS[part](options.rounds),
        }
        json.dump(line, sys.stdout)
        print(flush=True)


if __name__ == "__main__":
    main()
