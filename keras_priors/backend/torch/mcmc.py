"""PyTorch: there are no kernels of Hamiltonian Monte Carlo."""

from typing import Any, NoReturn


def check_mcmc(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} needs the TensorFlow or the JAX backend: its kernels are TensorFlow "
        'Probability\'s. Received: the "torch" backend. Save the model, and load it with '
        'KERAS_BACKEND="jax"; or take SGLD, SGHMC, Laplace or variational inference, which run on '
        "PyTorch."
    )


def hamiltonian(*_: Any, **__: Any) -> NoReturn:
    check_mcmc("Hamiltonian Monte Carlo")
