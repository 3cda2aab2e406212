"""What `test_waiting.py` runs in processes of their own.

KERAS_BACKEND=torch python -m tests.backend._chip_run layers|priors FILE
"""

import json
import pathlib
import sys
import warnings

import keras
import numpy as np
import torch

import keras_priors as kp
from keras_priors import backend
from keras_priors.backend.torch import seeds
from tests.backend import _chip
from tests.priors._cases import CASES

ROWS, STEPS = 8, 3
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(ROWS, 5)).astype("float32")
IMAGES = RNG.normal(size=(ROWS, 5, 5, 2)).astype("float32")
SEQUENCES = RNG.normal(size=(ROWS, 6, 2)).astype("float32")
TOKENS = RNG.integers(0, 7, (ROWS, 3))
TARGETS = VECTORS[:, :1].copy()
ESTIMATORS = ("reparameterization", "flipout", "local_reparameterization")
K, V = keras.layers, kp.layers


def on_vectors(*layers):
    return VECTORS, [*layers, K.Dense(1)]


def of(prior, posterior="mean_field"):
    return V.VariationalDense(4, kernel_prior=prior, kernel_posterior=posterior)


def learned(**given):
    return of(kp.NormalPrior(0.5, kp.priors.Learnable(**given)))


def matrix_normal():
    rows, columns = np.eye(5), np.eye(4)
    return kp.priors.MatrixNormalPrior(row_covariance=rows, column_covariance=columns)


def native():
    unit = torch.distributions.Gumbel(torch.tensor(0.0), torch.tensor(1.0))
    return kp.priors.DistributionPrior(unit)


def layers():
    """Name to (inputs, layers)."""
    found = {"plain": on_vectors(K.Dense(4, activation="relu"))}
    for name in ESTIMATORS:
        dense = V.VariationalDense(4, activation="relu", estimator=name)
        conv = V.VariationalConv2D(3, 3, estimator=name)
        found[f"dense {name}"] = on_vectors(dense)
        found[f"conv {name}"] = IMAGES, [conv, K.Flatten(), K.Dense(1)]
    for name in ("full", "low_rank", "matrix_normal", "delta"):
        found[f"posterior {name}"] = on_vectors(of(kp.NormalPrior(), name))
    for name in ("low_rank", "matrix_normal"):
        layer = V.VariationalDense(4, kernel_posterior=name, estimator=ESTIMATORS[2])
        found[f"local {name}"] = on_vectors(layer)
    found["embedding"] = TOKENS, [V.VariationalEmbedding(7, 2), K.Flatten(), K.Dense(1)]
    found["separable"] = SEQUENCES, [V.VariationalSeparableConv1D(3, 2), K.Flatten(), K.Dense(1)]
    found["wrapped"] = SEQUENCES, [V.Variational(K.GRU(3)), K.Dense(1)]
    found["normal of a weight"] = on_vectors(K.Dense(4, kernel_regularizer=kp.NormalPrior(0.5)))
    found["normal in a KL"] = on_vectors(of(kp.NormalPrior(0.5, 2.0)))
    found["without closed form"] = on_vectors(of(kp.CauchyPrior()))
    found["learned"] = on_vectors(learned())
    found["learned, with a prior"] = on_vectors(learned(prior=kp.HalfCauchyPrior(1.0)))
    return found


def priors():
    """The same, of a prior of each family."""
    found = {}
    for make in (matrix_normal, native):
        found[f"{make.__name__} of a weight"] = on_vectors(K.Dense(4, kernel_regularizer=make()))
        found[f"{make.__name__} in a KL"] = on_vectors(of(make()))
    for case in {type(case.make()): case for case in CASES}.values():
        prior = case.make()
        given = {"kernel_regularizer": prior, "kernel_constraint": prior.constraint()}
        # In the support of all of them.
        begin = keras.initializers.RandomUniform(0.1, 0.4, seed=0)
        dense = K.Dense(4, kernel_initializer=begin, **given)
        found[f"{case.name} of a weight"] = on_vectors(dense)
        posterior = "log_normal" if case.points.min() > 0.0 else "mean_field"
        try:
            layer = of(prior, posterior)
            layer.build((None, 5))
        except ValueError:  # its support is another
            continue
        found[f"{case.name} in a KL"] = on_vectors(of(prior, posterior))
    return found


def built(inputs, stack, loss="mse", optimizer="adam"):
    keras.utils.set_random_seed(0)
    made = [type(layer).from_config(layer.get_config()) for layer in stack]
    model = keras.Sequential([keras.Input(inputs.shape[1:]), *made])
    if type(stack[0]) is not K.Dense or stack[0].kernel_regularizer is not None:
        kp.set_num_data(model, ROWS)
    model.compile(optimizer, loss)
    model.optimizer.build(model.trainable_variables)
    return model


def train(model, inputs, targets):
    """The loss after each step; the log is that of the last."""
    losses = []
    for _ in range(STEPS):
        _chip.LOG.clear()
        for variable in model.trainable_variables:  # of what is moved Keras does not know
            variable.value.grad = None
        loss = model.train_step((inputs, targets))["loss"]
        losses.append(loss.near if isinstance(loss, _chip.OnChip) else loss)
    return [float(loss) for loss in losses]


