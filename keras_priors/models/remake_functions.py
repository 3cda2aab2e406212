"""Traced functions have old values built in."""

import keras

from keras_priors.functional.traversal import all_models


def remake_functions(model: keras.Model) -> None:
    """Make the training and test functions anew, of a model and of the models within it."""
    for one in all_models(model):
        if one.train_function is not None:
            one.make_train_function(force=True)
        if one.test_function is not None:
            one.make_test_function(force=True)
