"""A training step of the same Bayesian net in other libraries, in turn in one run, as JSON.

    pip install numpyro torchbnn bayesian-torch tf-keras optax
    python benchmarks/peers.py --nets W1 W2 --rounds 5

Each library runs in a process of its own, which is started once, compiles, and then times one
block of steps whenever it is its turn: nothing else runs meanwhile. Nets and batches are those of
`training_step.py`: mean-field normal posteriors over kernels and biases, N(0, 1) priors, Adam, a
cross-entropy, one draw a step. Ours is `model.fit`; a peer is its own fastest documented loop. A
peer that is not installed is reported as missing.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time

NETS = {
    "W1": ((54, 64, 64, 7), 512, 60),
    "W2": ((784, 400, 400, 10), 128, 30),
    "W3": ((1024, 2048, 2048, 10), 256, 4),
    "W4": ((13, 50, 1), 32, 300),
}
PEERS = (
    "ours-tensorflow",
    "ours-jax",
    "ours-torch",
    "tfp",
    "numpyro",
    "torchbnn",
    "bayesian-torch",
)


def data(net):
    import numpy as np

    sizes, batch, steps = NETS[net]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps * batch, sizes[0])).astype("float32")
    y = rng.integers(0, max(sizes[-1], 2), steps * batch).astype("int64")
    if sizes[-1] == 1:
        y = x[:, :1].copy()
    return sizes, batch, steps, x, y


def ours(net):
    import keras

    import keras_priors as kp

    sizes, batch, steps, x, y = data(net)
    layers = [keras.Input((sizes[0],))]
    layers += [kp.VariationalDense(n, activation="relu", num_data=len(x)) for n in sizes[1:-1]]
    layers += [kp.VariationalDense(sizes[-1], num_data=len(x))]
    model = keras.Sequential(layers)
    likelihood = kp.likelihoods.Normal() if sizes[-1] == 1 else kp.likelihoods.Categorical()
    model.compile(keras.optimizers.Adam(1e-3), loss=likelihood)

    def block():
        model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)

    return block, steps


def tfp(net):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf
    import tensorflow_probability as tfp
    import tf_keras

    sizes, batch, steps, x, y = data(net)

    def kl(q, p, _):
        return tfp.distributions.kl_divergence(q, p) / len(x)

    def layer(units, activation):
        return tfp.layers.DenseReparameterization(
            units,
            activation=activation,
            bias_posterior_fn=tfp.layers.default_mean_field_normal_fn(),
            bias_prior_fn=tfp.layers.default_multivariate_normal_fn,
            kernel_divergence_fn=kl,
            bias_divergence_fn=kl,
        )

    model = tf_keras.Sequential([layer(n, "relu") for n in sizes[1:-1]] + [layer(sizes[-1], None)])
    loss = "mse"
    if sizes[-1] > 1:
        loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.legacy.Adam(1e-3), loss=loss)
    del tf

    def block():
        model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)

    return block, steps


def numpyro(net):
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    import optax
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    sizes, batch, steps, x, y = data(net)

    def model(x, y):
        h = x
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            w = numpyro.sample(f"w{i}", dist.Normal(0, 1).expand([a, b]).to_event(2))
            c = numpyro.sample(f"b{i}", dist.Normal(0, 1).expand([b]).to_event(1))
            h = h @ w + c
            h = jax.nn.relu(h) if i < len(sizes) - 2 else h
        with numpyro.plate("data", steps * batch, subsample_size=batch):
            if sizes[-1] == 1:
                numpyro.sample("y", dist.Normal(h[:, 0], 1.0), obs=y[:, 0])
            else:
                numpyro.sample("y", dist.Categorical(logits=h), obs=y)

    svi = SVI(model, AutoNormal(model, init_scale=0.01), optax.adam(1e-3), Trace_ELBO())
    xs = jnp.asarray(x).reshape(steps, batch, -1)
    ys = jnp.asarray(y).reshape(steps, batch, *y.shape[1:])
    state = [svi.init(jax.random.key(0), xs[0], ys[0])]
    update = jax.jit(svi.update)

    def block():
        for i in range(steps):
            state[0], _ = update(state[0], xs[i], ys[i])
        jax.block_until_ready(state[0])

    return block, steps


def torch_loop(net, make_layer, penalty):
    import torch

    torch.set_num_threads(2)
    sizes, batch, steps, x, y = data(net)
    layers = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers.append(make_layer(a, b))
        if i < len(sizes) - 2:
            layers.append(torch.nn.ReLU())
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loss_fn = torch.nn.MSELoss() if sizes[-1] == 1 else torch.nn.CrossEntropyLoss()
    xs = torch.from_numpy(x).reshape(steps, batch, -1)
    ys = torch.from_numpy(y).reshape(steps, batch, *y.shape[1:])

    def block():
        for i in range(steps):
            optimizer.zero_grad()
            loss = loss_fn(model(xs[i]), ys[i]) + penalty(model) / len(x)
            loss.backward()
            optimizer.step()

    return block, steps


def torchbnn(net):
    import torchbnn as bnn

    kl = bnn.BKLLoss(reduction="sum", last_layer_only=False)
    return torch_loop(
        net, lambda a, b: bnn.BayesLinear(0.0, 0.1, in_features=a, out_features=b), kl
    )


def bayesian_torch(net):
    from bayesian_torch.layers import LinearReparameterization
    from bayesian_torch.models.dnn_to_bnn import get_kl_loss

    class Layer(LinearReparameterization):
        def forward(self, x):
            return super().forward(x, return_kl=False)

    return torch_loop(net, Layer, get_kl_loss)


MAKERS = {
    "ours-tensorflow": ours,
    "ours-jax": ours,
    "ours-torch": ours,
    "tfp": tfp,
    "numpyro": numpyro,
    "torchbnn": torchbnn,
    "bayesian-torch": bayesian_torch,
}


def serve(peer, net):
    """Child: compile, then time one block for each line on standard input."""
    start = time.perf_counter()
    try:
        block, steps = MAKERS[peer](net)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    block()
    print(json.dumps({"first_s": round(time.perf_counter() - start, 2)}), flush=True)
    block()
    for _ in sys.stdin:
        start = time.perf_counter()
        block()
        print(json.dumps({"ms": (time.perf_counter() - start) / steps * 1e3}), flush=True)


def answer(process):
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    return {"missing": "the process ended"}


def compare(net, peers, rounds):
    processes, result = {}, {}
    for peer in peers:
        name = peer.removeprefix("ours-") if peer.startswith("ours-") else "tensorflow"
        environment = {**os.environ, "KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve", peer, "--nets", net],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        first = answer(process)
        if "missing" in first:
            result[peer] = first
        else:
            processes[peer] = (process, first["first_s"], [])
    for _ in range(rounds):
        for process, _, times in processes.values():
            process.stdin.write("\n")
            process.stdin.flush()
            times.append(answer(process)["ms"])
    for peer, (process, first, times) in processes.items():
        process.stdin.close()
        process.wait()
        result[peer] = {"ms_per_step": round(statistics.median(times), 3), "first_block_s": first}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=["W1", "W2"])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.nets[0])
        return
    for net in options.nets:
        print(
            json.dumps(
                {"benchmark": "peers", "net": net, **compare(net, options.peers, options.rounds)}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
