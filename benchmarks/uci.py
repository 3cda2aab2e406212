"""The nine regressions of the UCI repository by the usual protocol: JSON of each split.

    KERAS_BACKEND=jax python benchmarks/uci.py --out benchmarks/results/uci.json

One hidden layer of 50 units (100 for protein), the standard splits (20, protein 5), inputs and
targets standardised by the training rows. `ll` is the mean test log likelihood in nats of a target
in its own units, `rmse` in those. Each method has one recipe for all sets (`METHODS`), chosen with
`--rows validation`: a fifth of the training rows of splits 0 to 2 held back, test rows unseen.

Results that `--out` holds already are kept and not run again, so that the table grows from one run
to the next. Data: `../shared/data`.
"""

import argparse
import importlib.util
import json
import pathlib
import shlex
import sys
import time
import warnings

import keras
import numpy as np

import keras_priors as kp

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("boston", "concrete", "energy", "kin8nm", "naval", "power", "protein", "wine", "yacht")
BATCH = 64
STEPS = 6_000
# Of what was published, with one hidden layer of the usual width, and where. Spread over splits.
PUBLISHED = {
    "PBP": "Lakshminarayanan, Pritzel and Blundell, 2017, arXiv:1612.01474, table 1",
    "MC_dropout_2016_original": "Gal and Ghahramani, 2016, arXiv:1506.02142, corrected tables "
    "of their repository DropoutUncertaintyExps",
    "MC_dropout_2018_grid_search": "the repository DropoutUncertaintyExps, results of 2018",
    "deep_ensembles_M5": "Lakshminarayanan, Pritzel and Blundell, 2017, table 1",
    "DVI_heteroscedastic": "Wu et al., 2019, arXiv:1810.03958, table 2, splits of their own",
    "hoDVI_homoscedastic": "Wu et al., 2019, table 2, splits of their own",
}
# One learned noise; mean and noise of each row.
HEADS = ("noise", "both")
LIKELIHOOD = kp.likelihoods.HeteroscedasticNormal()


def net(inputs, units, head):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((inputs,)), layers.Dense(units, activation="relu", name="hidden")]
    )
    if head == "both":
        model.add(layers.Dense(2, name="last"))
    else:
        model.add(layers.Dense(1, name="last"))
        model.add(kp.layers.NoiseScale(initial_scale=0.5, name="noise"))
    kernel = kp.VarianceScalingPrior(2.0)
    kp.set_priors(model, {"*kernel": kernel, "*bias": kp.NormalPrior(0.0, 1.0)})
    return model


def trained(model, x, y, steps=STEPS, rate=0.01, **adam):
    """Plain `fit` to the MAP, by a rate that falls to 0."""
    kp.set_num_data(model, len(x))
    batch = min(BATCH, len(x))
    epochs = max(1, round(steps * batch / len(x)))
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-len(x) // batch))
    model.compile(keras.optimizers.Adam(schedule, **adam), LIKELIHOOD)
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    return model


def by_layers(estimator):
    def run(model, x, y, seed):
        new = kp.to_variational(
            model,
            estimator=estimator,
            start="fresh",
            seed=seed,
        )
        trained(new, x, y, 3 * STEPS, beta_2=0.99)
        return kp.inference.VariationalLayers().fit(new, x, y, LIKELIHOOD, verbose=0)

    return run


def after_fit(method):
    def run(model, x, y, seed):
        return method(len(x)).fit(trained(model, x, y), x, y, LIKELIHOOD, seed=seed, verbose=0)

    return run


def tuned_laplace(model, x, y, seed):
    found = kp.inference.Laplace("full").fit(trained(model, x, y), x, y, LIKELIHOOD, verbose=0)
    return found.tune()


