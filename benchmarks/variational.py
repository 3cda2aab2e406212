"""Plain nets, variational layers as they come, and the recipe of the guide: JSON of each seed.

    KERAS_BACKEND=jax python benchmarks/variational.py --seeds 0 1 2

Every fit of a net takes the same number of epochs, and the batches of its plain fit:

    plain        Adam, whose rate falls to 0 along a cosine
    averaged     the plain net at `RATE` times that rate, held, with a moving average of the weights
    variational  twins in place of the layers, all else as plain: temperature 1
    warm         a quarter of the epochs as plain, then `to_variational` and the recipe
    recipe       twins at temperature `--temperature`, `RATE` times the rate, held, with the average

so that `averaged` tells what of the recipe's gain is the average's alone. Predictions of
variational nets are the mean of 50 draws. `mi_auroc` is the area under the ROC of the mutual
information between classes and weights, for rows of the data against rows whose columns were
shuffled each by itself (`wide`, `tanh`), or that were turned upside down (images); 0.5 tells
nothing. `scale` is the median standard deviation of a weight, `snr` that of |mean| / standard
deviation.

Rows: "validation" are training rows of the data set that no fit has seen, by which `--temperature`,
`RATE` and the quarter were chosen; "test" those of the test set. Data: `../shared/data`.
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import time

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

import keras_priors as kp

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
WAYS = ("plain", "averaged", "variational", "warm", "recipe")
RATE = 3.0


def load():
    spec = importlib.util.spec_from_file_location("load", SHARED / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def covertype(kind, rows=20_000):
    x, y = load().load_covertype()
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    x[:, :10] = (x[:, :10] - x[:rows, :10].mean(0)) / x[:rows, :10].std(0)
    held = slice(-15_000, -7_500) if kind == "validation" else slice(-7_500, None)
    generator = np.random.default_rng(1)
    odd = np.stack([generator.permutation(column) for column in x[held].T], axis=1)
    return (x[:rows], y[:rows]), (x[held], y[held]), odd


def mnist(kind, rows):
    (x, y), test = load().load_mnist()
    held = (x[-5_000:], y[-5_000:]) if kind == "validation" else test
    x, y = x[: min(rows, len(x) - 5_000)], y[: min(rows, len(x) - 5_000)]
    scaled = [np.asarray(part, "float32") / 255 for part in (x, held[0])]
    return (scaled[0], y.astype("int64")), (scaled[1], held[1].astype("int64")), scaled[1][:, ::-1]


def dense(inputs, widths, activation):
    hidden = [keras.layers.Dense(width, activation=activation) for width in widths[:-1]]
    return keras.Sequential([*inputs, *hidden, keras.layers.Dense(widths[-1])])


def convolutional():
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Reshape((28, 28, 1)),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )


def recurrent():
    return keras.Sequential([keras.Input((28, 28)), keras.layers.LSTM(64), keras.layers.Dense(10)])


# By name: the net, its data, epochs, rows in a batch, the rate of its plain fit.
NETS = {
    "wide": (
        lambda: dense([keras.Input((54,))], (128, 128, 7), "relu"), covertype, 25, 512, 3e-3
    ),
    "tanh": (lambda: dense([keras.Input((54,))], (20, 20, 7), "tanh"), covertype, 40, 128, 3e-3),
    "mnist": (
        lambda: dense(
            [keras.Input((28, 28)), keras.layers.Flatten()], (400, 400, 10), "relu"
        ),
        lambda kind: mnist(kind, 20_000), 20, 128, 1e-3,
    ),
    "conv": (convolutional, lambda kind: mnist(kind, 10_000), 15, 128, 1e-3),
    "lstm": (recurrent, lambda kind: mnist(kind, 10_000), 15, 128, 1e-3),
}  # fmt: skip


def compiled(model, rate, steps=None):
    """With a rate that falls within `steps`, or one that is held and weights that are averaged."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if steps is None:
        optimizer = keras.optimizers.Adam(RATE * rate, use_ema=True)
    else:
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    model.compile(optimizer, loss)
    return model


def fit(make, way, train, epochs, batch, rate, temperature):
    """The model, and seconds."""
    x, y = train
    steps = epochs * -(-len(x) // batch)
    begin = time.perf_counter()
    model = make()
    first = 0
    if way == "warm":
        first = epochs // 4
        compiled(model, rate, steps).fit(x, y, batch_size=batch, epochs=first, verbose=0)
    if way in ("variational", "warm", "recipe"):
        model = kp.to_variational(model, prior=kp.NormalPrior(0.0, 1.0))
        kp.set_num_data(model, len(x), temperature=1.0 if way == "variational" else temperature)
    compiled(model, rate, steps if way in ("plain", "variational") else None)
    model.fit(x, y, batch_size=batch, epochs=epochs - first, verbose=0)
    return model, time.perf_counter() - begin


def spreads(model):
    """(median scale, median |mean| / scale) over all weights with a posterior."""
    pairs = [
        [keras.ops.convert_to_numpy(v).ravel() for v in (q.mean(), q.stddev())]
        for q in (
            penalty.posterior
            for layer in model._flatten_layers(include_self=False)
            if isinstance(layer, kp.layers.VariationalLayer)
            for penalty in layer._kl_penalties
        )
    ]
    mean, scale = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return float(np.median(scale)), float(np.median(np.abs(mean) / scale))


def judged(model, way, held, odd):
    """NLL in nats, error, ECE of the held rows, and what tells `odd` ones."""
    x, y = held
    likelihood = kp.likelihoods.Categorical()
    found = {}
    if way in ("plain", "averaged"):
        logits = keras.ops.convert_to_tensor(model.predict(x, batch_size=2_000, verbose=0))
        p = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    else:
        predictive = kp.predict(model, x, likelihood=likelihood, num_samples=50, seed=0, verbose=0)
        p = predictive.mean
        other = kp.predict(model, odd, likelihood=likelihood, num_samples=50, seed=0, verbose=0)
        label = np.repeat([0, 1], [len(x), len(odd)])
        score = np.concatenate([predictive.mutual_information, other.mutual_information])
        found["mi_auroc"] = float(roc_auc_score(label, score))
        found["scale"], found["snr"] = spreads(model)
    found["nll"] = float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean())
    found["error"] = float(np.mean(p.argmax(1) != y))
    found["ece"] = float(kp.metrics.expected_calibration_error(y, p))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", choices=("validation", "test"), default="test")
    parser.add_argument("--temperature", type=float, default=0.1)
    options = parser.parse_args()
    if not (SHARED / "load.py").is_file():
        print(f"No data: there is no {SHARED}.", file=sys.stderr)
        return
    results = []
    for name in options.nets:
        make, data, epochs, batch, rate = NETS[name]
        train, held, odd = data(options.rows)
        for seed in options.seeds:
            for way in options.ways:
                keras.utils.set_random_seed(seed)
                model, seconds = fit(make, way, train, epochs, batch, rate, options.temperature)
                row = {"net": name, "seed": seed, "way": way, "seconds": round(seconds, 1)}
                results.append({**row, **judged(model, way, held, odd)})
                print(results[-1], file=sys.stderr, flush=True)
    head = {"backend": keras.backend.backend(), "keras": keras.__version__, **vars(options)}
    print(json.dumps({**head, "results": results}, indent=1))


if __name__ == "__main__":
    main()
