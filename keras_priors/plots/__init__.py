"""Pictures of weights, predictions, calibration, priors and fits, by matplotlib.

A function takes models, posteriors, predictives and tables as they are, draws on the `Axes` that it
is given, or on a figure of its own, and returns the Axes (several panels: an array of them). The
house style is a style file of matplotlib; nothing global is touched. For a grid of your own in it:

    with plt.style.context("keras_priors.plots.house"):
        figure, axes = plt.subplots(2, 2)
"""

# Written by tools/write_doors.py.

from keras_priors.plots.class_probabilities import class_probabilities
from keras_priors.plots.compare import compare
from keras_priors.plots.confusion_matrix import confusion_matrix
from keras_priors.plots.decision_boundary import decision_boundary
from keras_priors.plots.examples import examples
from keras_priors.plots.kernel_images import kernel_images
from keras_priors.plots.pit_histogram import pit_histogram
from keras_priors.plots.predictive_band import predictive_band
from keras_priors.plots.prior_gallery import prior_gallery
from keras_priors.plots.prior_predictive import prior_predictive
from keras_priors.plots.pruning_curve import pruning_curve
from keras_priors.plots.rank import rank
from keras_priors.plots.reliability_diagram import reliability_diagram
from keras_priors.plots.risk_coverage import risk_coverage
from keras_priors.plots.scales import scales
from keras_priors.plots.signal_to_noise import signal_to_noise
from keras_priors.plots.trace import trace
from keras_priors.plots.training_curves import training_curves
from keras_priors.plots.weights import weights

__all__ = [
    "class_probabilities",
    "compare",
    "confusion_matrix",
    "decision_boundary",
    "examples",
    "kernel_images",
    "pit_histogram",
    "predictive_band",
    "prior_gallery",
    "prior_predictive",
    "pruning_curve",
    "rank",
    "reliability_diagram",
    "risk_coverage",
    "scales",
    "signal_to_noise",
    "trace",
    "training_curves",
    "weights",
]
