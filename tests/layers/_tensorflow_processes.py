"""What each process of `test_tensorflow_processes.py` runs: `python this rank port folder`.

Rank 0 and 1 train together; "one" is the single process that they are held to.
"""

import json
import os
import pathlib
import sys

RANK, PORT, FOLDER = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
TWO = RANK != "one"
if TWO:
    workers = [f"localhost:{PORT}", f"localhost:{PORT + 1}"]
    task = {"type": "worker", "index": int(RANK)}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

# Before anything else makes a tensor.
STRATEGY = tf.distribute.MultiWorkerMirroredStrategy() if TWO else tf.distribute.get_strategy()

import keras_priors as kp  # noqa: E402

ROWS = 32
x = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
y = x[:, :2] - 0.5
LIKELIHOOD = kp.likelihoods.Normal(0.5)


def variational(posterior, estimator="reparameterization"):
    given = {"kernel_posterior": posterior, "bias_posterior": posterior, "estimator": estimator}
    return kp.VariationalDense(
        2, num_data=ROWS, seed=0, kernel_initializer="zeros", name="out", **given
    )


def penalized():
    prior = kp.NormalPrior(num_data=ROWS)
    return keras.layers.Dense(
        2, kernel_initializer="zeros", kernel_regularizer=prior, bias_regularizer=prior
    )


def train(layer):
    """Losses of the whole batch at each step, and the weights in the end."""
    keras.utils.set_random_seed(0)
    with STRATEGY.scope():
        model = keras.Sequential([keras.Input((3,)), layer()])
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
    replicas = STRATEGY.num_replicas_in_sync

    def batches(context):
        mine = slice(None)
        if TWO:
            mine = (np.arange(ROWS) // 4) % 2 == int(RANK)
        return tf.data.Dataset.from_tensor_slices((x[mine], y[mine])).batch(8 // replicas)

    def step(rows, targets):
        with tf.GradientTape() as tape:
            # A Keras loss is divided by the replicas, over which the optimizer sums; a penalty not.
            loss = LIKELIHOOD(targets, model(rows, training=True))
            loss += tf.add_n(model.losses) / replicas
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    @tf.function
    def run(rows, targets):
        return STRATEGY.reduce("SUM", STRATEGY.run(step, (rows, targets)), axis=None)

    data = STRATEGY.distribute_datasets_from_function(batches) if TWO else batches(None)
    losses = [float(run(*batch)) for _ in range(3) for batch in data]
    weights = [np.asarray(v.numpy(), "float64").ravel().tolist() for v in model.trainable_variables]
    return {"losses": losses, "weights": weights}


def plainly():
    """What Keras' own `fit` says of a plain net, or nothing."""
    with STRATEGY.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile("sgd", "mse")
    try:
        model.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(8), verbose=0)
    except ValueError as error:
        return str(error)[:120]
    return ""


if __name__ == "__main__":
    found = {
        "penalized": train(penalized),
        "delta": train(lambda: variational("delta")),
        "mean_field": train(lambda: variational("mean_field")),
        "plainly": plainly(),
    }
    (FOLDER / f"{RANK}.json").write_text(json.dumps(found))
