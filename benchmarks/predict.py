"""`keras_priors.predict` against as many compiled passes of the plain net, as JSON.

    KERAS_BACKEND=jax python benchmarks/predict.py --nets W1 W2

"plain" is a compiled forward pass of the same net of `Dense`, called once for each draw, outputs
as NumPy arrays. The two take turns within every round; `ratio` is the median over rounds of the
ratio within one. `first_s` is the first call, with its compilation. `peak_mib` is how far the
resident memory of the process rises above what it was before the call, draws included (Linux).
"""

import argparse
import json
import os
import pathlib
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.layers import VariationalDense
from keras_priors.predictive import predict

NETS = {"W1": (54, 64, 64, 7), "W2": (784, 400, 400, 10), "W3": (1024, 2048, 2048, 10)}


def net(widths: tuple[int, ...], dense: Any) -> keras.Sequential:
    layers = [dense(units, activation="relu") for units in widths[1:-1]]
    return keras.Sequential([keras.Input((widths[0],)), *layers, dense(widths[-1])])


def plain_passes(model: Any, x: Any, count: int) -> Callable[[], Any]:
    def forward(weights: Any, x: Any) -> Any:
        return model.stateless_call(weights, [], x, training=False)[0]

    compiled = backend.compile_function(forward)
    x = ops.convert_to_tensor(x)

    def run() -> Any:
        weights = [ops.convert_to_tensor(v) for v in model.trainable_variables]
        return np.stack([ops.convert_to_numpy(compiled(weights, x)) for _ in range(count)])

    return run


def seconds(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def resident_mib() -> float:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib(function: Callable[[], Any]) -> float:
    before, peak, done = resident_mib(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident_mib())

    thread = threading.Thread(target=watch)
    thread.start()
    function()
    done.set()
    thread.join()
    return peak - before


def compare(name: str, rows: int, draws: int, rounds: int) -> dict[str, float]:
    widths = NETS[name]
    x = np.random.default_rng(0).standard_normal((rows, widths[0]), dtype="float32")
    model = net(widths, VariationalDense)
    plain = plain_passes(net(widths, keras.layers.Dense), x, draws)

    def predictive() -> Any:
        return predict(model, x, num_samples=draws, seed=0, verbose=0)

    first: list[float] = []
    peak = peak_mib(lambda: first.append(seconds(predictive)))
    plain()
    times = [(seconds(plain), seconds(predictive)) for _ in range(rounds)]
    return {
        "plain_s": round(statistics.median(a for a, _ in times), 3),
        "predict_s": round(statistics.median(b for _, b in times), 3),
        "ratio": round(statistics.median(b / a for a, b in times), 3),
        "first_s": round(first[0], 2),
        "peak_mib": round(peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="*", default=["W1", "W2"], choices=sorted(NETS))
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "backend": keras.config.backend(),
        "cpus": os.cpu_count(),
        "rows": arguments.rows,
        "draws": arguments.draws,
    }
    for name in arguments.nets:
        report[name] = compare(name, arguments.rows, arguments.draws, arguments.rounds)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
