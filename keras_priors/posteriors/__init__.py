"""Families q(w) over one weight tensor, and how a draw from them enters a layer."""

# Written by tools/write_doors.py.

from keras_priors.posteriors.delta import Delta
from keras_priors.posteriors.full_normal import FullNormal
from keras_priors.posteriors.get import get
from keras_priors.posteriors.log_normal import LogNormal
from keras_priors.posteriors.low_rank_normal import LowRankNormal
from keras_priors.posteriors.matrix_normal import MatrixNormal
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.posteriors.posterior import Posterior
from keras_priors.posteriors.scale import softplus_inverse as softplus_inverse

__all__ = [
    "Delta",
    "FullNormal",
    "LogNormal",
    "LowRankNormal",
    "MatrixNormal",
    "MeanFieldNormal",
    "Posterior",
    "get",
]
