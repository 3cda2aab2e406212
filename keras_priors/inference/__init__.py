"""From a model, its priors and data to its posterior: one method a file, all of one shape."""

# Written by tools/write_doors.py.

from keras_priors.inference.check_mixing import check_mixing as check_mixing
from keras_priors.inference.check_noise import check_noise as check_noise
from keras_priors.inference.check_noise import check_noise_remains as check_noise_remains
from keras_priors.inference.checkpoint import Checkpoint
from keras_priors.inference.compare import compare
from keras_priors.inference.ensembles.deep_ensemble import DeepEnsemble
from keras_priors.inference.ensembles.mc_dropout import MCDropout
from keras_priors.inference.ensembles.mc_dropout_posterior import MCDropoutPosterior
from keras_priors.inference.ensembles.randomized_map import RandomizedMAP
from keras_priors.inference.gain_of_epochs import gain_of_epochs as gain_of_epochs
from keras_priors.inference.information_scales import information_scales as information_scales
from keras_priors.inference.laplace.laplace import Laplace
from keras_priors.inference.laplace.laplace_posterior import LaplacePosterior
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.map import MAP
from keras_priors.inference.mcmc.hmc import HMC
from keras_priors.inference.mcmc.nuts import NUTS
from keras_priors.inference.method import Method
from keras_priors.inference.optimizer_seed import optimizer_seed as optimizer_seed
from keras_priors.inference.point_posterior import PointPosterior
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.prediction_chains import prediction_chains as prediction_chains
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.saved_arrays import SavedArrays as SavedArrays
from keras_priors.inference.saved_number import saved_number as saved_number
from keras_priors.inference.sgmcmc.sghmc import SGHMC
from keras_priors.inference.sgmcmc.sghmc_optimizer import SGHMCOptimizer
from keras_priors.inference.sgmcmc.sgld import SGLD
from keras_priors.inference.sgmcmc.sgld_optimizer import SGLDOptimizer
from keras_priors.inference.sgmcmc.swag import SWAG
from keras_priors.inference.sgmcmc.swag_posterior import SWAGPosterior
from keras_priors.inference.spread_of import spread_of as spread_of
from keras_priors.inference.table import Table
from keras_priors.inference.tune_temperature import tune_temperature
from keras_priors.inference.tuned_temperature import TunedTemperature
from keras_priors.inference.variational.full_rank import FullRank
from keras_priors.inference.variational.ivon import IVON
from keras_priors.inference.variational.ivon_optimizer import IVONOptimizer
from keras_priors.inference.variational.layers_posterior import LayersPosterior
from keras_priors.inference.variational.low_rank import LowRank
from keras_priors.inference.variational.mean_field import MeanField
from keras_priors.inference.variational.variational_layers import VariationalLayers
from keras_priors.inference.variational.variational_posterior import VariationalPosterior
from keras_priors.inference.workers import Workers as Workers
from keras_priors.inference.workers import check_executor as check_executor

__all__ = [
    "HMC",
    "IVON",
    "MAP",
    "NUTS",
    "SGHMC",
    "SGLD",
    "SWAG",
    "Checkpoint",
    "DeepEnsemble",
    "FullRank",
    "IVONOptimizer",
    "Laplace",
    "LaplacePosterior",
    "LayersPosterior",
    "LogPosterior",
    "LowRank",
    "MCDropout",
    "MCDropoutPosterior",
    "MeanField",
    "Method",
    "PointPosterior",
    "Posterior",
    "RandomizedMAP",
    "SGHMCOptimizer",
    "SGLDOptimizer",
    "SWAGPosterior",
    "SamplePosterior",
    "Table",
    "TunedTemperature",
    "VariationalLayers",
    "VariationalPosterior",
    "compare",
    "tune_temperature",
]
