# Written by tools/write_signatures.py.
from collections.abc import Sequence
from typing import Any

import keras

from keras_priors.layers.kernel_layer import KernelLayer, LinearMap
from keras_priors.layers.weight_axes import WeightAxes
from keras_priors.posteriors.posterior import Posterior

class VariationalEinsumDense(KernelLayer, keras.layers.EinsumDense):
    estimator: str
    kernel_prior: Any
    kernel_posterior: Posterior
    bias_prior: Any
    bias_posterior: Posterior
    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_prior: Any = None,
        bias_prior: Any = None,
        kernel_posterior: Any = "mean_field",
        bias_posterior: Any = "mean_field",
        estimator: str = "reparameterization",
        num_data: int | None = None,
        temperature: float = 1.0,
        kl_samples: int = 1,
        seed: int | None = None,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
    ) -> None: ...
    def weight_axes(self, weight: str, shape: tuple[int, ...]) -> WeightAxes: ...
    def linear_maps(self) -> Sequence[LinearMap]: ...
