"""How a model's outputs explain its targets: one likelihood a file, each a Keras loss."""

# Written by tools/write_doors.py.

from keras_priors.likelihoods.asymmetric_laplace import AsymmetricLaplace
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.beta import Beta
from keras_priors.likelihoods.beta_score import beta_score as beta_score
from keras_priors.likelihoods.binomial import Binomial
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.censored import Censored
from keras_priors.likelihoods.dirichlet import Dirichlet
from keras_priors.likelihoods.dirichlet_multinomial import DirichletMultinomial
from keras_priors.likelihoods.gamma import Gamma
from keras_priors.likelihoods.get import get
from keras_priors.likelihoods.heteroscedastic_normal import HeteroscedasticNormal
from keras_priors.likelihoods.laplace import Laplace
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.link import log_probabilities as log_probabilities
from keras_priors.likelihoods.log_normal import LogNormal
from keras_priors.likelihoods.multivariate_normal import MultivariateNormal
from keras_priors.likelihoods.negative_binomial import NegativeBinomial
from keras_priors.likelihoods.normal import Normal
from keras_priors.likelihoods.normal_mixture import NormalMixture
from keras_priors.likelihoods.ordinal import Ordinal
from keras_priors.likelihoods.output_scale import activation_name as activation_name
from keras_priors.likelihoods.output_scale import advice as advice
from keras_priors.likelihoods.output_scale import check_outputs_scale as check_outputs_scale
from keras_priors.likelihoods.poisson import Poisson
from keras_priors.likelihoods.score_table import ScoreTable as ScoreTable
from keras_priors.likelihoods.score_table import score_table as score_table
from keras_priors.likelihoods.special import at_most as at_most
from keras_priors.likelihoods.special import binet as binet
from keras_priors.likelihoods.special import exp_excess as exp_excess
from keras_priors.likelihoods.student_t import StudentT
from keras_priors.likelihoods.von_mises import VonMises
from keras_priors.likelihoods.weibull import Weibull
from keras_priors.likelihoods.zero_inflated import ZeroInflated

__all__ = [
    "AsymmetricLaplace",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Censored",
    "Dirichlet",
    "DirichletMultinomial",
    "Gamma",
    "HeteroscedasticNormal",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "NormalMixture",
    "Ordinal",
    "Poisson",
    "StudentT",
    "VonMises",
    "Weibull",
    "ZeroInflated",
    "get",
]