def there(model, inputs):
    _chip.move([*model.variables, *model.optimizer.variables, *model.metrics_variables])
    with _chip.on_chip():
        on_it = [torch.tensor(a, device=_chip.CHIP) for a in (inputs, TARGETS)]
        return train(model, *on_it)


def steps(models):
    found = {}
    for name, (inputs, stack) in models.items():
        here = train(built(inputs, stack), torch.tensor(inputs), torch.tensor(TARGETS))
        found[name] = {"here": here, "there": there(built(inputs, stack), inputs)}
        found[name].update(sent=_chip.waits("sent"), reads=_chip.places("read"))
    return found


def noisy(name):
    """An optimizer that draws, and its net."""
    rate = keras.optimizers.schedules.CosineDecay(0.1, 20)
    kinds = kp.inference.IVONOptimizer, kp.inference.SGHMCOptimizer, kp.inference.SGLDOptimizer
    made = {
        "IVON": lambda: kinds[0](num_data=ROWS, seed=1),
        "IVON, a schedule": lambda: kinds[0](rate, num_data=ROWS, seed=1),
        "SGHMC": lambda: kinds[1](rate, num_data=ROWS, seed=1),
        "SGLD": lambda: kinds[2](0.1, num_data=ROWS, seed=1, preconditioner=None),
    }
    prior = {"kernel_regularizer": kp.NormalPrior(0.5), "bias_regularizer": kp.NormalPrior(0.5)}
    return built(VECTORS, [K.Dense(4, **prior)], optimizer=made[name]())


def optimizers():
    """Steps, then one after `iterations` were written to."""
    found = {}
    for name in ("IVON", "IVON, a schedule", "SGHMC", "SGLD"):
        here, far = noisy(name), noisy(name)
        found[name] = {"here": train(here, torch.tensor(VECTORS), torch.tensor(TARGETS))}
        found[name].update(there=there(far, VECTORS), reads=_chip.places("read"))
        for model in (here, far):
            with torch.no_grad():
                model.optimizer.iterations.value.add_(7)
        found[name]["here"] += train(here, torch.tensor(VECTORS), torch.tensor(TARGETS))
        with _chip.on_chip():
            on_it = [torch.tensor(a, device=_chip.CHIP) for a in (VECTORS, TARGETS)]
            found[name]["there"] += train(far, *on_it)
    return found


def likelihoods():
    found, x = {}, VECTORS
    of_outputs = {
        kp.likelihoods.Normal(0.5): 1,
        kp.likelihoods.StudentT(4.0): 1,
        kp.likelihoods.HeteroscedasticNormal(): 2,
        kp.likelihoods.NormalMixture(2): 6,
    }
    for likelihood, width in of_outputs.items():
        there(built(x, [V.VariationalDense(width)], likelihood), x)
        found[type(likelihood).__name__] = _chip.places("read")
    scale = [V.VariationalDense(1), V.NoiseScale()]
    there(built(x, scale, kp.likelihoods.HeteroscedasticNormal()), x)
    found["NoiseScale"] = _chip.places("read")
    return found


def without_notes():
    """The log, were no state of a generator known on the host."""
    note, seeds._note = seeds._note, lambda *_: None
    try:
        there(built(*layers()["dense flipout"]), VECTORS)
        return _chip.places("read")
    finally:
        seeds._note = note


def pairs(generator, change=lambda state: None):
    """Two seeds, and two after a change of the state."""
    found = [backend.next_seed(generator), backend.next_seed(generator)]
    change(generator.state)
    found += [backend.next_seed(generator), backend.next_seed(generator)]
    return [seed.tolist() for seed in found]


def copied(state):
    with torch.no_grad():
        state.value.copy_(torch.tensor([-5, 2**31 - 1], dtype=torch.int32))


CHANGES = {
    "nothing": lambda state: None,
    "assign": lambda state: state.assign(np.array([7, 40], "uint32")),
    "copy": copied,
    "keras": lambda state: state.assign(state.value * 3),
}


def scoped(generator):
    """Seeds inside of a scope of other values, and outside after it."""
    found = [backend.next_seed(generator)]
    with keras.StatelessScope([(generator.state, torch.arange(2) + generator.state.value * 2)]):
        found += [backend.next_seed(generator), backend.next_seed(generator)]
    return [seed.tolist() for seed in [*found, backend.next_seed(generator)]]


def seeds_of_generators():
    found = {}
    for name, change in CHANGES.items():
        here, far = keras.random.SeedGenerator(3), keras.random.SeedGenerator(3)
        _chip.move([far.state])
        found[name] = {"here": pairs(here, change)}
        with _chip.on_chip():
            _chip.LOG.clear()
            found[name].update(there=pairs(far, change), reads=_chip.waits("read"))
    here, far = keras.random.SeedGenerator(3), keras.random.SeedGenerator(3)
    _chip.move([far.state])
    found["scope"] = {"here": scoped(here)}
    with _chip.on_chip():
        _chip.LOG.clear()
        found["scope"].update(there=scoped(far), reads=_chip.waits("read"))
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    found = {}
    if sys.argv[1] == "layers":
        parts = likelihoods, optimizers, without_notes, seeds_of_generators
        found = {part.__name__: part() for part in parts}
    found["steps"] = steps({"layers": layers, "priors": priors}[sys.argv[1]]())
    pathlib.Path(sys.argv[2]).write_text(json.dumps(found), "utf-8")
