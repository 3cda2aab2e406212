"""Eight schools (Rubin, 1981): data, a plain Keras model, and its posterior by quadrature.

y_j ~ N(theta_j, sigma_j^2),   theta_j ~ N(mu, tau^2),   mu ~ N(0, 5^2),   tau ~ HalfCauchy(5)
"""

import keras
import numpy as np
from scipy import stats

import keras_priors as kp

EFFECT = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SIGMA = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
TAU, MU, ETA = "schools/kernel/prior_scale", "mean/kernel", "schools/kernel"
LIKELIHOOD = kp.likelihoods.Normal(1.0)


def data():
    """Rows in units of their noise: x = (1, which school) / sigma, y = effect / sigma."""
    x = np.concatenate([np.ones((8, 1)), np.eye(8)], axis=1) / SIGMA[:, None]
    return x.astype("float32"), (EFFECT / SIGMA)[:, None].astype("float32")


def model(prior=None, **learnable):
    """theta_j = mu + eta_j, with the kernels `mean` (mu) and `schools` (eta ~ N(0, tau^2))."""
    prior = kp.HalfCauchyPrior(5.0) if prior is None else prior
    scale = kp.Learnable(prior=prior, **learnable)
    inputs = keras.Input((9,))
    parts = []
    for name, where, of_kernel in (
        ("mean", slice(0, 1), kp.NormalPrior(0, 5)),
        ("schools", slice(1, 9), kp.NormalPrior(0, scale)),
    ):
        layer = keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer="zeros",
            kernel_regularizer=of_kernel,
            name=name,
        )
        parts.append(layer(inputs[:, where]))
    return keras.Model(inputs, keras.layers.Add()(parts), name="eight_schools")


def exact():
    """Mean and standard deviation by path: given tau all is normal, and tau is on a grid."""
    tau = np.exp(np.linspace(np.log(1e-3), np.log(1e3), 4001))
    # y given tau is N(0, diag(sigma^2 + tau^2) + 25), a rank-one update of a diagonal.
    precision = 1.0 / (SIGMA**2 + tau[:, None] ** 2)
    total, weighted = precision.sum(1), precision @ EFFECT
    variance = 1.0 / (total + 1 / 25)
    mean = variance * weighted
    log = 0.5 * (np.log(precision).sum(1) + np.log(variance))
    log += (
        -0.5 * (precision @ EFFECT**2 - weighted * mean)
        + stats.halfcauchy(scale=5).logpdf(tau)
        + np.log(tau)
    )
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    # eta_j given mu and tau: shrunk by b_j = tau^2 / (tau^2 + sigma_j^2).
    b = tau[:, None] ** 2 * precision
    eta = b * (EFFECT - mean[:, None])
    eta_variance = b * SIGMA**2 + b**2 * variance[:, None]
    found = {}
    for path, m, v in ((TAU, tau, 0 * tau), (MU, mean, variance), (ETA, eta, eta_variance)):
        w = weight.reshape(-1, *[1] * (m.ndim - 1))
        middle = (w * m).sum(0)
        found[path] = middle, np.sqrt((w * (v + (m - middle) ** 2)).sum(0))
    return found
