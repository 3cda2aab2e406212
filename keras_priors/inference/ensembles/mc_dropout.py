"""Monte-Carlo dropout."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_priors.functional.clone import is_cloneable
from keras_priors.inference.ensembles.dropout_on import PLAIN, dropout_on, drops_within
from keras_priors.inference.ensembles.mc_dropout_posterior import MCDropoutPosterior
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.method import Method
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import all_layers
from keras_priors.utils.parameters import number_between


@export("keras_priors.inference")
class MCDropout(Method):
    """Monte-Carlo dropout: the weights as they are, and masks of the Dropout layers as draws.

        p(y | x, data) = 1/S sum_s p(y | f(x; w, m_s)),  m_s ~ Bernoulli(1 - rate) / (1 - rate)

    `fit` trains nothing: train the model by Keras' `fit`, with its Dropout layers, first. Masks are
    drawn in prediction; everything else runs as in inference, so that batch normalization uses its
    moving statistics. One draw is one mask for each layer, the same for all rows (time steps have
    masks of their own, unless `noise_shape` says otherwise): a function, as a draw of weights is.

    Dropout, SpatialDropout1D to 3D and GaussianDropout are drawn. A model in which something else
    drops (recurrent layers and attention with `dropout`, AlphaDropout, subclasses) is refused.

    Args:
        rate: float in (0, 1), in place of the rates of the layers. Defaults to None: their own.

    Raises:
        ValueError: `rate` out of range; in `fit`, a model without Dropout, one with dropout within
            other layers, or one that is neither Functional nor Sequential.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5),
        ...     keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), use_bias=False)])
        >>> x = np.ones((8, 4), "float32")
        >>> posterior = kp.inference.MCDropout().fit(
        ...     model, x, np.ones((8, 1)), kp.likelihoods.Normal(1.0))
        >>> posterior.predict(x, num_samples=10, seed=0).draws.shape
        (10, 8, 1)

    References:
        - Gal and Ghahramani, 2016, Dropout as a Bayesian approximation, arXiv:1506.02142,
          equation 6.
    """

    tempers = False

    _parameters = ("rate",)

    def __init__(self, rate: float | None = None) -> None:
        self.rate = None if rate is None else number_between("MCDropout", "rate", rate, 0.0, 1.0)

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> MCDropoutPosterior:
        model = log_posterior.model
        layers = all_layers(model)
        within = [layer.name for layer in layers if drops_within(layer)]
        if within:
            raise ValueError(
                f"MCDropout draws the masks of {', '.join(c.__name__ for c in PLAIN)} and "
                f"GaussianDropout. Received: {model.name}, in which {within} drop within "
                "themselves or in another way. Put a Dropout layer before or after them instead."
            )
        if not any(dropout_on(layer, 0.5) is not None for layer in layers):
            raise ValueError(
                f"MCDropout needs a model with Dropout layers. Received: {model.name}, in which "
                "none was found. Add keras.layers.Dropout and train it, or use another method."
            )
        if not is_cloneable(model):
            raise ValueError(
                "MCDropout puts other layers in the place of Dropout, for which Keras must know "
                f"the graph of the model. Received: {model.name} of type {type(model).__name__}. "
                "Write it as a Functional or Sequential model."
            )
        log_posterior.positions.check_finite(log_posterior.positions.current())
        return MCDropoutPosterior(
            model,
            log_posterior.likelihoods.structure,
            [ops.convert_to_numpy(v) for v in log_posterior.positions.variables],
            rate=self.rate,
            observations=log_posterior.observations,
        )
