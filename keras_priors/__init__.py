"""Priors, variational layers and posterior inference for Keras 3 models."""

# Written by tools/write_doors.py.

from keras_priors.utils.check_installed import check_installed as _check_installed

_check_installed()

from keras_priors import (
    bridges,
    calibration,
    callbacks,
    inference,
    layers,
    likelihoods,
    metrics,
    plots,
    posteriors,
    priors,
)
from keras_priors.inference.compare import compare
from keras_priors.layers.variational_conv1d import VariationalConv1D
from keras_priors.layers.variational_conv1d_transpose import VariationalConv1DTranspose
from keras_priors.layers.variational_conv2d import VariationalConv2D
from keras_priors.layers.variational_conv2d_transpose import VariationalConv2DTranspose
from keras_priors.layers.variational_conv3d import VariationalConv3D
from keras_priors.layers.variational_conv3d_transpose import VariationalConv3DTranspose
from keras_priors.layers.variational_dense import VariationalDense
from keras_priors.layers.variational_depthwise_conv1d import VariationalDepthwiseConv1D
from keras_priors.layers.variational_depthwise_conv2d import VariationalDepthwiseConv2D
from keras_priors.layers.variational_einsum_dense import VariationalEinsumDense
from keras_priors.layers.variational_embedding import VariationalEmbedding
from keras_priors.layers.variational_separable_conv1d import VariationalSeparableConv1D
from keras_priors.layers.variational_separable_conv2d import VariationalSeparableConv2D
from keras_priors.models.get_priors import get_priors
from keras_priors.models.pretrained_prior import pretrained_prior
from keras_priors.models.prune import prune
from keras_priors.models.sample_prior import sample_prior
from keras_priors.models.set_num_data import set_num_data
from keras_priors.models.set_priors import set_priors
from keras_priors.models.summary import summary
from keras_priors.models.to_deterministic import to_deterministic
from keras_priors.models.to_variational import to_variational
from keras_priors.predictive.acquire import acquire
from keras_priors.predictive.ood_score import ood_score
from keras_priors.predictive.ood_threshold import ood_threshold
from keras_priors.predictive.predict import predict
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.prior_predictive import prior_predictive
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
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.laplace_prior import LaplacePrior
from keras_priors.priors.learnable import Learnable
from keras_priors.priors.log_normal_prior import LogNormalPrior
from keras_priors.priors.logistic_prior import LogisticPrior
from keras_priors.priors.matrix_normal_prior import MatrixNormalPrior
from keras_priors.priors.multivariate_normal_prior import MultivariateNormalPrior
from keras_priors.priors.native_distributions import native_distributions
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.priors.regularized_horseshoe_prior import RegularizedHorseshoePrior
from keras_priors.priors.scale_mixture_prior import ScaleMixturePrior
from keras_priors.priors.spike_and_slab_prior import SpikeAndSlabPrior
from keras_priors.priors.student_t_prior import StudentTPrior
from keras_priors.priors.truncated_normal_prior import TruncatedNormalPrior
from keras_priors.priors.uniform_prior import UniformPrior
from keras_priors.priors.variance_scaling_prior import VarianceScalingPrior
from keras_priors.serving.export_predictive import export_predictive
from keras_priors.version import __version__

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
    "Predictive",
    "Prior",
    "RegularizedHorseshoePrior",
    "ScaleMixturePrior",
    "SpikeAndSlabPrior",
    "StudentTPrior",
    "TruncatedNormalPrior",
    "UniformPrior",
    "VarianceScalingPrior",
    "VariationalConv1D",
    "VariationalConv1DTranspose",
    "VariationalConv2D",
    "VariationalConv2DTranspose",
    "VariationalConv3D",
    "VariationalConv3DTranspose",
    "VariationalDense",
    "VariationalDepthwiseConv1D",
    "VariationalDepthwiseConv2D",
    "VariationalEinsumDense",
    "VariationalEmbedding",
    "VariationalSeparableConv1D",
    "VariationalSeparableConv2D",
    "__version__",
    "acquire",
    "bridges",
    "calibration",
    "callbacks",
    "compare",
    "export_predictive",
    "get_priors",
    "inference",
    "layers",
    "likelihoods",
    "metrics",
    "native_distributions",
    "ood_score",
    "ood_threshold",
    "plots",
    "posteriors",
    "predict",
    "pretrained_prior",
    "prior_predictive",
    "priors",
    "prune",
    "sample_prior",
    "set_num_data",
    "set_priors",
    "summary",
    "to_deterministic",
    "to_variational",
]
