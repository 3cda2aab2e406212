"""Laplace against laplace-torch, on MobileNetV2's last layer, and on a net of ten million weights.

    KERAS_BACKEND=torch python benchmarks/laplace.py peer|last|large

Prints one JSON object. `peer` needs PyTorch and laplace-torch; both fit the same weights and data
in turn, medians over rounds.
"""

import json
import os
import resource
import statistics
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import keras_priors as kp
from keras_priors.inference import Laplace


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def in_turn(functions, rounds=3):
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function))
    return {name: round(statistics.median(values), 4) for name, values in times.items()}


def classifier(*widths):
    layers = [keras.layers.Dense(width, activation="tanh") for width in widths[1:-1]]
    model = keras.Sequential([keras.Input(widths[:1]), *layers, keras.layers.Dense(widths[-1])])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    return model


def peer():
    sys.path.pop(0)  # this folder, whose `laplace` is this file
    import torch
    from laplace import Laplace as Peer

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 20)).astype("float32")
    y = rng.integers(0, 5, 1000)
    widths = (20, 30, 30, 5)
    model = classifier(*widths)
    stack = []
    for k, layer in enumerate(model.layers):
        linear = torch.nn.Linear(*widths[k : k + 2])
        kernel, bias = layer.get_weights()
        linear.weight.data = torch.tensor(kernel.T.copy())
        linear.bias.data = torch.tensor(bias)
        stack += [linear, torch.nn.Tanh()]
    net = torch.nn.Sequential(*stack[:-1])
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=500
    )
    inputs = torch.tensor(x)
    found = {"torch_threads": torch.get_num_threads()}
    names = {"full": "full", "kronecker": "kron", "diagonal": "diag"}
    for where in ("all", "last"):
        for ours, theirs in names.items():
            method = Laplace(ours, layers=where, max_iterations=0, tolerance=1e6)
            held = {}

            def fit(method=method, held=held):
                held["ours"] = method.fit(model, x, y, kp.likelihoods.Categorical())

            def fit_peer(theirs=theirs, where=where, held=held):
                subset = "all" if where == "all" else "last_layer"
                held["theirs"] = Peer(
                    net,
                    "classification",
                    subset_of_weights=subset,
                    hessian_structure=theirs,
                    prior_precision=1.0,
                )
                held["theirs"].fit(loader)

            entry = {"fit": in_turn({"keras_priors": fit, "laplace_torch": fit_peer})}
            entry["predict"] = in_turn(
                {
                    "keras_priors": lambda held=held: held["ours"].predict(x, method="probit"),
                    "laplace_torch": lambda held=held: held["theirs"](
                        inputs, pred_type="glm", link_approx="probit"
                    ),
                }
            )
            ours_p = held["ours"].predict(x, method="probit").probabilities
            theirs_p = held["theirs"](inputs, pred_type="glm", link_approx="probit")
            entry["probabilities_differ_by"] = float(
                np.abs(ours_p - theirs_p.detach().numpy()).max()
            )
            entry["log_marginal_likelihood"] = [
                round(held["ours"].log_marginal_likelihood(), 3),
                round(float(held["theirs"].log_marginal_likelihood()), 3),
            ]
            found[f"{where}_{ours}"] = entry
    return found


def last():
    base = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), include_top=False, pooling="avg", weights=None
    )
    model = keras.Sequential([base, keras.layers.Dense(10)])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 96, 96, 3)).astype("float32")
    y = rng.integers(0, 10, 512)
    likelihood = kp.likelihoods.Categorical()
    method = Laplace("kronecker", layers="last", tolerance=1e6)
    times = in_turn(
        {
            "predict_of_keras": lambda: model.predict(x, batch_size=32, verbose=0),
            "fit": lambda: method.fit(model, x, y, likelihood),
        },
        rounds=2,
    )
    return {**times, "ratio_to_predict": round(times["fit"] / times["predict_of_keras"], 2)}


def large():
    model = classifier(784, 2400, 2400, 1000, 10)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 784)).astype("float32")
    y = rng.integers(0, 10, 512)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    method = Laplace(max_iterations=0, tolerance=1e6)
    start = time.perf_counter()
    posterior = method.fit(model, x, y, kp.likelihoods.Categorical())
    fitted = time.perf_counter() - start
    draw = seconds(lambda: posterior.draws(1, seed=0))
    return {
        "weights": model.count_params(),
        "fit_s": round(fitted, 1),
        "draw_s": round(draw, 2),
        "stated_GiB": round(method.memory(model) / 2**30, 2),
        "peak_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "before_GiB": round(before / 2**20, 2),
    }


if __name__ == "__main__":
    parts = {"peer": peer, "last": last, "large": large}
    chosen = sys.argv[1:] or list(parts)
    results = {name: parts[name]() for name in chosen}
    print(json.dumps({"backend": keras.backend.backend(), **results}, indent=1))
