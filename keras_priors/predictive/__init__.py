"""From draws to predictions, and where their uncertainty comes from."""

# Written by tools/write_doors.py.

from keras_priors.predictive.acquire import acquire
from keras_priors.predictive.by_rows import by_rows as by_rows
from keras_priors.predictive.check_outputs_known import check_outputs_known as check_outputs_known
from keras_priors.predictive.joint_log_prob import joint_log_prob as joint_log_prob
from keras_priors.predictive.ood_score import ood_score
from keras_priors.predictive.ood_threshold import ood_threshold
from keras_priors.predictive.predict import predict
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.prior_predictive import prior_predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive as QuantilePredictive
from keras_priors.predictive.wrap import wrap as wrap

__all__ = [
    "Predictive",
    "acquire",
    "ood_score",
    "ood_threshold",
    "predict",
    "prior_predictive",
]
