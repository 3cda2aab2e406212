# Written by tools/write_signatures.py.
from typing import Any

import keras

from keras_priors.layers.conv_layers import SeparableConvLayer
from keras_priors.posteriors.posterior import Posterior

class VariationalSeparableConv1D(SeparableConvLayer, keras.layers.SeparableConv1D):
    estimator: str
    depthwise_prior: Any
    depthwise_posterior: Posterior
    pointwise_prior: Any
    pointwise_posterior: Posterior
    bias_prior: Any
    bias_posterior: Posterior
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        depthwise_prior: Any = None,
        pointwise_prior: Any = None,
        bias_prior: Any = None,
        depthwise_posterior: Any = "mean_field",
        pointwise_posterior: Any = "mean_field",
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
