"""TensorFlow, with TensorFlow Probability."""
