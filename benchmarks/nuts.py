"""NUTS: gradients for an effective draw, beside NumPyro's and nutpie's, and what a gradient costs.

    KERAS_BACKEND=jax python benchmarks/nuts.py --models small net --peers numpyro nutpie_low_rank

With `--posteriors FOLDER`, of NumPy files with X and y, three models more: `kilpisjarvi`,
`kidscore` and `blr` of posteriordb, on their raw designs.

All move in the density of `LogPosterior`, from the same starts, with 4 chains. `gradients` are
those that the draws used, `warmup_gradients` those of warmup; `ess` is the least bulk ESS, by
ArviZ. `fit_s` is all of the first fit, with compilation. Of ours, `draws_s` is the draws alone,
compiled before, `gradient_us` one compiled gradient over all rows, `ratio_used` the time of NUTS
for a gradient that a chain has used over it, and `ratio_made` the same for one that was made:
chains go in step, so that those whose path has ended wait for the longest.
"""

import argparse
import functools
import json
import pathlib
import statistics
import sys
import time
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

import keras_priors as kp
from keras_priors import backend

# (rows, inputs, units of a hidden layer)
MODELS = {"small": (100, 5, 0), "logistic": (10_000, 50, 0), "net": (1_000, 10, 20)}
POSTERIORS = {
    "kilpisjarvi": (
        "kilpisjarvi_mod__kilpisjarvi",
        lambda: kp.NormalPrior([[9.31290322580645], [0.0]], [[100.0], [1 / 30]]),
        lambda: kp.UniformPrior(0, 100),
    ),
    "kidscore": ("kidiq__kidscore_momiq", lambda: None, lambda: kp.HalfCauchyPrior(2.5)),
    "blr": ("sblrc__blr", lambda: kp.NormalPrior(0, 10), lambda: kp.HalfNormalPrior(10)),
}
WARMUP, SAMPLES, CHAINS = 500, 500, 4


def data(rows: int, inputs: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, inputs)).astype("float32")
    logits = x @ rng.standard_normal((inputs, 1)) / np.sqrt(inputs)
    return x, (rng.random((rows, 1)) < 1 / (1 + np.exp(-logits))).astype("float32")


def build(inputs: int, units: int) -> keras.Sequential:
    prior = kp.NormalPrior(0, 1)
    kwargs = {"use_bias": False, "kernel_regularizer": prior}
    hidden = [keras.layers.Dense(units, activation="tanh", **kwargs)] if units else []
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(1, **kwargs)])


def regression(folder: Any, name: str) -> tuple[Any, ...]:
    """A line on a raw design, at its least squares, with an unknown noise."""
    file, prior, of_noise = POSTERIORS[name]
    found = np.load(folder / f"{file}.npz")
    x, y = found["X"].astype("float32"), found["y"].astype("float32")[:, None]
    start, *_ = np.linalg.lstsq(found["X"], found["y"][:, None])
    residual = float(np.std(found["y"][:, None] - found["X"] @ start))
    line = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior())
    noise = kp.layers.NoiseScale(prior=of_noise(), initial_scale=residual)
    model = keras.Sequential([keras.Input((x.shape[1],)), line, noise])
    line.kernel.assign(start)
    return model, x, y, kp.likelihoods.HeteroscedasticNormal()


def problem(name: str, folder: Any) -> tuple[Any, ...]:
    if name in POSTERIORS:
        return regression(folder, name)
    keras.utils.set_random_seed(0)
    rows, inputs, units = MODELS[name]
    return build(inputs, units), *data(rows, inputs), kp.likelihoods.Bernoulli()


def least_ess(chains: Any) -> float:
    import arviz as az

    dataset = az.convert_to_dataset({"z": np.asarray(chains, "float64")})
    return float(az.ess(dataset, method="bulk")["z"].min())


def row(who: str, seed: int, chains: Any, gradients: Any, warmup: Any, **more: Any) -> Any:
    ess = least_ess(chains)
    return {
        "who": who,
        "seed": seed,
        "ess": round(ess),
        "gradients": int(gradients),
        "warmup_gradients": int(warmup),
        "gradients_per_draw": round(float(gradients) / (CHAINS * SAMPLES), 1),
        "ess_per_1000_gradients": round(1000 * ess / float(gradients), 2),
        "ess_per_1000_with_warmup": round(1000 * ess / float(gradients + warmup), 2),
        **more,
    }


def gradient_seconds(log_posterior: Any) -> float:
    compiled = backend.compile_function(log_posterior.log_prob_and_gradient)
    z = ops.convert_to_tensor(log_posterior.flatten())

    def once() -> float:
        begin = time.perf_counter()
        ops.convert_to_numpy(compiled(z, log_posterior.data)[1])
        return time.perf_counter() - begin

    once()
    return statistics.median(once() for _ in range(200))


