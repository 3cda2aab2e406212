"""What each process of `test_jax_processes.py` runs: `python this rank port folder`.

Rank 0 and 1 train together; "one" is the single process that they are held to, with two devices.
"""

import json
import os
import pathlib
import sys
import warnings

import jax
import keras
import numpy as np

import keras_priors as kp

RANK, PORT, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
if RANK != "one":
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{PORT}", 2, int(RANK))
ROWS, BATCH = 32, 8
x = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
y = x[:, :2] - 0.5
if RANK != "one":
    # Half of each batch: without shuffling, two halves side by side are the batch.
    mine = (np.arange(ROWS) // (BATCH // 2)) % 2 == int(RANK)
    x, y = x[mine], y[mine]
    BATCH //= 2
LIKELIHOOD = kp.likelihoods.Normal(0.5)


def variational(posterior, estimator="reparameterization"):
    given = {"kernel_posterior": posterior, "bias_posterior": posterior, "estimator": estimator}
    return kp.VariationalDense(2, num_data=ROWS, seed=0, name="out", **given)


def penalized():
    prior = kp.NormalPrior(num_data=ROWS)
    return keras.layers.Dense(2, kernel_regularizer=prior, bias_regularizer=prior, name="out")


def fit(layer, optimizer=None, callbacks=(), **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layer()])
    model.compile(optimizer or keras.optimizers.SGD(0.1), LIKELIHOOD, **compiled)
    history = model.fit(
        x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0, callbacks=list(callbacks)
    )
    return model, history.history


def numbers(value):
    return np.asarray(value, "float64").ravel().tolist()


def trained(*arguments, **more):
    """Losses, and what this process has of the weights."""
    model, history = fit(*arguments, **more)
    weights = [numbers(v) for v in model.trainable_variables]
    return {"losses": history, "weights": weights}


def means(posterior):
    return {path: numbers(value) for path, value in posterior.mean().items()}


def mean_field():
    return variational("mean_field")


def swag():
    callback = kp.callbacks.SWAG(start_epoch=1)
    fit(penalized, callbacks=[callback])
    return means(callback.posterior())


def collect():
    callback = kp.callbacks.CollectDraws(burnin=2, every=5)
    fit(penalized, kp.inference.SGLDOptimizer(0.01, num_data=ROWS, seed=0), [callback])
    return means(callback.posterior())


def predicted():
    model, _ = fit(mean_field)
    return numbers(kp.predict(model, np.ones((4, 3), "float32"), num_samples=4, seed=0).draws)


def saved():
    """Each process a file of its own, as Keras wants it; the file is that of one process."""
    model, _ = fit(mean_field)
    path = FOLDER / f"{RANK}.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    return [numbers(v) for v in loaded.trainable_variables]


def unset():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(lambda: keras.layers.Dense(2, kernel_regularizer=kp.NormalPrior()))
    return sum("num_data was never given" in str(w.message) for w in caught)


def mode():
    """All rows in each process, as methods of inference want them."""
    rows = np.random.default_rng(1).normal(size=(16, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), penalized()])
    found = kp.inference.MAP().fit(model, rows, rows[:, :2], LIKELIHOOD, seed=0, verbose=0)
    return means(found)


CASES = {
    "delta": lambda: trained(lambda: variational("delta")),
    "penalized": lambda: trained(penalized),
    "mean_field": lambda: trained(mean_field),
    "local": lambda: trained(lambda: variational("mean_field", "local_reparameterization")),
    "flipout": lambda: trained(lambda: variational("mean_field", "flipout")),
    "accumulated": lambda: trained(
        mean_field,
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=2, use_ema=True),
        steps_per_execution=2,
    ),
    "monitor": lambda: trained(mean_field, callbacks=[kp.callbacks.BayesianMonitor()]),
    "annealing": lambda: trained(mean_field, callbacks=[kp.callbacks.KLAnnealing()]),
    "ivon": lambda: trained(penalized, kp.inference.IVONOptimizer(0.01, num_data=ROWS, seed=0)),
    "swag": swag,
    "collect": collect,
    "predicted": predicted,
    "saved": saved,
    "unset": unset,
    "mode": mode,
}


def parallel():
    """One process, two devices: kernels cut in two by the layout map's pattern for `kernel`."""
    mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"])
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel.*"] = (None, "model")
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    model, history = fit(mean_field)
    local = {v.path: tuple(v.value.addressable_data(0).shape) for v in model.trainable_variables}
    slots = fit(mean_field, keras.optimizers.Adam(0.1))[0].optimizer.variables
    return {
        "losses": history,
        "weights": [numbers(v) for v in model.trainable_variables],
        "local": local,
        "slots": sorted(
            tuple(v.value.addressable_data(0).shape) for v in slots if v.shape == (3, 2)
        ),
    }


if __name__ == "__main__":
    if RANK != "one":
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
        assert jax.process_count() == 2 and len(jax.devices()) == 2
    found = {name: case() for name, case in CASES.items()}
    if RANK == "one":
        assert len(jax.devices()) == 2, os.environ
        found["parallel"] = parallel()
    (FOLDER / f"{RANK}.json").write_text(json.dumps(found))
