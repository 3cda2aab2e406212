"""What the defaults of VariationalDense do on nets of width 50, 400 and 2048, as JSON.

    KERAS_BACKEND=jax python benchmarks/defaults.py --epochs 60

Two hidden layers on the digits of scikit-learn (1437 training rows), for each prior, initial scale
and estimator. A fit that has collapsed to the prior predicts all classes alike: its test NLL is
near log 10 = 2.30. `signal` is the median over the weights of the second layer of |mean| / sd.
"""

import argparse
import itertools
import json
import time

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_priors as kp

PRIORS = {
    "normal(0,1)": lambda: kp.NormalPrior(0.0, 1.0),
    "variance_scaling(1)": lambda: kp.VarianceScalingPrior(1.0),
    "variance_scaling(2)": lambda: kp.VarianceScalingPrior(2.0),
}


def fit(width, prior, relative_scale, estimator, epochs, data):
    keras.utils.set_random_seed(1)
    x, x_test, y, y_test = data

    def layer(units, fan_in, activation):
        scale = relative_scale / np.sqrt(fan_in)
        posterior = kp.posteriors.MeanFieldNormal(initial_scale=scale)
        return kp.VariationalDense(
            units,
            activation=activation,
            kernel_prior=PRIORS[prior](),
            kernel_posterior=posterior,
            bias_posterior=kp.posteriors.MeanFieldNormal(initial_scale=relative_scale),
            estimator=estimator,
            num_data=len(x),
        )

    model = keras.Sequential(
        [keras.Input((64,)), layer(width, 64, "relu"), layer(width, width, "relu")]
    )
    model.add(layer(10, width, None))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss)
    start = time.perf_counter()
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    draws = [
        keras.ops.convert_to_numpy(keras.ops.softmax(model(x_test, training=True)))
        for _ in range(20)
    ]
    p = np.mean(draws, axis=0)
    posterior = model.layers[1].kernel_posterior
    mean, sd = (keras.ops.convert_to_numpy(v()) for v in (posterior.mean, posterior.stddev))
    return {
        "accuracy": round(float(np.mean(p.argmax(-1) == y_test)), 4),
        "nll": round(float(-np.log(p[np.arange(len(y_test)), y_test] + 1e-12).mean()), 3),
        "kl_per_observation": round(float(sum(layer.kl() for layer in model.layers)) / len(x), 2),
        "signal": round(float(np.median(np.abs(mean) / sd)), 3),
        "seconds": round(seconds, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[50, 400, 2048])
    parser.add_argument("--priors", nargs="+", choices=list(PRIORS), default=list(PRIORS))
    parser.add_argument("--relative-scales", type=float, nargs="+", default=[1.0, 0.1, 0.01])
    parser.add_argument("--estimators", nargs="+", default=["reparameterization"])
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    x, y = load_digits(return_X_y=True)
    data = train_test_split(
        (x / 16.0).astype("float32"), y, test_size=360, random_state=0, stratify=y
    )
    grid = itertools.product(
        options.widths, options.priors, options.relative_scales, options.estimators
    )
    for width, prior, scale, estimator in grid:
        result = fit(width, prior, scale, estimator, options.epochs, data)
        line = {"width": width, "prior": prior, "relative_scale": scale, "estimator": estimator}
        print(json.dumps({**line, "epochs": options.epochs, **result}), flush=True)


if __name__ == "__main__":
    main()
