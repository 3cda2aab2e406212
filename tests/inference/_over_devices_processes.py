"""What the process of `test_over_devices.py` runs, with four devices: `python this file.json`."""

import contextlib
import functools
import json
import pathlib
import sys
import tempfile
import warnings

import jax
import keras
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

import keras_priors as kp
from keras_priors import backend
from keras_priors.inference import journal as journals
from keras_priors.inference.mcmc import hamiltonian

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(37, 2)).astype("float32")
Y = (X @ np.array([[1.0], [-0.5]]) + 0.3 * RANDOM.normal(size=(37, 1))).astype("float32")
SHORT = {
    "learning_rate": 1e-2,
    "batch_size": 8,
    "num_burnin": 50,
    "num_samples": 30,
    "thinning": 40,
}


@contextlib.contextmanager
def devices(number):
    """Of the first so many; of none without a distribution."""
    distribution = keras.distribution
    if number:
        names = distribution.list_devices()[:number]
        distribution.set_distribution(distribution.DataParallel(devices=names))
    try:
        yield
    finally:
        distribution.set_distribution(None)


def fit(method, number=0, samples=None, **more):
    keras.utils.set_random_seed(3)
    if samples is not None:
        method.num_samples = samples
    with devices(number):
        layer = keras.layers.Dense(
            1,
            kernel_regularizer=kp.NormalPrior(0, 1),
            bias_regularizer=kp.NormalPrior(0, 1),
            name="line",
        )
        model = keras.Sequential([keras.Input((2,)), layer])
        return method.fit(model, X, Y, kp.likelihoods.Normal(0.5), seed=0, verbose=0, **more)


def told(posterior):
    """Draws (chains, draws, D), statistics, and what a run goes on from, as lists."""
    parts = [np.reshape(v, (*v.shape[:2], -1)) for v in posterior._stored]
    found = {"draws": np.concatenate(parts, -1)}
    found |= {f"stat {key}": value for key, value in posterior.sample_stats.items()}
    found |= {f"state {key}": value for key, value in posterior.continuation.items()}
    return {key: np.asarray(value, "float64").tolist() for key, value in found.items()}


def nuts(chains):
    return kp.inference.NUTS(chains, 60, 30, max_tree_depth=5, start="current")


def little_warmup(chains):
    """Sums over rows are rounded otherwise on several devices, and warmup makes more of it."""
    return kp.inference.NUTS(chains, 10, 20, max_tree_depth=4, start="current")


def hmc(chains):
    return kp.inference.HMC(chains, 60, 30, num_leapfrog_steps=5, start="current")


def sgld(chains):
    return kp.inference.SGLD(**SHORT, num_chains=chains)


def sghmc(chains):
    return kp.inference.SGHMC(**SHORT, num_chains=chains)


@functools.cache
def alone(method, chains):
    """On one device."""
    return told(fit(method(chains)))


def over(method, chains, numbers):
    """On one device, then on these."""
    return [alone(method, chains), *(told(fit(method(chains), n)) for n in numbers)]


def rows_apart(method, chains, numbers):
    hamiltonian._PRODUCTS = 1
    try:
        return over(method, chains, numbers)
    finally:
        hamiltonian._PRODUCTS = 2**22


def resumed(method):
    """30 draws, of which the second 10 are drawn on two devices."""
    found = None
    for number in (0, 2, 0):
        found = fit(method(4), number, samples=10, resume=found)
    return [alone(method, 4), told(found)]


class Killed(BaseException):
    """No handler of ours names it."""


def checkpointed(method):
    """Killed on one device, gone on with on two, killed there, and again on one."""
    step, done = journals.Journal.step, []

    def dying(self, name, advance, state):
        def work():
            if len(done) == most:
                raise Killed
            done.append(name)
            return advance()

        return step(self, name, work, state)

    journals.Journal.step = dying
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = kp.inference.Checkpoint(folder, seconds=0)
            for number, most in ((0, 1), (2, 2)):
                with contextlib.suppress(Killed):
                    fit(method(4), number, checkpoint=place)
                assert len(done) == most
            most = -1
            found = told(fit(method(4), 0, checkpoint=place))
    finally:
        journals.Journal.step = step
    return [alone(method, 4), found]


def layouts():
    """Devices by chains and rows, and the chains of each."""
    found = {}
    for chains, number, most in (
        (4, 1, 4), (4, 2, 4), (4, 3, 4), (3, 2, 4), (5, 4, 4), (1, 4, 1), (1, 4, 3), (2, 4, 4),
    ):  # fmt: skip
        with devices(number):
            layout = backend.chain_layout(chains, most)
        shape = None if layout is None else [*layout.mesh.shape.values(), layout.each]
        found[f"{chains} {number} {most}"] = shape
    with devices(0):
        found["no distribution"] = backend.chain_layout(4, 4)
    return found


def collectives():
    """Of the program of NUTS on two devices: what speaks to others, and within what it lies."""
    with devices(2):
        layer = keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1))
        model = keras.Sequential([keras.Input((2,)), layer])
        log_posterior = kp.inference.LogPosterior(model, X, Y, kp.likelihoods.Normal(0.5))
        layout, data = hamiltonian._over_devices(log_posterior, 4)
        advance = backend.hamiltonian(log_posterior.log_prob_and_gradient, 3, 4, 0.8, True, layout)
        zero, one = np.float32(0), np.float32(1)
        state = {
            "position": np.zeros((4, 3), "float32"),
            "log_prob": np.zeros(4, "float32"),
            "gradient": np.zeros((4, 3), "float32"),
            "seed": np.array([1, 2], "uint32"),
            "step_size": one,
            "error_sum": zero,
            "log_average": zero,
            "adapted": np.int32(0),
            "log_shrinkage": zero,
        }
        arguments = state, np.int32(3), np.bool_(True), (np.ones(3, "float32"),), data
        program = jax.make_jaxpr(advance)(*arguments)
    return sorted(set(_speaking(program.jaxpr, ())))


def _speaking(jaxpr, within):
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in ("all_gather", "psum", "psum_invariant", "all_to_all", "ppermute"):
            yield " ".join(each for each in (*within, name) if each in ("while", "cond", name))
        for parameter in equation.params.values():
            for part in parameter if isinstance(parameter, (list, tuple)) else (parameter,):
                inner = part.jaxpr if isinstance(part, ClosedJaxpr) else part
                if isinstance(inner, Jaxpr):
                    yield from _speaking(inner, (*within, name))


CASES = {
    "layouts": layouts,
    "collectives": collectives,
    "NUTS": lambda: over(nuts, 4, (2,)),
    "NUTS, rows apart": lambda: rows_apart(little_warmup, 1, (3,)),
    "NUTS, chains and rows apart": lambda: rows_apart(little_warmup, 2, (4,)),
    "HMC, a chain too few": lambda: over(hmc, 3, (2, 3)),
    "HMC, resumed": lambda: resumed(hmc),
    "HMC, checkpoint": lambda: checkpointed(hmc),
    "SGLD": lambda: over(sgld, 4, (2, 3, 4)),
    "SGLD, checkpoint": lambda: checkpointed(sgld),
    "SGHMC, a chain too few": lambda: over(sghmc, 3, (2,)),
    "SGHMC, resumed": lambda: resumed(sghmc),
}

if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)  # of chains so short
    assert len(jax.devices()) == 4
    found = {name: CASES[name]() for name in sys.argv[2:] or CASES}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(found))
