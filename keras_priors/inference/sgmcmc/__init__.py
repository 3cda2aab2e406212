"""Samplers, and averages, of stochastic gradient descent.

`sgld` and `sghmc` take the arguments, `stochastic_gradient` is the run: a `step_plan`, and for each
step the `noisy_step` that the Keras optimizers take too. `swag` goes the same way without noise.
"""

# Written by tools/write_doors.py.

from keras_priors.inference.sgmcmc.check_draws import check_draws as check_draws
from keras_priors.inference.sgmcmc.noisy_optimizer import NoisyOptimizer as NoisyOptimizer
from keras_priors.inference.sgmcmc.sghmc import SGHMC
from keras_priors.inference.sgmcmc.sghmc_optimizer import SGHMCOptimizer
from keras_priors.inference.sgmcmc.sgld import SGLD
from keras_priors.inference.sgmcmc.sgld_optimizer import SGLDOptimizer
from keras_priors.inference.sgmcmc.swag import SWAG
from keras_priors.inference.sgmcmc.swag_moments import SWAGMoments as SWAGMoments
from keras_priors.inference.sgmcmc.swag_moments import checked_rank as checked_rank
from keras_priors.inference.sgmcmc.swag_posterior import SWAGPosterior

__all__ = [
    "SGHMC",
    "SGLD",
    "SWAG",
    "SGHMCOptimizer",
    "SGLDOptimizer",
    "SWAGPosterior",
]
