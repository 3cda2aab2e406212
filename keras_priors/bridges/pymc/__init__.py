"""A model as a part of a PyMC model: its weights, its output, both with data, and draws back."""

# Written by tools/write_doors.py.

from keras_priors.bridges.pymc.from_pymc import from_pymc
from keras_priors.bridges.pymc.outputs import outputs
from keras_priors.bridges.pymc.start import start
from keras_priors.bridges.pymc.to_pymc import to_pymc
from keras_priors.bridges.pymc.weights import weights

__all__ = [
    "from_pymc",
    "outputs",
    "start",
    "to_pymc",
    "weights",
]
