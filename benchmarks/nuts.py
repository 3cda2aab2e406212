"""NUTS: the cost of a gradient, and draws a second beside NumPyro's, as JSON.

    KERAS_BACKEND=jax python benchmarks/nuts.py --models small logistic net --numpyro

`gradient_us` is one compiled gradient of the log posterior over all rows. `ratio_used` is the time
of NUTS for a gradient that a chain has used, `ratio_made` for one that was made: chains go in
step, so that those whose path has ended wait for the longest. Both are divided by `gradient_us`.
ESS is the least bulk ESS over weights, by ArviZ. `fit_s` is all of the first fit, with compilation
and warmup; `draws_s` the draws alone, compiled before: ours as they come in `fit`, NumPyro's
as what more of them cost in a longer run, because it compiles in every run.
"""

import argparse
import json
import statistics
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


def least_ess(chains: Any) -> float:
    az = kp.inference._arviz.import_arviz()
    dataset = az.convert_to_dataset({"z": np.asarray(chains, "float64")})
    return float(az.ess(dataset, method="bulk")["z"].min())


def gradient_seconds(log_posterior: Any) -> float:
    compiled = backend.compile_function(log_posterior.log_prob_and_gradient)
    z = ops.zeros((log_posterior.size,), dtype="float32")

    def once() -> float:
        begin = time.perf_counter()
        ops.convert_to_numpy(compiled(z, log_posterior.data)[1])
        return time.perf_counter() - begin

    once()
    return statistics.median(once() for _ in range(200))


def ours(x: Any, y: Any, model: Any) -> dict[str, Any]:
    calls = []
    make = backend.hamiltonian

    def timed(*args: Any) -> Any:
        program = make(*args)

        def call(*values: Any) -> Any:
            begin = time.perf_counter()
            found = program(*values)
            steps = ops.convert_to_numpy(found[2]["n_steps"])[: int(values[1])]
            made = steps.max(1).sum() * CHAINS
            calls.append((time.perf_counter() - begin, steps.sum(), made, int(values[1])))
            return found

        return call

    backend.hamiltonian = timed
    method = kp.inference.NUTS(CHAINS, WARMUP, SAMPLES, start="current")
    posterior = method.fit(model, x, y, kp.likelihoods.Bernoulli(), seed=0, verbose=0)
    backend.hamiltonian = make
    late = np.array(calls[1:])
    log_posterior = kp.inference.LogPosterior(model, x, y, kp.likelihoods.Bernoulli())
    gradient = gradient_seconds(log_posterior)
    chains = np.concatenate([v.reshape(CHAINS, SAMPLES, -1) for v in posterior._stored], 2)
    seconds = float(late[:, 0].sum())
    begins = np.cumsum([0, *(call[3] for call in calls)])[:-1]
    draws_s = sum(call[0] for call, at in zip(calls, begins, strict=True) if at >= WARMUP)
    ess = least_ess(chains)
    return {
        "weights": chains.shape[2],
        "gradient_us": round(gradient * 1e6, 1),
        "ratio_used": round(seconds / late[:, 1].sum() / gradient, 2),
        "ratio_made": round(seconds / late[:, 2].sum() / gradient, 2),
        "gradients": int(late[:, 1].sum()),
        "fit_s": round(posterior.seconds, 2),
        "compile_s": round(calls[0][0], 2),
        "draws_s": round(draws_s, 2),
        "ess": round(ess),
        "ess_per_draws_s": round(ess / draws_s),
    }


def numpyro_rows(x: Any, y: Any, units: int, chain_method: str) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist

    def program(x: Any, y: Any) -> None:
        hidden = x
        if units:
            first = numpyro.sample(
                "first", dist.Normal(0, 1).expand([x.shape[1], units]).to_event(2)
            )
            hidden = jnp.tanh(x @ first)
        last = numpyro.sample("last", dist.Normal(0, 1).expand([hidden.shape[1], 1]).to_event(2))
        numpyro.sample("y", dist.Bernoulli(logits=hidden @ last).to_event(2), obs=y)

    x, y = jnp.asarray(x), jnp.asarray(y)

    def run(samples: int) -> tuple[Any, float]:
        mcmc = numpyro.infer.MCMC(
            numpyro.infer.NUTS(program),
            num_warmup=WARMUP,
            num_samples=samples,
            num_chains=CHAINS,
            chain_method=chain_method,
            progress_bar=False,
        )
        begin = time.perf_counter()
        mcmc.run(jax.random.PRNGKey(0), x, y, extra_fields=("num_steps",))
        jax.block_until_ready(mcmc.get_samples())
        return mcmc, time.perf_counter() - begin

    longer = 41 if x.size < 1000 else 3 if units else 11
    mcmc, seconds = run(SAMPLES)
    draws_s = (run(longer * SAMPLES)[1] - seconds) / (longer - 1)
    draws = mcmc.get_samples(group_by_chain=True)
    ess = least_ess(
        np.concatenate([np.asarray(v).reshape(CHAINS, SAMPLES, -1) for v in draws.values()], 2)
    )
    return {
        "fit_s": round(seconds, 2),
        "draws_s": round(draws_s, 2),
        "mean_steps": round(float(mcmc.get_extra_fields()["num_steps"].mean()), 1),
        "ess": round(ess),
        "ess_per_draws_s": round(ess / draws_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--numpyro", action="store_true")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in chosen.models:
        rows, inputs, units = MODELS[name]
        x, y = data(rows, inputs)
        row = {"backend": keras.backend.backend(), "model": name}
        row["keras_priors"] = ours(x, y, build(inputs, units))
        if chosen.numpyro:
            for chain_method in ("vectorized",):
                row[f"numpyro_{chain_method}"] = numpyro_rows(x, y, units, chain_method)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
