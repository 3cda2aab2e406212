"""What TensorFlow and JAX share."""
