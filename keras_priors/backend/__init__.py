"""The only folder that knows TensorFlow, JAX, PyTorch and TensorFlow Probability.

One module per backend, all with the same names (`tests/backend/test_interface.py` holds them to
it). The backend is the one Keras was started with; the others are never imported.
"""

import keras

if keras.config.backend() == "tensorflow":
    from keras_priors.backend._calculus_tensorflow import (
        hessian,
        jacobian,
        jacobian_vector_product,
        minimize,
        sum_over,
        value_and_gradient,
        vectorize,
    )
    from keras_priors.backend._elementwise import add_noise, square
    from keras_priors.backend._loops_tensorflow import fold, scan
    from keras_priors.backend._mcmc_tensorflow import check_mcmc, hamiltonian
    from keras_priors.backend._mean_field_tensorflow import (
        mean_field_kl,
        mean_field_perturbation,
        mean_field_scale,
        mean_field_transform,
        mean_field_variance,
    )
    from keras_priors.backend._noise_tensorflow import (
        random_signs,
        standard_normal,
        standard_normals,
    )
    from keras_priors.backend._tensorflow import (
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
elif keras.config.backend() == "jax":
    from keras_priors.backend._calculus_jax import (
        hessian,
        jacobian,
        jacobian_vector_product,
        minimize,
        sum_over,
        value_and_gradient,
        vectorize,
    )
    from keras_priors.backend._elementwise import add_noise, square
    from keras_priors.backend._jax import (
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
    from keras_priors.backend._loops_jax import fold, scan
    from keras_priors.backend._mcmc_jax import check_mcmc, hamiltonian
    from keras_priors.backend._mean_field_jax import (
        mean_field_kl,
        mean_field_perturbation,
        mean_field_scale,
        mean_field_transform,
        mean_field_variance,
    )
    from keras_priors.backend._noise_jax import random_signs, standard_normal, standard_normals
elif keras.config.backend() == "torch":
    from keras_priors.backend._calculus_torch import (
        hessian,
        jacobian,
        jacobian_vector_product,
        minimize,
        sum_over,
        value_and_gradient,
        vectorize,
    )
    from keras_priors.backend._elementwise_torch import add_noise, square
    from keras_priors.backend._loops_torch import fold, scan
    from keras_priors.backend._mcmc_torch import check_mcmc, hamiltonian
    from keras_priors.backend._mean_field_torch import (
        mean_field_kl,
        mean_field_perturbation,
        mean_field_scale,
        mean_field_transform,
        mean_field_variance,
    )
    from keras_priors.backend._noise_torch import random_signs, standard_normal, standard_normals
    from keras_priors.backend._torch import (
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
else:
    raise NotImplementedError(
        "keras_priors needs the TensorFlow, JAX or PyTorch backend of Keras. "
        f"Received: keras.config.backend()={keras.config.backend()!r}. "
        'Set the environment variable KERAS_BACKEND to "tensorflow", "jax" or "torch" '
        "before Keras is imported."
    )

from keras_priors.backend._seeds import as_seed, fold_in, spawn_seeds
from keras_priors.backend._support import Support
from keras_priors.backend._vocabulary import in_neutral_words

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
