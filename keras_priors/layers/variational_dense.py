"""The variational dense layer."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_priors.layers.constructor_arguments import bind_arguments
from keras_priors.layers.kernel_layer import KernelLayer, LinearMap
from keras_priors.layers.linear_maps import DenseOp
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors")
class VariationalDense(KernelLayer, keras.layers.Dense):
    """`keras.layers.Dense` with a distribution over its weights (Bayes by Backprop).

    With a posterior q over kernel and bias, priors p, and a loss that is the mean over N
    observations of -log p(y | x, w), plain `fit` minimizes the negative evidence lower bound
    divided by N,

        loss = mean_i E_q[-log p(y_i | x_i, w)] + KL(q‖p) / num_data      (nats per observation)

    `training=True` draws the weights; `training=False` (`predict`, `evaluate`) uses their
    posterior means. `keras_priors.predict(model, x)` gives the posterior predictive. The KL is
    exact where it is known, and else an average over `kl_samples` draws.

    Args:
        units: integer, number of outputs.
        kernel_prior: the prior of the kernel. Defaults to `NormalPrior(0, 1)`: of those measured
            it held back no net of width 50 to 2048.
        kernel_posterior: the posterior family, an instance of `keras_priors.posteriors` or one of
            the names "mean_field", "delta", "low_rank", "full", "matrix_normal", "log_normal".
        bias_posterior: likewise; "delta" makes a point estimate with its prior as a penalty.
        estimator: "reparameterization" (one draw for all rows), "local_reparameterization" or
            "flipout". Defaults to the first: fits end alike, it costs least, and every family
            has it; the others have gradients of lower variance. With inputs `(batch, T, dim)`
            flipout has one draw for each element of the batch, and local reparameterization is an
            approximation over positions: an output pooled over T of them has about 1/T of the
            right variance.
        num_data: integer or None, number of observations whose mean is the loss; else taken
            from the prior. Defaults to None: see `keras_priors.set_num_data`.

    Input shape:
        `(batch, ..., input_dim)`.

    Output shape:
        `(batch, ..., units)`.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential(
        ...     [keras.Input((4,)), kp.VariationalDense(3, num_data=150, seed=0)])
        >>> x = np.ones((2, 4), "float32")
        >>> draws = [keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2)]
        >>> bool(np.allclose(*draws))
        False
        >>> means = [keras.ops.convert_to_numpy(model(x)) for _ in range(2)]
        >>> bool(np.allclose(*means))
        True
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        arguments = bind_arguments(type(self), args, kwargs)
        arguments["units"] = whole_number(type(self).__name__, "units", arguments["units"])
        super().__init__(**arguments)

    def linear_maps(self) -> Sequence[LinearMap]:
        """One product of matrices."""
        return [(DenseOp(), self.kernel_posterior)]
