"""Size and latency of `export_predictive` beside the plain model's own export, as JSON.

    KERAS_BACKEND=tensorflow python benchmarks/serving.py

Each backend adds its run to benchmarks/results/serving.json. "mean alone" is `model.export` of
`to_deterministic(model)`; the others have S draws. Each runtime has one thread; files take turns
within every round, and a time is the median over rounds of the mean of a few calls.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import tempfile
import time
import warnings

import keras
import numpy as np

import keras_priors as kp

RESULTS = pathlib.Path(__file__).parent / "results" / "serving.json"
SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite", "torch": ".pt2"}
FORMATS = {
    "tensorflow": ("tf_saved_model", "onnx", "litert"),
    "jax": ("tf_saved_model",),
    "torch": ("onnx", "torch"),
}
BATCHES = (1, 256)


def classes(last_alone):
    """784-400-400-10, all layers variational or the last one alone."""
    hidden = keras.layers.Dense if last_alone else kp.VariationalDense
    options = {} if last_alone else {"num_data": 60000}
    return keras.Sequential(
        [
            keras.Input((784,)),
            hidden(400, activation="relu", **options),
            hidden(400, activation="relu", **options),
            kp.VariationalDense(10, num_data=60000),
        ]
    )


def numbers(outputs=2):
    """13-50-2: means and the noise of each row; or 13-50-1, log rates."""
    return keras.Sequential(
        [
            keras.Input((13,)),
            kp.VariationalDense(50, activation="relu", num_data=400),
            kp.VariationalDense(outputs, num_data=400),
        ]
    )


CASES = {
    "784-400-400-10, classes": (lambda: classes(False), kp.likelihoods.Categorical(), None),
    "the same, last layer alone": (lambda: classes(True), kp.likelihoods.Categorical(), None),
    "13-50-2, three quantiles": (numbers, kp.likelihoods.HeteroscedasticNormal(), None),
    "the same, no quantiles": (numbers, kp.likelihoods.HeteroscedasticNormal(), ()),
    "the same, of a gamma": (numbers, kp.likelihoods.Gamma(None), None),
    "13-50-1, of counts": (lambda: numbers(1), kp.likelihoods.Poisson(), None),
}


def mean_alone(model, path, target):
    plain = kp.to_deterministic(model)
    options = {}
    if target == "torch":
        import torch

        options = {"dynamic_shapes": {0: torch.export.Dim("batch")}}
    elif keras.config.backend() == "torch":  # Keras takes one row where the batch is not known
        shape = (None, *plain.input_shape[1:])
        options = {"input_signature": [keras.InputSpec(shape=shape, dtype="float32")]}
    plain(np.zeros((1, *plain.input_shape[1:]), "float32"))
    plain.export(path, format=target, verbose=False, **options)


def load(path, target):
    """A function of rows, run by one thread."""
    if target == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda x: session.run(None, {name: x})
    if target == "torch":
        import torch

        torch.set_num_threads(1)
        module = torch.export.load(path).module()

        def run(x):
            with torch.no_grad():
                return module(torch.from_numpy(x))

        return run
    import tensorflow as tf

    if target == "litert":
        interpreter = tf.lite.Interpreter(path, num_threads=1)
        runner = interpreter.get_signature_runner("serving_default")
        (name,) = runner.get_input_details()
        return lambda x, _=interpreter: runner(**{name: x})
    loaded = tf.saved_model.load(path)
    return lambda x, _=loaded: loaded.serve(tf.constant(x))


def size_of(path):
    path = pathlib.Path(path)
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(file.stat().st_size for file in files)


def seconds(run, x, calls):
    begin = time.perf_counter()
    for _ in range(calls):
        run(x)
    return (time.perf_counter() - begin) / calls


def measured(draws, rounds, calls):
    for case, (make, likelihood, quantiles) in CASES.items():
        model = make()
        model.compile(loss=likelihood)
        for target in FORMATS[keras.config.backend()]:
            with tempfile.TemporaryDirectory() as folder:
                paths = {
                    what: f"{folder}/{k}{SUFFIXES[target]}"
                    for k, what in enumerate(("mean alone", "predictive"))
                }
                mean_alone(model, paths["mean alone"], target)
                begin = time.perf_counter()
                kp.export_predictive(
                    model, paths["predictive"], draws, target, quantiles=quantiles, seed=0
                )
                export_s = time.perf_counter() - begin
                runs = {what: load(path, target) for what, path in paths.items()}
                row = {"case": case, "format": target, "export_s": round(export_s, 1)}
                for n in BATCHES:
                    x = np.random.default_rng(0).normal(size=(n, *model.input_shape[1:]))
                    x = x.astype("float32")
                    times = {what: [] for what in runs}
                    for run in runs.values():
                        run(x)
                    for _ in range(rounds):
                        for what, run in runs.items():
                            times[what].append(1e3 * seconds(run, x, calls))
                    for what, found in times.items():
                        row[f"{what}: ms at {n}"] = round(statistics.median(found), 3)
                for what, path in paths.items():
                    row[f"{what}: kB"] = round(size_of(path) / 1000, 1)
            print(json.dumps(row), flush=True)
            yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=5)
    options = parser.parse_args()
    if keras.config.backend() != "torch":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    warnings.simplefilter("ignore")  # of the libraries that trace and convert
    backend = keras.config.backend()
    run = {
        "command": f"KERAS_BACKEND={backend} python benchmarks/serving.py",
        "backend": backend,
        "keras": keras.__version__,
        "date": datetime.date.today().isoformat(),
        "draws": options.draws,
        "results": list(measured(options.draws, options.rounds, options.calls)),
    }
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": []}
    others = [each for each in stored["runs"] if each["backend"] != backend]
    runs = sorted([*others, run], key=lambda each: each["backend"])
    RESULTS.write_text(json.dumps({"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
