"""A normal distribution around the mode."""

# Written by tools/write_doors.py.

from keras_priors.inference.laplace.laplace import Laplace
from keras_priors.inference.laplace.laplace_posterior import LaplacePosterior

__all__ = [
    "Laplace",
    "LaplacePosterior",
]
