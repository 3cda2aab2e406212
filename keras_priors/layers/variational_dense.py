"""The variational dense layer."""

from typing import Any

import keras
from keras import ops

from keras_priors._parameters import whole_number
from keras_priors._registration import register
from keras_priors.layers._dense_op import DenseOp
from keras_priors.layers._estimators import ESTIMATORS, check_estimator, check_family
from keras_priors.layers._resolve_prior import resolve_prior
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.posteriors.get import get as get_posterior
from keras_priors.priors.normal_prior import NormalPrior


@register
class VariationalDense(VariationalLayer):
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
        activation: as in `Dense`.
        use_bias: boolean, as in `Dense`. Defaults to True.
        kernel_initializer: initializer of the posterior mean. Defaults to "glorot_uniform".
        bias_initializer: initializer of the posterior mean. Defaults to "zeros".
        kernel_regularizer: a prior, as one writes for `Dense`; the same as `kernel_prior`.
        bias_regularizer: a prior; the same as `bias_prior`.
        activity_regularizer: as in `Dense`.
        kernel_constraint: constraint on a point estimate (`kernel_posterior="delta"`).
        bias_constraint: constraint on a point estimate (`bias_posterior="delta"`).
        kernel_prior: the prior of the kernel. Defaults to `NormalPrior(0, 1)`.
        bias_prior: the prior of the bias. Defaults to `NormalPrior(0, 1)`.
        kernel_posterior: the posterior family, an instance of `keras_priors.posteriors` or
            one of the names "mean_field" (the default), "delta", "low_rank", "full",
            "matrix_normal", "log_normal".
        bias_posterior: likewise; "delta" makes a point estimate with its prior as a penalty.
        estimator: "reparameterization" (one draw for all rows), "local_reparameterization" or
            "flipout".
        num_data: integer or None, number of observations whose mean is the loss; else taken
            from the prior. Defaults to None: see `keras_priors.set_num_data`.
        kl_samples: integer, draws for a KL without closed form. Defaults to 1.
        seed: integer or None, seed of the draws.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., input_dim)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: a regularizer that is not a prior, a prior whose support the posterior
            leaves, an estimator that the family does not have.

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

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424.
        - Kingma, Salimans and Welling, 2015, Variational dropout and the local
          reparameterization trick, arXiv:1506.02557.
        - Wen et al., 2018, Flipout, arXiv:1803.04386.
    """

    def __init__(
        self,
        units: int,
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
        kl_samples: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activity_regularizer=activity_regularizer,
            num_data=num_data,
            kl_samples=kl_samples,
            seed=seed,
            **kwargs,
        )
        owner = type(self).__name__
        self.units = whole_number(owner, "units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_prior = resolve_prior(
            owner, "kernel", kernel_prior, kernel_regularizer, NormalPrior
        )
        self.bias_prior = resolve_prior(owner, "bias", bias_prior, bias_regularizer, NormalPrior)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.kernel_posterior = get_posterior(kernel_posterior)
        self.bias_posterior = get_posterior(bias_posterior)
        self.estimator = check_estimator(owner, estimator)
        check_family(owner, self.estimator, self.kernel_posterior)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True
        self._op = DenseOp()

    def build(self, input_shape: Any) -> None:
        """Create the posteriors of kernel and bias."""
        input_dim = input_shape[-1]
        if input_dim is None:
            raise ValueError(
                f"The last axis of the input of {self.name} must be known when it is built. "
                f"Received: input shape {input_shape}."
            )
        self.add_kl_weight()
        self.kernel_posterior = self.add_posterior(
            "kernel",
            (input_dim, self.units),
            initializer=self.kernel_initializer,
            posterior=self.kernel_posterior,
            prior=self.kernel_prior,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias_posterior = self.add_posterior(
                "bias",
                (self.units,),
                initializer=self.bias_initializer,
                posterior=self.bias_posterior,
                prior=self.bias_prior,
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: input_dim})
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """activation(inputs kernel + bias), with drawn weights in training."""
        bias = self.bias_posterior if self.use_bias else None
        # Keras casts floats alone; weights cast to an integer dtype would be lost.
        inputs = ops.cast(inputs, self.compute_dtype)
        if self.draws(training):
            seed = self.seed_generator.next()
            estimate = ESTIMATORS[self.estimator]
            y = estimate(self._op, inputs, self.kernel_posterior, bias, seed)
        else:
            y = self._op(inputs, self.weight(self.kernel_posterior))
            y = y if bias is None else ops.add(y, self.weight(bias))
        return y if self.activation is None else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """`(batch, ..., units)`."""
        return (*tuple(input_shape)[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "kernel_prior": serialize(self.kernel_prior),
            "bias_prior": serialize(self.bias_prior),
            "kernel_posterior": serialize(self.kernel_posterior),
            "bias_posterior": serialize(self.bias_posterior),
            "estimator": self.estimator,
        }
