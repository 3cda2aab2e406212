# Written by tools/write_signatures.py.
from typing import Any

import keras

from keras_priors.layers.conv_layers import ConvTransposeLayer
from keras_priors.posteriors.posterior import Posterior

class VariationalConv1DTranspose(ConvTransposeLayer, keras.layers.Conv1DTranspose):
    estimator: str
    kernel_prior: Any
    kernel_posterior: Posterior
    bias_prior: Any
    bias_posterior: Posterior
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
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
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
    ) -> None: ...
