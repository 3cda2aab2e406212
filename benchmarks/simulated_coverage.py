"""How often intervals of each method hold the truth, and how far it is from known posteriors.

    KERAS_BACKEND=jax python benchmarks/simulated_coverage.py --posteriors FOLDER \
        --out benchmarks/results/simulated_coverage.json

`line`: a regression with 5 weights whose inputs have the correlation 0.8, 40 rows, weights drawn
from the prior, noise known. The exact posterior is normal: `mean_error` is the root mean square of
(mean - exact mean) / exact sd and `sd_ratio` the geometric mean of sd / exact sd.
`net`: 1-20-1 (tanh), 40 rows, weights drawn from the prior. Its weights may swap, so that the
function alone is judged, at 50 inputs of which half lie in a gap without data.

Over data sets whose weights were drawn from the prior an exact posterior's 90% intervals hold 90%
of the truth, weights and function alike; `coverage_*` is the share that a method's hold. `summary`
has means over data sets, and standard errors over them.

With `--posteriors FOLDER`, of NumPy files with X, y and reference draws, three regressions of
posteriordb too: `mean_error` and `sd_ratio` against those draws, raw designs as they are.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time
import warnings

import keras
import numpy as np

import keras_priors as kp

NOISE, LEVEL, DRAWS = 0.5, 0.9, 400
WIDTH, ROWS, UNITS, CORRELATION = 5, 40, 20, 0.8
inference = kp.inference
METHODS = {
    "Laplace": lambda: inference.Laplace("full"),
    "Laplace, Kronecker": lambda: inference.Laplace("kronecker"),
    "Laplace, diagonal": lambda: inference.Laplace("diagonal"),
    "MeanField": lambda: inference.MeanField(),
    "LowRank": lambda: inference.LowRank(),
    "FullRank": lambda: inference.FullRank(),
    "IVON": lambda: inference.IVON(),
    "SWAG": lambda: inference.SWAG(),
    "DeepEnsemble": lambda: inference.DeepEnsemble(),
    "RandomizedMAP": lambda: inference.RandomizedMAP(),
    "SGLD": lambda: inference.SGLD(),
    "SGHMC": lambda: inference.SGHMC(),
    "NUTS": lambda: inference.NUTS(),
}


def line(width=WIDTH):
    prior = kp.NormalPrior(0.0, 1.0)
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="line")
    return keras.Sequential([keras.Input((width,)), layer])


def net():
    prior, out = kp.NormalPrior(0.0, 1.0), kp.NormalPrior(0.0, UNITS**-0.5)
    wide = kp.NormalPrior(0.0, 2.0)
    hidden = keras.layers.Dense(
        UNITS, activation="tanh", kernel_regularizer=wide, bias_regularizer=prior
    )
    last = keras.layers.Dense(1, kernel_regularizer=out, bias_regularizer=prior)
    return keras.Sequential([keras.Input((1,)), hidden, last])


def simulated(case, seed):
    """(model, x, y, new x, the true function there, the true weights)."""
    random = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    if case == "line":
        model = line()
        mix = np.linalg.cholesky(
            (1 - CORRELATION) * np.eye(WIDTH) + CORRELATION * np.ones((WIDTH, WIDTH))
        )
        x, new = (random.standard_normal((n, WIDTH)) @ mix.T for n in (ROWS, 50))
    else:
        model = net()
        x = random.uniform(0.5, 2.0, (ROWS, 1)) * random.choice([-1.0, 1.0], (ROWS, 1))
        new = np.concatenate([np.linspace(-0.5, 0.5, 25), np.linspace(0.5, 2.0, 25)])[:, None]
    x, new = x.astype("float32"), new.astype("float32")
    priors = kp.get_priors(model).values()
    for variable, prior in zip(model.trainable_variables, priors, strict=True):
        scale = np.broadcast_to(prior.scale, variable.shape)
        variable.assign(scale * random.standard_normal(variable.shape))
    weights = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    y = keras.ops.convert_to_numpy(model(x)) + NOISE * random.standard_normal((ROWS, 1))
    function = keras.ops.convert_to_numpy(model(new))
    fresh = line() if case == "line" else net()
    return fresh, x, y.astype("float32"), new, function, weights


def trained(model, x, y, rate=0.01, epochs=500):
    """Plain `fit` to the MAP, in batches of 32, by a rate that falls to 0."""
    kp.set_num_data(model, len(x))
    steps = epochs * -(-len(x) // 32)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(schedule), kp.likelihoods.Normal(NOISE))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model


def inside(draws, truth):
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return float(np.mean((low <= truth) & (truth <= high)))


def judged(case, method, seed):
    model, x, y, new, function, weights = simulated(case, seed)
    posterior = METHODS[method]().fit(
        trained(model, x, y), x, y, kp.likelihoods.Normal(NOISE), seed=seed, verbose=0
    )
    most = posterior._most_samples
    number = DRAWS if most is None else min(DRAWS, most)
    outputs = posterior.predict(new, number, seed=0, verbose=0).draws
    row = {"coverage_function": inside(outputs, function)}
    if case == "net":
        halves = (slice(None, 25), slice(25, None))
        for name, part in zip(("gap", "data"), halves, strict=True):
            row[f"coverage_{name}"] = inside(outputs[:, part], function[part])
        return row
    draws = next(iter(posterior.draws(number, seed=0).values()))
    row["coverage_weights"] = inside(draws, weights[0])
    precision = x.T.astype("float64") @ x / NOISE**2 + np.eye(WIDTH)
    covariance = np.linalg.inv(precision)
    exact = covariance @ x.T @ y / NOISE**2
    return row | distance(posterior, exact[:, 0], np.sqrt(np.diag(covariance)))


def distance(posterior, mean, sd):
    """Of the first weight's means and standard deviations from the exact ones."""
    found, spread = (next(iter(f().values())).ravel() for f in (posterior.mean, posterior.stddev))
    return {
        "mean_error": float(np.sqrt(np.mean(((found - mean) / sd) ** 2))),
        "sd_ratio": float(np.exp(np.mean(np.log(np.maximum(spread, 1e-12) / sd)))),
    }


