"""Files of a predictive for other runtimes."""

# Written by tools/write_doors.py.

from keras_priors.serving.export_predictive import export_predictive

__all__ = [
    "export_predictive",
]