class Ours:
    """Fits of one model and mass; the program is compiled by the first."""

    def __init__(self, given: Any, mass: str) -> None:
        self._given, self._mass = given, mass
        self._program: Any = None
        self._gradient = gradient_seconds(kp.inference.LogPosterior(*given))

    def fit(self, seed: int) -> Any:
        calls = []
        make = backend.hamiltonian

        def timed(*args: Any) -> Any:
            self._program = self._program or make(*args)

            def call(*values: Any) -> Any:
                begin = time.perf_counter()
                found = self._program(*values)
                steps = ops.convert_to_numpy(found[2]["n_steps"])[: int(values[1])]
                made = steps.max(1).sum() * CHAINS
                adapts = bool(ops.convert_to_numpy(values[2]))
                calls.append((time.perf_counter() - begin, steps.sum(), made, adapts))
                return found

            return call

        backend.hamiltonian = timed
        method = kp.inference.NUTS(CHAINS, WARMUP, SAMPLES, start="current", mass=self._mass)
        posterior = method.fit(*self._given, seed=seed, verbose=0)
        backend.hamiltonian = make
        drawn = np.array([call[:3] for call in calls if not call[3]])
        seconds, used, made = drawn.sum(axis=0)
        return row(
            f"keras_priors {self._mass}",
            seed,
            np.concatenate([v.reshape(CHAINS, SAMPLES, -1) for v in posterior._stored], 2),
            used,
            sum(call[1] for call in calls if call[3]),
            fit_s=round(posterior.seconds, 2),
            draws_s=round(seconds, 3),
            gradient_us=round(self._gradient * 1e6, 1),
            ratio_used=round(seconds / used / self._gradient, 2),
            ratio_made=round(seconds / made / self._gradient, 2),
        )


def begun(log_posterior: Any, seed: int) -> Any:
    from keras_priors.inference.mcmc.starts import starts

    return starts(log_posterior, "current", CHAINS, np.array([0, seed], "uint32"))[0]


def numpyro_row(given: Any, seed: int, dense: bool = False) -> Any:
    import jax
    import numpyro

    log_posterior = kp.inference.LogPosterior(*given)
    kernel = numpyro.infer.NUTS(
        potential_fn=lambda z: -log_posterior.log_prob(z, log_posterior.data), dense_mass=dense
    )
    mcmc = numpyro.infer.MCMC(
        kernel,
        num_warmup=WARMUP,
        num_samples=SAMPLES,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    start = jax.numpy.asarray(begun(log_posterior, seed))
    key = jax.random.PRNGKey(seed)
    begin = time.perf_counter()
    mcmc.warmup(key, init_params=start, collect_warmup=True, extra_fields=("num_steps",))
    warmup = int(mcmc.get_extra_fields()["num_steps"].sum())
    mcmc.run(key, init_params=start, extra_fields=("num_steps",))
    draws = np.asarray(mcmc.get_samples(group_by_chain=True))
    seconds = time.perf_counter() - begin
    used = int(mcmc.get_extra_fields()["num_steps"].sum())
    name = "numpyro dense" if dense else "numpyro diagonal"
    return row(name, seed, draws, used, warmup, fit_s=round(seconds, 2))


def nutpie_row(given: Any, seed: int, low_rank: bool = False) -> Any:
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    log_posterior = kp.inference.LogPosterior(*given)
    compiled = backend.compile_function(log_posterior.log_prob_and_gradient)

    def density(z: Any) -> Any:
        tensor = ops.convert_to_tensor(z, dtype="float32")
        value, slope = (ops.convert_to_numpy(v) for v in compiled(tensor, log_posterior.data))
        return float(value), slope.astype("float64")

    size, starts = log_posterior.size, iter(begun(log_posterior, seed).astype("float64"))
    model = from_pyfunc(
        ndim=size,
        make_logp_fn=lambda: density,
        make_expand_fn=lambda *_: lambda z: {"z": np.array(z, "float64")},
        expanded_dtypes=[np.dtype("float64")],
        expanded_shapes=[(size,)],
        expanded_names=["z"],
        make_initial_point_fn=lambda *_: next(starts),
    )
    begin = time.perf_counter()
    found = nutpie.sample(
        model,
        draws=SAMPLES,
        tune=WARMUP,
        chains=CHAINS,
        cores=1,
        seed=seed,
        progress_bar=False,
        save_warmup=True,
        low_rank_modified_mass_matrix=low_rank,
    )
    return row(
        "nutpie low rank" if low_rank else "nutpie diagonal",
        seed,
        found.posterior["z"].values,
        int(found.sample_stats["n_steps"].sum()),
        int(found.warmup_sample_stats["n_steps"].sum()),
        fit_s=round(time.perf_counter() - begin, 2),
    )


PEERS = {
    "numpyro": numpyro_row,
    "numpyro_dense": functools.partial(numpyro_row, dense=True),
    "nutpie": nutpie_row,
    "nutpie_low_rank": functools.partial(nutpie_row, low_rank=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=[*MODELS, *POSTERIORS], default=list(MODELS))
    parser.add_argument("--posteriors", type=pathlib.Path)
    parser.add_argument("--masses", nargs="*", default=["auto", "diagonal"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[])
    parser.add_argument("--out", type=pathlib.Path)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    results = []
    for name in chosen.models:
        given = problem(name, chosen.posteriors)
        runs = [Ours(given, mass).fit for mass in chosen.masses]
        runs += [functools.partial(PEERS[peer], given) for peer in chosen.peers]
        for seed in range(chosen.seeds):
            for run in runs:
                found = {"backend": keras.backend.backend(), "model": name, **run(seed)}
                results.append(found)
                print(json.dumps(found), flush=True)
                if chosen.out:
                    about = {"command": " ".join(["python", *sys.argv]), "results": results}
                    chosen.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
