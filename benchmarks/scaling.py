"""How time and memory grow with width, batch, draws, rows, chains, members and processes, as JSON.

    KERAS_BACKEND=jax python benchmarks/scaling.py

Writes benchmarks/results/scaling.json, after each point: `--axes draws rows` runs these axes and
keeps the others. Each point has a process of its own, so that its peak of memory is its own: the
peak of the process less what it had before (Keras, the backend and the data). Times are medians
after a call that compiles; points of one axis come one after the other.
"""

import argparse
import concurrent.futures
import datetime
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

RESULTS = pathlib.Path(__file__).parent / "results" / "scaling.json"
WIDTHS = (64, 256, 1024, 4096, 8192)
AXES = {
    "width, plain": WIDTHS,
    "width, variational": WIDTHS,
    "batch, plain": (32, 256, 2048, 16384),
    "batch, variational": (32, 256, 2048, 16384),
    "draws": (1, 10, 100, 1000),
    "rows": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "rows, to a file": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "chains": (1, 2, 4, 8, 16),
    "members": (1, 2, 4, 8),
    "members, two processes": (2, 4, 8),
}


def rows_of(n, inputs):
    import numpy as np

    return np.random.default_rng(0).standard_normal((n, inputs), "float32")


def fit_step(layer, width, batch):
    """One square layer and Adam: a function that fits an epoch, and how many steps that is."""
    import keras

    import keras_priors as kp

    steps = max(2, min(50, 2**24 // (width * width), 2**20 // batch))
    x, y = rows_of(batch * steps, width), rows_of(batch * steps, 1)
    options = {"num_data": len(x)} if layer == "variational" else {}
    make = kp.VariationalDense if layer == "variational" else keras.layers.Dense
    model = keras.Sequential(
        [
            keras.Input((width,)),
            make(width, activation="relu", **options),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), kp.likelihoods.Normal(1.0))
    return lambda: model.fit(x, y, batch_size=batch, epochs=1, verbose=0), steps


def predictor(inputs, hidden, n, draws, out=None):
    import keras

    import keras_priors as kp

    layers = [kp.VariationalDense(hidden, num_data=n), kp.VariationalDense(1, num_data=n)]
    model = keras.Sequential([keras.Input((inputs,)), *layers])
    x = rows_of(n, inputs)
    return lambda: kp.predict(
        model, x, draws, kp.likelihoods.Normal(1.0), seed=0, verbose=0, out=out
    )


def small_net():
    import keras

    import keras_priors as kp

    x = rows_of(200, 4)
    layers = [keras.Input((4,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    kp.set_priors(model, kp.NormalPrior(0, 1))
    return model, x, x[:, :1] ** 2, kp.likelihoods.Normal(0.3)


def work_of(axis, value, folder, pool):
    """(a function to time, how many units of work are in it)."""
    import keras_priors as kp

    name, _, of = axis.partition(", ")
    if name == "width":
        return fit_step(of, value, 128)
    if name == "batch":
        return fit_step(of, 256, value)
    if name == "draws":
        return predictor(784, 400, 1000, value), 1
    if name == "rows":
        out = str(pathlib.Path(folder) / "draws.npy") if of else None
        return predictor(3, 8, value, 10, out), 1
    model, x, y, likelihood = small_net()
    if name == "chains":
        method, options = kp.inference.NUTS(value, num_warmup=100, num_samples=100), {}
    else:
        method, options = kp.inference.DeepEnsemble(value, epochs=200), {"executor": pool}
    fit = method.fit
    return lambda: fit(model, x, y, likelihood, seed=0, verbose=0, **options), 1


def mebibytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def point(axis, value, repeats):
    """Run in a process of its own: seconds of a unit of work, and MiB of memory beside the data."""
    import warnings

    import keras

    warnings.simplefilter("ignore")  # short chains and fits, which are no result here
    spawn = multiprocessing.get_context("spawn")
    pool = None
    if axis.endswith("processes"):
        pool = concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn)
    with tempfile.TemporaryDirectory() as folder:
        work, units = work_of(axis, value, folder, pool)
        before = mebibytes()
        begin = time.perf_counter()
        work()
        first = time.perf_counter() - begin
        times = []
        for _ in range(repeats if first < 30 else 1):
            begin = time.perf_counter()
            work()
            times.append((time.perf_counter() - begin) / units)
    if pool is not None:
        pool.shutdown()
    return {
        "axis": axis,
        "value": value,
        "seconds": float(f"{statistics.median(times):.4g}"),
        "first_seconds": round(first, 2),
        "mebibytes": round(mebibytes() - before),
        "keras": keras.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), metavar="axis")
    parser.add_argument("--most", type=float, default=float("inf"), help="leave out values above")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        axis, value = arguments.point
        print(json.dumps(point(axis, int(value), arguments.repeats)))
        return
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    stored = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"results": []}
    stored |= {
        "command": f"KERAS_BACKEND={backend} python benchmarks/scaling.py",
        "date": datetime.date.today().isoformat(),
        "backend": backend,
        "cores": os.cpu_count(),
    }
    for axis in arguments.axes:
        kept = [row for row in stored["results"] if row["axis"] != axis]
        found = []
        for value in AXES[axis]:
            if value > arguments.most:
                continue
            command = [sys.executable, __file__, "--repeats", str(arguments.repeats)]
            done = subprocess.run(
                [*command, "--point", axis, str(value)], capture_output=True, text=True, check=True
            )
            row = json.loads(done.stdout.splitlines()[-1])
            stored["keras"] = row.pop("keras")
            found.append(row)
            stored["results"] = [*kept, *found]
            arguments.out.write_text(json.dumps(stored, indent=1) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
