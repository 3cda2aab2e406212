"""The only folder that knows TensorFlow, JAX, PyTorch and TensorFlow Probability.

One module per backend, all with the same names (`tests/backend/test_interface.py` holds them to
it). The backend is the one Keras was started with; the others are never imported.
"""

import keras

if keras.config.backend() == "tensorflow":
    from keras_priors.backend.tensorflow.calculus import (
        hessian,
        jacobian,
        jacobian_vector_product,
        minimize,
        sum_over,
        value_and_gradient,
        vectorize,
    )
    from keras_priors.backend.tensorflow.distributions import (
        bijector,
        build_described,
        compile_function,
        described_distribution,
        distribution,
        distribution_class,
        distribution_from,
        expand,
        is_distribution,
        is_traced,
        kl_divergence,
        map_draws,
        mean,
        sample,
        support,
        sync_variables,
        variance,
    )
    from keras_priors.backend.tensorflow.loops import fold, scan
    from keras_priors.backend.tensorflow.mcmc import check_mcmc, hamiltonian
    from keras_priors.backend.tensorflow.mean_field import (
        mean_field_kl,
        mean_field_perturbation,
        mean_field_scale,
        mean_field_transform,
        mean_field_variance,
    )
    from keras_priors.backend.tensorflow.noise import (
        random_signs,
        standard_normal,
        standard_normals,
    )
    from keras_priors.backend.tfp.elementwise import add_noise, square
elif keras.config.backend() == "jax":
    from keras_priors.backend.jax.calculus import (
        hessian,
        jacobian,
        jacobian_vector_product,
        minimize,
        sum_over,
        value_and_gradient,
        vectorize,
    )
    from keras_priors.backend.jax.distributions import (
        bijector,
        build_described,
        compile_function,
        described_distribution,
        distribution,
        distribution_class,
        distribution_from,
        expand,
        is_distribution,
        is_traced,
        kl_divergence,
        map_draws,
        mean,
        sample,
        support,
        sync_variables,
        variance,
    )
    from keras_priors.backend.jax.loops import fold, scan
    from keras_priors.backend.jax.mcmc import check_mcmc, hamiltonian
    from keras_priors.backend.jax.mean_field import (
        mean_field_kl,
        mean_field_perturbation,
        mean_field_scale,
        mean_field_transform,
        mean_field_variance,
    )
    from keras_priors.backend.jax.noise import random_signs, standard_normal, standard_normals
    from keras_priors.backend.tfp.elementwise import add_noise, square
elif keras.config.backend() == "torch":
    from keras_priors.backend.torch.calculus import (
        hessian,
        jacobian,
        jacobian_vector_product,
        minimize,
        sum_over,
        value_and_gradient,
        vectorize,
    )
    from keras_priors.backend.torch.distributions import (
        bijector,
        build_described,
        compile_function,
        described_distribution,
        distribution,
        distribution_class,
        distribution_from,
        expand,
        is_distribution,
        is_traced,
        kl_divergence,
        map_draws,
        mean,
        sample,
        support,
        sync_variables,
        variance,
    )
    from keras_priors.backend.torch.elementwise import add_noise, square
    from keras_priors.backend.torch.loops import fold, scan
    from keras_priors.backend.torch.mcmc import check_mcmc, hamiltonian
    from keras_priors.backend.torch.mean_field import (
        mean_field_kl,
        mean_field_perturbation,
        mean_field_scale,
        mean_field_transform,
        mean_field_variance,
    )
    from keras_priors.backend.torch.noise import random_signs, standard_normal, standard_normals
else:
    raise NotImplementedError(
        "keras_priors needs the TensorFlow, JAX or PyTorch backend of Keras. "
        f"Received: keras.config.backend()={keras.config.backend()!r}. "
        'Set the environment variable KERAS_BACKEND to "tensorflow", "jax" or "torch" '
        "before Keras is imported."
    )

from keras_priors.backend.seeds import as_seed, fold_in, spawn_seeds
from keras_priors.backend.support import Support
from keras_priors.backend.vocabulary import in_neutral_words

__all__ = [
    "Support",
    "add_noise",
    "as_seed",
    "bijector",
    "build_described",
    "check_mcmc",
    "compile_function",
    "described_distribution",
    "distribution",
    "distribution_class",
    "distribution_from",
    "expand",
    "fold",
    "fold_in",
    "hamiltonian",
    "hessian",
    "in_neutral_words",
    "is_distribution",
    "is_traced",
    "jacobian",
    "jacobian_vector_product",
    "kl_divergence",
    "map_draws",
    "mean",
    "mean_field_kl",
    "mean_field_perturbation",
    "mean_field_scale",
    "mean_field_transform",
    "mean_field_variance",
    "minimize",
    "random_signs",
    "sample",
    "scan",
    "spawn_seeds",
    "square",
    "standard_normal",
    "standard_normals",
    "sum_over",
    "support",
    "sync_variables",
    "value_and_gradient",
    "variance",
    "vectorize",
]
