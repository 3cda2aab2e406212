"""A model as a part of a NumPyro model."""

# Written by tools/write_doors.py.

from keras_priors.bridges.numpyro.random_model import random_model

__all__ = [
    "random_model",
]
