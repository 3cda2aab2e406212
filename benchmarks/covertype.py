"""One net on Forest CoverType by six methods: JSON, and the table of `compare` on stderr.

    KERAS_BACKEND=jax python benchmarks/covertype.py --epochs 60

54-64-64-7 with relu, 20,000 training rows, 10,000 test rows, the ten measured columns standardized
and the 44 indicators left 0 or 1. Data: `../shared/data` beside the project, or scikit-learn's
`fetch_covtype`. `fit_s` of a method that begins at the MAP contains the seconds of that MAP, and
everything contains compilation.

Priors are N(0, 1) on kernels and biases: against 20,000 rows they are weak, and the MAP, which is
that of weight decay 1 / (2 N), has the NLL 0.43. `VarianceScalingPrior(2)`, 32 times the precision
at a fan-in of 64, holds this net back: 0.48. Adam's rate falls to 0, so that the MAP is a mode:
what the other methods gain, they do not gain by training on.
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import time

import keras
import numpy as np

import keras_priors as kp

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
METHODS = ("map", "laplace, last layer", "sghmc", "swag", "ensemble of 5", "mean field")


def covertype(rows, test_rows):
    """((x, y), (x_test, y_test)), or None where there are no data."""
    if (SHARED / "load.py").is_file():
        spec = importlib.util.spec_from_file_location("load", SHARED / "load.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        x, y = module.load_covertype()
    else:
        from sklearn.datasets import fetch_covtype

        try:
            x, y = fetch_covtype(return_X_y=True)
        except OSError as error:
            print(f"No CoverType data: no {SHARED}, and {error}", file=sys.stderr)
            return None
        x, y = x.astype("float32"), y.astype("int64") - 1
    order = np.random.default_rng(0).permutation(len(x))[: rows + test_rows]
    x, y = x[order], y[order]
    measured = x[:rows, :10]
    x[:, :10] = (x[:, :10] - measured.mean(0)) / measured.std(0)
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


def net(prior=None, width=64):
    model = keras.Sequential(
        [
            keras.Input((54,)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(7),
        ]
    )
    kp.set_priors(model, prior or kp.NormalPrior(0.0, 1.0))
    return model


def adam(epochs, rows, batch=128):
    """Adam, whose rate falls to 0 along a cosine."""
    steps = epochs * -(-rows // batch)
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps))


def methods(epochs, rows, steps):
    """By name; the first is what `fit` of Keras has found. Chains burn in for `steps`."""
    found = (
        kp.inference.MAP(max_iterations=0),
        kp.inference.Laplace("full", layers="last"),
        kp.inference.SGHMC(
            0.03,
            num_burnin=steps,
            num_samples=100,
            thinning=steps // 25,
            num_chains=1,
            preconditioner=None,
        ),
        kp.inference.SWAG(burnin_epochs=epochs // 6, num_snapshots=max(20, epochs // 2)),
        kp.inference.DeepEnsemble(5, epochs, 128, adam(epochs, rows)),
        kp.inference.MeanField(num_steps=2 * steps),
    )
    return dict(zip(METHODS, found, strict=True))


def run(train, test, epochs, steps, chosen=METHODS, prior=None):
    """The table of `compare`."""
    x, y = train
    keras.utils.set_random_seed(1)
    model = net(prior)
    begin = time.perf_counter()
    kp.set_num_data(model, len(x))
    model.compile(adam(epochs, len(x)), kp.likelihoods.Categorical())
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    trained = time.perf_counter() - begin
    posteriors = {}
    for name, method in methods(epochs, len(x), steps).items():
        if name in chosen:
            posteriors[name] = method.fit(model, x, y, seed=0, verbose=0)
            if "ensemble" not in name:
                posteriors[name].seconds += trained
            print(f"{name}: {posteriors[name].seconds:.1f} s", file=sys.stderr, flush=True)
    return kp.compare(posteriors, *test)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--test-rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    data = covertype(options.rows, options.test_rows)
    if data is None:
        return
    table = run(*data, options.epochs, 80 * options.epochs, options.methods)
    print(table, file=sys.stderr)
    head = {"backend": keras.backend.backend(), "rows": options.rows, "epochs": options.epochs}
    print(json.dumps({**head, **{name: dict(row) for name, row in table.items()}}, indent=1))


if __name__ == "__main__":
    main()
