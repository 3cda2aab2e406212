"""Hamiltonian Monte Carlo on all rows."""

# Written by tools/write_doors.py.

from keras_priors.inference.mcmc.hmc import HMC
from keras_priors.inference.mcmc.nuts import NUTS

__all__ = [
    "HMC",
    "NUTS",
]
