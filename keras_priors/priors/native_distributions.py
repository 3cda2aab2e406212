"""The module of distributions that the backend's library has."""

from typing import Any

from keras_priors import backend
from keras_priors.utils.export import export


@export("keras_priors")
def native_distributions() -> Any:
    """The distributions of which `keras_priors.DistributionPrior` takes any.

    `tensorflow_probability.distributions` on TensorFlow, that of TFP's JAX substrate on JAX,
    `torch.distributions` on PyTorch. On JAX this is the way to import it: TFP 0.25 reads a name
    that JAX 0.7 has moved, so that `import tensorflow_probability.substrates.jax` fails by itself;
    after this call it works too. It takes some seconds the first time.

    Returns:
        The module.

    Example:
        >>> import keras_priors as kp
        >>> tfd = kp.native_distributions()
        >>> prior = kp.DistributionPrior(tfd.Gumbel(0.0, 2.0))
        >>> round(float(prior.log_prob([0.0])), 4)              # -log(2) - 1
        -1.6931
    """
    return backend.distributions_module()