inference = kp.inference
METHODS = {
    "plain fit": after_fit(lambda rows: inference.MAP(max_iterations=0)),
    "VariationalDense": by_layers("reparameterization"),
    "VariationalDense, flipout": by_layers("flipout"),
    "VariationalDense, local": by_layers("local_reparameterization"),
    "MeanField": after_fit(lambda rows: inference.MeanField()),
    "Laplace": after_fit(lambda rows: inference.Laplace("full")),
    "Laplace, tuned": tuned_laplace,
    "SWAG": after_fit(lambda rows: inference.SWAG()),
    "DeepEnsemble": after_fit(lambda rows: inference.DeepEnsemble(5)),
    "SGHMC": after_fit(lambda rows: inference.SGHMC()),
    "NUTS": after_fit(lambda rows: inference.NUTS(4, 300, 250, max_tree_depth=8)),
}


def load():
    spec = importlib.util.spec_from_file_location("load", SHARED / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parts(name, split, rows):
    """(x, y) to learn from, standardised; (x, y) to judge by; and the units of y."""
    x, y, splits = load().load_uci(name)
    train, test = splits[split]
    if rows == "validation":
        order = np.random.default_rng(split).permutation(train)
        test, train = order[: len(order) // 5], order[len(order) // 5 :]
    mean, unit = x[train].mean(0), x[train].std(0)
    unit[unit == 0] = 1.0
    centre, scale = y[train].mean(), y[train].std()
    found = [
        (((x[of] - mean) / unit).astype("float32"), ((y[of] - centre) / scale).astype("float32"))
        for of in (train, test)
    ]
    return *((a, b[:, None]) for a, b in found), float(scale)


def judge(name, split, method, head, rows):
    (x, y), (x_test, y_test), scale = parts(name, split, rows)
    keras.utils.set_random_seed(split)
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = net(x.shape[1], 100 if name == "protein" else 50, head)
        posterior = METHODS[method](model, x, y, split)
        seconds = time.perf_counter() - begin
        predictive = posterior.predict(x_test, seed=0)
        said = sorted({str(w.message)[:80] for w in caught if w.category is UserWarning})
    log_prob = np.asarray(predictive.log_prob(y_test)).ravel() - np.log(scale)
    low, high = predictive.interval(0.9)
    error = scale * (np.asarray(predictive.mean) - y_test)
    return {
        "ll": float(log_prob.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "coverage_90": float(np.mean((low <= y_test) & (y_test <= high))),
        "seconds": round(seconds, 1),
        "warned": said,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--splits", nargs="+", type=int, default=list(range(20)))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--rows", choices=("validation", "test"), default="test")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    if not (SHARED / "load.py").is_file():
        print(f"No data: there is no {SHARED}.", file=sys.stderr)
        return
    published = json.loads((SHARED / "uci" / "published_results.json").read_text())
    stored = {
        "commands": [],
        "published": {
            name: {
                "ll": published["verified_text"][name]["ll"],
                "spread": published["verified_text"][name]["spread"],
                "source": source,
            }
            for name, source in PUBLISHED.items()
        },
        "results": [],
    }
    if options.out.exists():
        stored = json.loads(options.out.read_text())
    command = shlex.join([f"KERAS_BACKEND={keras.backend.backend()}", "python", *sys.argv])
    if command not in stored["commands"]:
        stored["commands"].append(command)
    keys = ("set", "split", "method", "head", "rows")
    done = {tuple(row[key] for key in keys) for row in stored["results"]}
    for split in options.splits:
        for name in options.sets:
            for head in options.heads:
                for method in options.methods:
                    key = (name, split, method, head, options.rows)
                    if key in done or (name == "protein" and split >= 5):
                        continue
                    row = dict(zip(keys, key, strict=True))
                    row |= {"backend": keras.backend.backend(), "version": kp.__version__}
                    row["date"] = time.strftime("%Y-%m-%d")
                    try:
                        row |= judge(*key)
                    except (ValueError, NotImplementedError) as error:
                        row["refused"] = str(error)[:120]
                    print(row, file=sys.stderr, flush=True)
                    stored["results"].append(row)
                    options.out.write_text(json.dumps(stored, indent=1))


if __name__ == "__main__":
    main()
