"""A normal distribution around the mode, in the order in which it runs.

`laplace` finds the mode and asks for what is kept of the `curvature` (of `laplace_rows`, or of the
`last_layer` alone) and for that of the prior (`prior_curvature`); the sum is a `precision`, which
`laplace_posterior` draws from, predicts with (`predictions`) and weighs (`evidence`).
"""

# Written by tools/write_doors.py.

from keras_priors.inference.laplace.laplace import Laplace
from keras_priors.inference.laplace.laplace_posterior import LaplacePosterior

__all__ = [
    "Laplace",
    "LaplacePosterior",
]
