"""An unknown observation noise, as a layer."""

from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_priors.layers.resolve_prior import resolve_prior
from keras_priors.priors.half_cauchy_prior import HalfCauchyPrior
from keras_priors.priors.half_normal_prior import HalfNormalPrior
from keras_priors.priors.half_student_t_prior import HalfStudentTPrior
from keras_priors.utils.export import export
from keras_priors.utils.layer_options import LayerOptions
from keras_priors.utils.parameters import positive

# What `HeteroscedasticNormal` adds by default; below, its scale cannot be.
_MIN_SCALE = 1e-6


@export()
class NoiseScale(keras.layers.Layer):
    """The standard deviation of the noise as a weight with a prior, beside the means.

        outputs = [mean, rho],    1e-6 + softplus(rho) = scale

    After the last layer of a model and with the loss `keras_priors.likelihoods.
    HeteroscedasticNormal()` it makes y ~ Normal(f(x), scale) with `scale` unknown: `fit` finds its
    MAP, and every inference its posterior. The weight is the standard deviation itself, in the
    units of the targets, and its prior is one on positive numbers. With `StudentT(df, scale=None)`,
    `Laplace(scale=None)`, `LogNormal(scale=None)` and `AsymmetricLaplace(quantile, scale=None)` it
    is their scale, with `NegativeBinomial(total_count=None)` and `Gamma(concentration=None)` the
    dispersion, behind log means, and with `Weibull(concentration=None)` and
    `VonMises(concentration=None)` the concentration.

    Args:
        prior: prior on positive numbers. For a flat one write `UniformPrior(0, high)`. Defaults
            to `HalfCauchyPrior(2.5)`.
        initial_scale: float, greater than 0, the scale to start with. Defaults to None: 1, or the
            scale of a half-Cauchy, half-normal or half-Student prior where that is above 1, as in
            the units of large targets. For targets far below 1 give their standard deviation.
        per_output: bool. Whether each output has a scale of its own; else they share one. Defaults
            to False.
        scale_regularizer: the prior by its other name, under which `keras_priors.set_priors` finds
            it. Defaults to None.
        scale_constraint: Keras constraint on the scale. Defaults to None: `prior.constraint()`,
            which keeps it in the support.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        (n, ..., d), the means.

    Output shape:
        (n, ..., 2 d), as `HeteroscedasticNormal` takes them.

    Raises:
        TypeError: `prior` is no prior.
        ValueError: a prior on negative numbers too, two priors, or `initial_scale` outside of its
            support.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([
        ...     keras.Input((3,)),
        ...     keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 10)),
        ...     kp.layers.NoiseScale(prior=kp.HalfCauchyPrior(2.5), initial_scale=0.5),
        ... ])
        >>> likelihood = kp.likelihoods.HeteroscedasticNormal()
        >>> outputs = model.predict(keras.ops.ones((2, 3)), verbose=0)
        >>> keras.ops.convert_to_numpy(likelihood.variance(outputs)).round(3).tolist()
        [[0.25], [0.25]]

    References:
        - Gelman, 2006, Prior distributions for variance parameters in hierarchical models,
          section 3.2 (the half-Cauchy).
    """

    def __init__(
        self,
        prior: Any = None,
        initial_scale: float | None = None,
        per_output: bool = False,
        scale_regularizer: Any = None,
        scale_constraint: Any = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.scale_regularizer = resolve_prior(
            "NoiseScale", "scale", prior, scale_regularizer, lambda: HalfCauchyPrior(2.5)
        )
        if initial_scale is None:
            initial_scale = _scale_of(scale_regularizer if prior is None else prior)
        self.initial_scale = positive("NoiseScale", "initial_scale", initial_scale)
        # By the name of Keras' layers, so that members of an ensemble begin there too.
        self.scale_initializer = keras.initializers.Constant(self.initial_scale)
        self.per_output = bool(per_output)
        # As a regularizer it may come from `set_priors` or a file, which know what they do.
        given = scale_regularizer is None
        low, high = self.scale_regularizer.support
        if given and not (_every(low, lambda x: x >= 0) and _every(high, lambda x: x > _MIN_SCALE)):
            raise ValueError(
                "The prior of a scale must be one on positive numbers. Received: "
                f"prior={self.scale_regularizer!r}. Use HalfCauchyPrior, HalfNormalPrior, "
                "ExponentialPrior, GammaPrior, LogNormalPrior or UniformPrior(0, high)."
            )
        inside = _every(low, lambda x: x < self.initial_scale) and _every(
            high, lambda x: x > self.initial_scale
        )
        if given and not inside:
            raise ValueError(
                "`initial_scale` of NoiseScale must lie inside the support of its prior. Received: "
                f"initial_scale={self.initial_scale} and prior={self.scale_regularizer!r}."
            )
        self.scale_constraint = (
            self.scale_regularizer.constraint()
            if scale_constraint is None
            else keras.constraints.get(scale_constraint)
        )
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(
            name="scale",
            shape=(input_shape[-1] if self.per_output else 1,),
            initializer=self.scale_initializer,
            regularizer=self.scale_regularizer,
            constraint=self.scale_constraint,
            # In half precision small scales would be lost.
            dtype="float64" if self.variable_dtype == "float64" else "float32",
            autocast=False,
        )

    def call(self, inputs: Any) -> Any:
        scale = ops.convert_to_tensor(self.scale)
        above = scale - _MIN_SCALE
        # Below the least scale of the likelihood there is nothing that gives it.
        # Not `ops.full_like`, which waits for the device on PyTorch.
        above = ops.where(above < _MIN_SCALE, ops.cast(_MIN_SCALE, above.dtype), above)
        rho = above + ops.log(-ops.expm1(-above))  # the inverse of softplus
        rho = ops.broadcast_to(ops.cast(rho, inputs.dtype), ops.shape(inputs))
        return ops.concatenate([inputs, rho], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_scale": self.initial_scale,
            "per_output": self.per_output,
            "scale_regularizer": keras.saving.serialize_keras_object(self.scale_regularizer),
            "scale_constraint": keras.saving.serialize_keras_object(self.scale_constraint),
        }


def _scale_of(prior: Any) -> float:
    """Where the noise starts: from 1, beside targets of 100, it would take thousands of steps.

    Not below 1, with a prior that is: a start below the residuals has steep slopes, which Adam
    remembers for as many steps.
    """
    if isinstance(prior, HalfCauchyPrior | HalfNormalPrior | HalfStudentTPrior):
        return max(1.0, float(np.median(prior.scale)))
    return 1.0


def _every(bound: Any, holds: Any) -> bool:
    return bool(np.all(holds(np.asarray(bound))))
