"""Accuracy against the share of weights pruned, on scikit-learn's digits, as JSON and a picture.

    KERAS_BACKEND=jax python benchmarks/prune.py --picture docs/prune.png

Weights of a variational net are set to zero by their signal-to-noise ratio (`keras_priors.prune`;
Blundell et al. 2015, figure 5), those of a plain net of the same shape by their magnitude.
"""

import argparse
import json
import sys

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_priors as kp

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)


def data():
    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32")
    return train_test_split(x, y, test_size=0.4, random_state=0, stratify=y)


def fit(layer, x, y, epochs, seed, **kwargs):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layer(100, activation="relu", **kwargs),
            layer(100, activation="relu", **kwargs),
            layer(10, **kwargs),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), loss=kp.likelihoods.Categorical())
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def by_magnitude(model, fraction):
    """The model with its smallest weights at zero, over all layers."""
    new = keras.models.clone_model(model)
    weights = model.get_weights()
    sizes = np.sort(np.concatenate([np.abs(w).ravel() for w in weights]))
    count = int(fraction * len(sizes))
    bound = sizes[count] if count < len(sizes) else np.inf
    new.set_weights([np.where(np.abs(w) < bound, 0.0, w) for w in weights])
    return new


def accuracy(model, x, y):
    return float(np.mean(np.argmax(model.predict(x, verbose=0), axis=-1) == y))


def draw(curves, path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    colors = {"signal-to-noise, variational": "#1f5fa8", "magnitude, plain": "#c2571a"}
    for name, runs in curves.items():
        percent = 100 * np.asarray(runs)
        middle = np.median(percent, axis=0)
        axes.fill_between(
            FRACTIONS, percent.min(0), percent.max(0), color=colors[name], alpha=0.15, lw=0
        )
        axes.plot(FRACTIONS, middle, "o-", ms=4, color=colors[name], label=name)
    axes.set_xlabel("share of weights set to zero")
    axes.set_ylabel("test accuracy (%)")
    axes.set_xticks((0, 0.25, 0.5, 0.75, 0.85, 0.95), ("0", "25%", "50%", "75%", "85%", "95%"))
    axes.set_ylim(0, 102)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", title="pruned by")
    figure.savefig(path, dpi=150)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", help="where to draw the curves; not drawn by default")
    options = parser.parse_args(arguments)
    x_train, x_test, y_train, y_test = data()
    curves = {"signal-to-noise, variational": [], "magnitude, plain": []}
    for seed in range(options.seeds):
        model = fit(
            kp.VariationalDense, x_train, y_train, options.epochs, seed, num_data=len(x_train)
        )
        pruned = [kp.prune(model, fraction=f)[0] for f in FRACTIONS]
        curves["signal-to-noise, variational"].append([accuracy(m, x_test, y_test) for m in pruned])
        plain = fit(keras.layers.Dense, x_train, y_train, options.epochs, seed)
        pruned = [by_magnitude(plain, f) for f in FRACTIONS]
        curves["magnitude, plain"].append([accuracy(m, x_test, y_test) for m in pruned])
    if options.picture:
        draw(curves, options.picture)
    line = {
        "benchmark": "prune",
        "backend": keras.config.backend(),
        "fractions": FRACTIONS,
        "median_accuracy": {
            name: [round(float(a), 4) for a in np.median(runs, axis=0)]
            for name, runs in curves.items()
        },
    }
    json.dump(line, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
