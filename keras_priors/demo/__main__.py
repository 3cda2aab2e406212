"""`python -m keras_priors.demo`: plain, MAP and variational nets on real digits."""

import argparse
import sys
import time
from pathlib import Path

import keras

from keras_priors.demo.data import load
from keras_priors.demo.fits import METHODS, NETS, fit_all
from keras_priors.demo.picture import draw
from keras_priors.demo.table import format_table, measure


def main(arguments: list[str] | None = None) -> int:
    """Fit, print the table, write the picture."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_priors.demo",
        description="Fits a softmax regression and a net with two hidden layers to the 8x8 digits "
        "that scikit-learn ships, each three ways: plain, with priors (MAP), and with "
        "VariationalDense. Prints how good and how sure each is on test digits and on patches of "
        "photographs, which are no digits at all; writes one picture. About a minute on two "
        "cores. Needs scikit-learn and matplotlib (pip install keras-priors[demo]).",
    )
    parser.add_argument("--epochs", type=int, default=80, help="epochs of each fit (80)")
    parser.add_argument("--num-samples", type=int, default=100, help="posterior draws (100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything (0)")
    parser.add_argument(
        "--output", type=Path, default=Path("demo.png"), help="where the picture goes (demo.png)"
    )
    options = parser.parse_args(arguments)
    for name in ("epochs", "num_samples"):
        if vars(options)[name] < 1:
            parser.error(
                f"--{name.replace('_', '-')} must be at least 1, received {vars(options)[name]}"
            )
    # Before the fits: a minute of work should not end in an error about its last line.
    if not options.output.parent.is_dir():
        parser.error(f"--output must be in a folder that exists, received {options.output}")
    if options.output.is_dir():
        parser.error(f"--output must be a file, received the folder {options.output}")

    start = time.perf_counter()
    data = load(options.seed)
    print(
        f"Keras {keras.__version__} on {keras.config.backend()}: {len(data.x)} training digits, "
        f"{len(data.x_test)} test digits, {len(data.x_out)} photograph patches."
    )
    fits = fit_all(data, options.epochs, options.seed)
    rows = [measure(fit, data, options.num_samples, options.seed) for fit in fits]
    print()
    print(format_table(rows))
    print(
        "\nNLL, Brier score and ECE (expected calibration error): lower is better. Entropy: how "
        "unsure the prediction is,\nin nats, from 0 to log 10 = 2.30. On patches, which are no "
        "digits, a high entropy is the honest answer."
    )
    draw(rows, data, options.output)
    print(f"\nPicture: {options.output}   ({time.perf_counter() - start:.0f} s)")
    return 0


__all__ = ["METHODS", "NETS", "main"]

if __name__ == "__main__":
    sys.exit(main())