def of_posteriordb(folder, name, method):
    """Means and spreads beside reference draws, of a regression with unknown noise."""
    from nuts import POSTERIORS  # The same models.

    file, weights, noise = POSTERIORS[name]
    with np.load(pathlib.Path(folder) / f"{file}.npz", allow_pickle=False) as stored:
        x, y, draws = (stored[key] for key in ("X", "y", "draws"))
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=weights(), name="line"),
            kp.layers.NoiseScale(noise(), initial_scale=float(np.std(y)), name="noise"),
        ]
    )
    x, y = x.astype("float32"), y.astype("float32").reshape(-1, 1)
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    start = inference.MAP().fit(model, x, y, likelihood, verbose=0)
    for variable, value in zip(model.trainable_variables, start.mean().values(), strict=True):
        variable.assign(value)
    posterior = METHODS[method]().fit(model, x, y, likelihood, seed=0, verbose=0)
    kept = draws[:, : x.shape[1]].astype("float64")
    return distance(posterior, kept.mean(0), kept.std(0))


def caught(function, *args):
    """Its row, with seconds and what was said."""
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            row = function(*args)
        except (ValueError, NotImplementedError) as error:
            row = {"refused": str(error)[:160]}
    row["seconds"] = round(time.perf_counter() - begin, 1)
    row["warned"] = sorted({str(w.message)[:80] for w in said if w.category is UserWarning})
    return row


def summary(results):
    """By case and method: the mean over data sets of each number, and its standard error."""
    groups = {}
    for row in results:
        groups.setdefault((row["case"], row["method"]), []).append(row)
    found = []
    for (case, method), rows in groups.items():
        entry = {"case": case, "method": method, "data_sets": len(rows)}
        entry["warned"] = sum(bool(row["warned"]) for row in rows)
        for key in ("coverage_weights", "coverage_function", "coverage_data", "coverage_gap"):
            values = [row[key] for row in rows if key in row]
            if values:
                error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
                entry[key] = [statistics.fmean(values), error]
        for key in ("mean_error", "sd_ratio"):
            values = [row[key] for row in rows if key in row]
            if values:
                entry[key] = statistics.median(values)
        found.append(entry)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--cases", nargs="*", choices=("line", "net"), default=["line", "net"])
    parser.add_argument("--data-sets", type=int, default=40)
    parser.add_argument("--posteriors", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    stored = json.loads(options.out.read_text()) if options.out.exists() else {"results": []}
    done = {(row["case"], row["seed"], row["method"]) for row in stored["results"]}
    tasks = [
        (case, seed, method)
        for seed in range(options.data_sets)
        for case in options.cases
        for method in options.methods
    ]
    if options.posteriors:
        names = ("kilpisjarvi", "kidscore", "blr")
        tasks = [(name, 0, method) for name in names for method in options.methods] + tasks
    for case, seed, method in tasks:
        if (case, seed, method) in done:
            continue
        row = {"case": case, "seed": seed, "method": method}
        if case in ("line", "net"):
            row |= caught(judged, case, method, seed)
        else:
            row |= caught(of_posteriordb, options.posteriors, case, method)
        print(row, file=sys.stderr, flush=True)
        stored["results"].append(row)
        stored |= {
            "command": "KERAS_BACKEND=jax python benchmarks/simulated_coverage.py "
            "--posteriors FOLDER",
            "date": time.strftime("%Y-%m-%d"),
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "summary": summary(stored["results"]),
        }
        options.out.write_text(json.dumps(stored, indent=1))


if __name__ == "__main__":
    main()
