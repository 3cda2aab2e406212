"""What each process of `test_torch_processes.py` runs: `python this rank port folder`.

Rank 0 and 1 train together; "one" is the single process that they are held to.
"""

import json
import pathlib
import sys

import keras
import numpy as np
import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel

import keras_priors as kp

RANK, PORT, FOLDER = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
TWO = RANK != "one"
ROWS = 32
x = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
y = x[:, :2] - 0.5
LIKELIHOOD = kp.likelihoods.Normal(0.5)


def variational(posterior, estimator="reparameterization"):
    given = {"kernel_posterior": posterior, "bias_posterior": posterior, "estimator": estimator}
    return kp.VariationalDense(2, num_data=ROWS, seed=0, name="out", **given)


def penalized():
    prior = kp.NormalPrior(num_data=ROWS)
    return keras.layers.Dense(2, kernel_regularizer=prior, bias_regularizer=prior, name="out")


def reseed(model, number):
    """Another seed in each process: noise of its own."""
    for layer in model.layers:
        if isinstance(layer, kp.layers.VariationalLayer):
            layer.seed_generator.state.assign(np.array([number, 0], "uint32"))


def train(layer, own=False):
    """Losses of the whole batch at each step, and the weights in the end."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layer()])
    parallel = DistributedDataParallel(model) if TWO else model
    if own:  # afterwards: it gives all processes the seeds of the first
        reseed(model, int(RANK))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for step in range(12):
        rows = slice(8 * (step % 4), 8 * (step % 4) + 8)
        xs, ys = torch.from_numpy(x[rows]), torch.from_numpy(y[rows])
        if TWO:
            xs, ys = xs.chunk(2)[int(RANK)], ys.chunk(2)[int(RANK)]
        loss = LIKELIHOOD(ys, parallel(xs, training=True)) + sum(model.losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value = loss.detach().clone()
        if TWO:
            torch.distributed.all_reduce(value)
            value /= 2
        losses.append(float(value))
    drawn = model(x[:4], training=True).detach().numpy()
    weights = [np.asarray(v.numpy(), "float64").ravel().tolist() for v in model.trainable_variables]
    return {"losses": losses, "weights": weights, "drawn": drawn.ravel().tolist()}


if __name__ == "__main__":
    if TWO:
        where = f"tcp://localhost:{PORT}"
        torch.distributed.init_process_group("gloo", where, rank=int(RANK), world_size=2)
    found = {
        "delta": train(lambda: variational("delta")),
        "penalized": train(penalized),
        "mean_field": train(lambda: variational("mean_field")),
        "flipout": train(lambda: variational("mean_field", "flipout"), own=TWO),
        "own": train(lambda: variational("mean_field"), own=TWO),
        "again": train(lambda: variational("mean_field"), own=TWO),
    }
    (FOLDER / f"{RANK}.json").write_text(json.dumps(found))
    if TWO:
        torch.distributed.destroy_process_group()
