"""Digits to learn, digits to be tested on, and pictures that are no digits."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Data:
    """Rows of 64 pixels in [0, 1]."""

    x: Any
    y: Any
    x_test: Any
    y_test: Any
    x_out: Any


def load(seed: int) -> Data:
    """Digits, split by `seed`, and as many patches of scikit-learn's two photographs."""
    from sklearn.datasets import load_digits, load_sample_images
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(
        (x / 16.0).astype("float32"), y, test_size=450, random_state=seed, stratify=y
    )
    rng = np.random.default_rng(seed)
    patches = []
    for image in load_sample_images().images:
        grey = image.mean(axis=-1)[::4, ::4]
        for _ in range(len(x_test) // 2):
            row, column = (rng.integers(0, size - 8) for size in grey.shape)
            patch = grey[row : row + 8, column : column + 8]
            # Stretched to the range of a digit, so that brightness alone does not give it away.
            patches.append((patch - patch.min()) / max(np.ptp(patch), 1.0))
    x_out = np.reshape(patches, (len(patches), 64)).astype("float32")
    return Data(x, y, x_test, y_test, x_out)
