"""The variational embedding."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from keras_priors.layers.constructor_arguments import bind_arguments
from keras_priors.layers.kernel_layer import KernelLayer, LinearMap
from keras_priors.layers.linear_maps import EmbeddingOp
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalEmbedding(KernelLayer, keras.layers.Embedding):
    """`keras.layers.Embedding` with a distribution over its table.

        y = E[x],   E ~ q

    `training=True` draws the table, `training=False` uses its posterior mean, and KL(q‖p) in nats
    joins the loss as in `VariationalDense`. A shared draw has one vector for each token of the
    vocabulary. Flipout flips the signs of such a draw for each element of the batch and unit, the
    same for all its tokens. Local reparameterization draws each vector that is looked up by itself,
    an approximation over positions: pooled over T of one token, a vector has 1/T of the right
    variance.

    Args:
        input_dim: integer, number of tokens.
        output_dim: integer, length of a vector.
        mask_zero: boolean, whether token 0 is padding and masked. Defaults to False.
        weights: array of shape (input_dim, output_dim), or None: where the posterior mean starts.
            Defaults to None.

    Input shape:
        Integers, `(batch, ...)`.

    Output shape:
        `(batch, ..., output_dim)`.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalEmbedding(50, 4, mask_zero=True, num_data=100)
        >>> model = keras.Sequential([keras.Input((6,), dtype="int32"), layer])
        >>> model.output_shape
        (None, 6, 4)
        >>> tuple(layer.embeddings_posterior.stddev().shape)
        (50, 4)
    """

    weight_arguments: ClassVar[dict[str, str]] = {"embeddings": "embeddings"}
    embeddings_initializer: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        arguments = bind_arguments(type(self), args, kwargs)
        # Keras would build the layer before it has its posterior.
        weights = arguments.pop("weights")
        super().__init__(**arguments)
        if weights is not None:
            initializer = self.embeddings_initializer
            self.embeddings_initializer = self._start(weights)
            self.build()
            self.embeddings_initializer = initializer

    def linear_maps(self) -> Sequence[LinearMap]:
        """One look-up."""
        return [(EmbeddingOp(self.compute_dtype), self.embeddings_posterior)]

    def prepare(self, inputs: Any) -> Any:
        """Tokens as integers, as Keras takes them."""
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return inputs if dtype in ("int32", "int64") else ops.cast(inputs, "int32")

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """That of Keras, whose embedding does not know `training`."""
        return super().compute_output_spec(inputs)

    def _start(self, weights: Any) -> keras.initializers.Initializer:
        table = weights[0] if isinstance(weights, list) and len(weights) == 1 else weights
        table = ops.convert_to_numpy(table)
        shape = (self.input_dim, self.output_dim)
        if table.shape != shape:
            raise ValueError(
                "`weights` of VariationalEmbedding must have shape (input_dim, output_dim). "
                f"Received: shape {table.shape} where {shape} is needed."
            )
        return keras.initializers.Constant(table)
