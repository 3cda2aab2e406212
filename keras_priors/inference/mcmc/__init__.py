"""Hamiltonian Monte Carlo on all rows, in the order in which it runs.

`nuts` and `hmc` take the arguments, `hamiltonian` is the run: `starts`, `warmup` with its
`learned_scale` (`scales` says what that is), draws, `diagnose`.
"""

# Written by tools/write_doors.py.

from keras_priors.inference.mcmc.hmc import HMC
from keras_priors.inference.mcmc.nuts import NUTS

__all__ = [
    "HMC",
    "NUTS",
]
