"""TensorFlow and JAX: compiled functions are traced."""


def is_traced() -> bool:
    return True
