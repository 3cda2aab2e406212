"""The gaps between the cutpoints of ordered classes, as a layer."""

import math
from typing import Any, Unpack

import keras
from keras import ops

from keras_priors.utils.export import export
from keras_priors.utils.layer_options import LayerOptions
from keras_priors.utils.parameters import whole_number


@export()
class Cutpoints(keras.layers.Layer):
    """Weights for the gaps between ordered classes, the same for all rows, beside a score.

        outputs = [score, r_1, ..., r_(c - 2)],    1e-6 + softplus(r_k) = a_k - a_(k - 1)

    After a `Dense(1)` and with the loss `keras_priors.likelihoods.Ordinal(num_classes)` it makes
    the model of proportional odds (or the ordered probit): P(y > k) = F(score - a_k). The bias of
    the score stands for the first cutpoint.

    Args:
        num_classes: integer of at least 2, c.
        gaps_regularizer: prior or Keras regularizer of the raw gaps r, real numbers. A
            `keras_priors.NormalPrior(0.5, 1.0)` puts most gaps between 0.3 and 2.
            Defaults to None; `keras_priors.set_priors` finds it.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        (n, ..., 1), the scores.

    Output shape:
        (n, ..., c - 1), as `Ordinal` takes them.

    Raises:
        TypeError: `num_classes` is no integer.
        ValueError: fewer than 2 classes, or inputs whose last axis is not of size 1.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.layers.Cutpoints(4, gaps_regularizer=kp.NormalPrior(0.5, 1.0))
        >>> outputs = layer(keras.ops.zeros((2, 1)))
        >>> tuple(outputs.shape)
        (2, 3)
        >>> p = kp.likelihoods.Ordinal(4).probabilities(outputs)     # cutpoints 0, 1 and 2
        >>> [round(float(each), 3) for each in keras.ops.convert_to_numpy(p)[0]]
        [0.5, 0.231, 0.15, 0.119]

    References:
        - McCullagh, 1980, Regression models for ordinal data, Journal of the Royal Statistical
          Society B 42(2), equation 2.2.
    """

    def __init__(
        self, num_classes: int, gaps_regularizer: Any = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = whole_number("Cutpoints", "num_classes", num_classes)
        if self.num_classes < 2:
            raise ValueError(
                f"`num_classes` of Cutpoints must be at least 2. Received: {num_classes}."
            )
        self.gaps_regularizer = keras.regularizers.get(gaps_regularizer)
        # Of softplus 1: gaps as wide as the slope of the link. By the name of Keras' layers, so
        # that members of an ensemble begin there too.
        self.gaps_initializer = keras.initializers.Constant(math.log(math.e - 1.0))
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != 1:
            raise ValueError(
                "Cutpoints takes one score for each observation, so the last axis of its inputs "
                f"must have the size 1. Received: inputs of shape {tuple(input_shape)}. Put "
                "keras.layers.Dense(1) before it."
            )
        self.gaps = self.add_weight(
            name="gaps",
            shape=(self.num_classes - 2,),
            initializer=self.gaps_initializer,
            regularizer=self.gaps_regularizer,
        )

    def call(self, inputs: Any) -> Any:
        gaps = ops.cast(ops.convert_to_tensor(self.gaps), inputs.dtype)
        shape = (*ops.shape(inputs)[:-1], self.num_classes - 2)
        return ops.concatenate([inputs, ops.broadcast_to(gaps, shape)], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.num_classes - 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "gaps_regularizer": keras.regularizers.serialize(self.gaps_regularizer)
            if self.gaps_regularizer is not None
            else None,
        }
