"""Beliefs about a weight before data: one prior a file, each a Keras regularizer."""

# Written by tools/write_doors.py.

from keras_priors.priors.beta_prior import BetaPrior
from keras_priors.priors.cauchy_prior import CauchyPrior
from keras_priors.priors.distribution_prior import DistributionPrior
from keras_priors.priors.exponential_prior import ExponentialPrior
from keras_priors.priors.gamma_prior import GammaPrior
from keras_priors.priors.generalized_normal_prior import GeneralizedNormalPrior
from keras_priors.priors.half_cauchy_prior import HalfCauchyPrior
from keras_priors.priors.half_normal_prior import HalfNormalPrior
from keras_priors.priors.half_student_t_prior import HalfStudentTPrior
from keras_priors.priors.horseshoe_prior import HorseshoePrior
from keras_priors.priors.inverse_gamma_prior import InverseGammaPrior
from keras_priors.priors.joint_normal_part import JointNormalPart as JointNormalPart
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.laplace_prior import LaplacePrior
from keras_priors.priors.latent_scale import LatentScale as LatentScale
from keras_priors.priors.learnable import Learnable
from keras_priors.priors.log_normal_prior import LogNormalPrior
from keras_priors.priors.logistic_prior import LogisticPrior
from keras_priors.priors.matrix_normal_prior import MatrixNormalPrior
from keras_priors.priors.multivariate_normal_prior import MultivariateNormalPrior
from keras_priors.priors.native_distributions import native_distributions
from keras_priors.priors.normal_blocks import FullBlock as FullBlock
from keras_priors.priors.normal_blocks import KroneckerBlock as KroneckerBlock
from keras_priors.priors.normal_blocks import LowRankBlock as LowRankBlock
from keras_priors.priors.normal_blocks import NormalBlock as NormalBlock
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.priors.regularized_horseshoe_prior import RegularizedHorseshoePrior
from keras_priors.priors.scale_mixture_prior import ScaleMixturePrior
from keras_priors.priors.spike_and_slab_prior import SpikeAndSlabPrior
from keras_priors.priors.student_t_prior import StudentTPrior
from keras_priors.priors.truncated_normal_prior import TruncatedNormalPrior
from keras_priors.priors.uniform_prior import UniformPrior
from keras_priors.priors.variance_scaling_prior import VarianceScalingPrior

__all__ = [
    "BetaPrior",
    "CauchyPrior",
    "DistributionPrior",
    "ExponentialPrior",
    "GammaPrior",
    "GeneralizedNormalPrior",
    "HalfCauchyPrior",
    "HalfNormalPrior",
    "HalfStudentTPrior",
    "HorseshoePrior",
    "InverseGammaPrior",
    "JointNormalPrior",
    "LaplacePrior",
    "Learnable",
    "LogNormalPrior",
    "LogisticPrior",
    "MatrixNormalPrior",
    "MultivariateNormalPrior",
    "NormalPrior",
    "Prior",
    "RegularizedHorseshoePrior",
    "ScaleMixturePrior",
    "SpikeAndSlabPrior",
    "StudentTPrior",
    "TruncatedNormalPrior",
    "UniformPrior",
    "VarianceScalingPrior",
    "native_distributions",
]
