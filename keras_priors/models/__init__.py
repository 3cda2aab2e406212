"""Verbs on a whole model."""

from keras_priors.models.set_num_data import set_num_data

__all__ = ["set_num_data"]
