"""Nanoseconds per normal: the backend's own generators against `standard_normal`, as JSON.

    KERAS_BACKEND=jax python benchmarks/noise.py

"alone" is one compiled draw. "step" is what a draw of every kernel adds to a training step by
`fit` of a net of plain products (784-400-400-10 at batch 128 and 1024-2048-2048-10 at batch 256),
over the same net with zeros for noise. Candidates take turns within every round, and the numbers
are medians over rounds: compare them with each other, not with those of another day.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.backend import random_signs, standard_normal

SIZES = (8_000, 470_000, 6_300_000)
NETS = {"W2": ((784, 400, 400, 10), 128, 40), "W3": ((1024, 2048, 2048, 10), 256, 6)}

Draw = Callable[[tuple[int, ...], Any], Any]


def own(shape: tuple[int, ...], seed: Any) -> Any:
    return standard_normal(shape, seed, "float32")


def signs(shape: tuple[int, ...], seed: Any) -> Any:
    return random_signs(shape, seed, "float32")


def zeros(shape: tuple[int, ...], seed: Any) -> Any:
    return ops.zeros(shape, "float32")


def candidates() -> dict[str, Draw]:
    result: dict[str, Draw] = {"zeros": zeros, "standard_normal": own, "random_signs": signs}
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        def philox(shape: tuple[int, ...], seed: Any) -> Any:
            return tf.random.stateless_normal(shape, tf.cast(seed, "int32"), alg="philox")

        def uniform_ndtri(shape: tuple[int, ...], seed: Any) -> Any:
            key = tf.cast(seed, "int32")
            return tf.math.ndtri(tf.random.stateless_uniform(shape, key, alg="philox"))

        return result | {"tf.stateless_normal philox": philox, "tf.ndtri": uniform_ndtri}
    if keras.config.backend() == "jax":
        import jax

        def jax_normal(shape: tuple[int, ...], seed: Any) -> Any:
            return jax.random.normal(seed, shape)

        return result | {"jax.random.normal": jax_normal}

    def torch_normal(shape: tuple[int, ...], seed: Any) -> Any:
        return keras.random.normal(shape, seed=1)  # the same draw every time: only its cost counts

    return result | {"keras.random.normal": torch_normal}


def compiled(draw: Draw, size: int, xla: bool) -> Callable[[Any], Any]:
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda seed: draw((size,), seed), jit_compile=xla)
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(lambda seed: draw((size,), seed))
    return lambda seed: draw((size,), seed)


def wait(value: Any) -> None:
    if keras.config.backend() == "jax":
        value.block_until_ready()
    else:
        float(value[0])


def alone(size: int, rounds: int, xla: bool) -> dict[str, float]:
    functions = {name: compiled(draw, size, xla) for name, draw in candidates().items()}
    seed = keras.random.SeedGenerator(1).next()
    times: dict[str, list[float]] = {name: [] for name in functions}
    repeats = max(1, min(50, 2_000_000 // size))
    for round_ in range(rounds + 1):
        for name, function in functions.items():
            begin = time.perf_counter()
            for _ in range(repeats):
                value = function(seed)
            wait(value)
            if round_:  # the first one compiles
                times[name].append((time.perf_counter() - begin) / repeats / size)
    return {name: round(1e9 * statistics.median(values), 2) for name, values in times.items()}


class NoisyDense(keras.layers.Layer):
    """x (mean + 0.01 noise): the least that a shared draw can cost."""

    def __init__(self, units: int, draw: Draw) -> None:
        super().__init__()
        self.units, self.draw = units, draw
        self.seed_generator = keras.random.SeedGenerator(1)

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units))
        self.scale = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones")

    def call(self, x: Any) -> Any:
        noise = self.draw(self.kernel.shape, self.seed_generator.next())
        return ops.matmul(x, self.kernel + 0.01 * self.scale * noise)


class Steps(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self.begin)


def in_step(name: str, rounds: int, xla: bool | str) -> dict[str, dict[str, float]]:
    widths, batch, steps = NETS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch * steps, widths[0]), dtype="float32")
    y = rng.integers(0, widths[-1], batch * steps)
    models = {}
    for label, draw in candidates().items():
        layers: list[Any] = [keras.Input((widths[0],))]
        for units in widths[1:-1]:
            layers += [NoisyDense(units, draw), keras.layers.Activation("relu")]
        model = keras.Sequential([*layers, NoisyDense(widths[-1], draw)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=xla)
        models[label] = model
    times: dict[str, list[float]] = {label: [] for label in models}
    for round_ in range(rounds + 1):
        for label, model in models.items():
            clock = Steps()
            model.fit(x, y, batch_size=batch, verbose=0, shuffle=False, callbacks=[clock])
            if round_:
                times[label].append(statistics.median(clock.seconds[2:]))
    step = {label: statistics.median(values) for label, values in times.items()}
    count = sum(a * b for a, b in itertools.pairwise(widths))
    return {
        label: {
            "step_ms": round(1e3 * value, 2),
            "ns_per_normal": round(1e9 * (value - step["zeros"]) / count, 2),
        }
        for label, value in step.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--nets", nargs="*", default=["W2"], choices=sorted(NETS))
    arguments = parser.parse_args()
    modes = [False, True] if keras.config.backend() == "tensorflow" else [False]
    report: dict[str, Any] = {"backend": keras.config.backend(), "cpus": os.cpu_count()}
    for xla in modes:
        label = "xla " if xla else ""
        report[label + "alone_ns"] = {n: alone(n, arguments.rounds, xla) for n in SIZES}
        for net in arguments.nets:
            report[f"{label}step {net}"] = in_step(net, arguments.rounds, xla or "auto")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
