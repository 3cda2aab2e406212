"""A Keras model as a pure function of weights and rows, shared by models, predictions, inference."""
