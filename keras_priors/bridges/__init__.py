"""Ways into other libraries: a model with its priors as a part of theirs, and their draws back.

A function for any other sampler, such as BlackJAX', is `inference.LogPosterior.logdensity`. The
libraries are optional, and imported where they are used.
"""

from keras_priors.bridges import numpyro, pymc

__all__ = ["numpyro", "pymc"]
