# Written by tools/write_signatures.py.
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from keras_priors.layers.kernel_layer import KernelLayer, LinearMap
from keras_priors.posteriors.posterior import Posterior

class VariationalEmbedding(KernelLayer, keras.layers.Embedding):
    estimator: str
    embeddings_prior: Any
    embeddings_posterior: Posterior
    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        embeddings_prior: Any = None,
        embeddings_posterior: Any = "mean_field",
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
    weight_arguments: ClassVar[dict[str, str]]
    embeddings_initializer: Any
    def linear_maps(self) -> Sequence[LinearMap]: ...
    def prepare(self, inputs: Any) -> Any: ...
    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any: ...
