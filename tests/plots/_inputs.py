"""Small models, posteriors and predictives by numbers alone: nothing here is trained."""

import functools

import keras
import numpy as np

import keras_priors as kp


@functools.cache
def variational_net(inputs=3, units=2, outputs=1, prior=None):
    """Two variational layers whose means and deviations are set, not learned; made once."""
    prior = prior or kp.NormalPrior(0, 1)
    options = {"kernel_prior": prior, "bias_prior": prior}
    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            kp.VariationalDense(units, activation="tanh", name="hidden", **options),
            kp.VariationalDense(outputs, name="out", **options),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for q in (layer.kernel_posterior, layer.bias_posterior):
            q.assign_mean(rng.normal(0, 0.8, q.shape).astype("float32"))
            q.assign_stddev(rng.uniform(0.1, 0.9, q.shape).astype("float32"))
    return model


def chains(num_chains=2, num_draws=40, outputs=1):
    """A posterior of stored draws of a linear model."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(
                outputs,
                kernel_regularizer=kp.NormalPrior(0, 1),
                bias_regularizer=kp.NormalPrior(0, 1),
                name="line",
            ),
        ]
    )
    rng = np.random.default_rng(0)
    shapes = (2, outputs), (outputs,)
    values = [rng.normal(0.5, 0.3, (num_chains, num_draws, *shape)) for shape in shapes]
    return kp.inference.SamplePosterior(model, kp.likelihoods.Normal(0.5), values)


def regression(rows=60, draws=50):
    """(x, y, predictive): lines through the origin, with noise of 0.3."""
    rng = np.random.default_rng(0)
    x = np.linspace(-2, 2, rows)
    slopes = rng.normal(1.0, 0.25, draws)
    predictive = kp.Predictive((slopes[:, None] * x)[..., None], kp.likelihoods.Normal(0.3))
    return x, (x + rng.normal(0, 0.3, rows))[:, None], predictive


def classes(rows=400, draws=20, number=3):
    """(y, predictive): logits with noise, and labels that follow them more or less."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (rows, number))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) > rng.uniform(size=(rows, 1))).argmax(axis=1)
    outputs = 1.3 * logits + rng.normal(0, 0.8, (draws, rows, number))
    return y, kp.Predictive(outputs, kp.likelihoods.Categorical())


def digits(rows=30):
    """Images (rows, 8, 8) of a bright square that wanders."""
    at = np.arange(8)
    x = np.zeros((rows, 8, 8), "float32")
    for k in range(rows):
        x[k] = np.exp(-0.3 * ((at[:, None] - k % 8) ** 2 + (at - (k // 4) % 8) ** 2))
    return x


def two_moons():
    """(x, y, model): a variational net over two inputs."""
    rng = np.random.default_rng(1)
    y = np.arange(40) % 2
    x = np.stack([2.0 * y - 1.0 + rng.normal(0, 0.5, 40), rng.normal(0, 0.8, 40)], axis=1)
    model = variational_net.__wrapped__(2, 4, 1)
    model.compile(loss=kp.likelihoods.Bernoulli())
    model.layers[0].kernel_posterior.assign_mean(np.array([[2.0, 1, 1, 2], [0.5, -1, 0.3, 0.2]]))
    model.layers[1].kernel_posterior.assign_mean(np.full((4, 1), 1.2))
    return x.astype("float32"), y, model


HISTORY = {
    "loss": [2.0, 1.4, 1.1, 1.0],
    "nll": [1.5, 1.0, 0.8, 0.75],
    "kl": [0.5, 0.4, 0.3, 0.25],
    "elbo": [-2.0, -1.4, -1.1, -1.0],
    "val_nll": [1.6, 1.2, 1.0, 0.95],
    "val_kl": [0.45, 0.35, 0.28, 0.25],
    "val_elbo": [-2.05, -1.55, -1.28, -1.2],
}

TABLE = {
    "MAP": {"nll": 0.52, "accuracy": 0.88, "coverage": 0.71, "fit_s": 0.2},
    "Laplace": {"nll": 0.41, "accuracy": 0.89, "coverage": 0.93, "fit_s": 1.5},
    "NUTS": {"nll": 0.39, "accuracy": 0.885, "coverage": 0.905, "fit_s": 40.0},
}
