"""The width-aware prior."""

import math
from typing import Any

from keras_priors.priors.laplace_prior import LaplacePrior
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.priors.student_t_prior import StudentTPrior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive

_MODES = ("fan_in", "fan_out", "fan_avg")
_FAMILIES = ("normal", "laplace", "student_t")


@export("keras_priors")
class VarianceScalingPrior(Prior):
    """Prior with mean zero whose standard deviation follows the width of the layer.

        stddev = sqrt(scale / fan)

    with Keras' vocabulary and fans, those of `keras.initializers.VarianceScaling`, so that the
    prior of a layer's output does not grow with its number of inputs. A kernel of shape
    (..., inputs, outputs) has fan_in = inputs and fan_out = outputs, each times the size of the
    receptive field (the leading axes, of a convolution); for a bias of length n both are n.

    Args:
        scale: float, greater than 0, the variance times the fan. Defaults to 1. 2 with
            `mode="fan_in"` is the variance of `he_normal`, 1 with `"fan_avg"` that of
            `glorot_normal`.
        mode: "fan_in" (the default), "fan_out" or "fan_avg" (their mean).
        family: "normal" (the default), "laplace" or "student_t". The standard deviation is the
            same in all three.
        df: float, greater than 2 so that the variance is finite, the degrees of freedom of
            "student_t". Defaults to None, which is 3.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: `scale` or `df` is not a number.
        ValueError: `scale` is not positive, `mode` or `family` is unknown, `df` is not above 2 or
            given for another family.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.VarianceScalingPrior(scale=2.0, mode="fan_in")
        >>> round(prior.stddev((50, 10)), 4)
        0.2
        >>> round(float(prior.log_prob(np.zeros((50, 10), "float32"))), 2)
        345.25

    References:
        - Neal, 1996, Bayesian learning for neural networks, section 2.1.
        - He et al., 2015, Delving deep into rectifiers, equation 10, arXiv:1502.01852.
    """

    _parameters = ("scale", "mode", "family", "df")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        family: str = "normal",
        df: float | None = None,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        owner = "VarianceScalingPrior"
        self.scale = _number(owner, "scale", scale)
        _check_choice(owner, "mode", mode, _MODES)
        _check_choice(owner, "family", family, _FAMILIES)
        if df is not None and family != "student_t":
            raise ValueError(
                f'`df` of {owner} belongs to family="student_t". '
                f"Received: df={df!r} and family={family!r}."
            )
        self.mode = mode
        self.family = family
        self.df = df if df is None else _number(owner, "df", df)
        if self.df is not None and self.df <= 2.0:
            raise ValueError(
                f"`df` of {owner} must be greater than 2: below, the variance is infinite. "
                f"Received: df={df!r}. Use StudentTPrior, which takes a scale."
            )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Nothing to refuse: every shape has a fan."""

    def stddev(self, shape: Any) -> float:
        """Standard deviation of each element of a weight of `shape`."""
        fan_in, fan_out = _fans(tuple(shape))
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": 0.5 * (fan_in + fan_out)}
        return math.sqrt(self.scale / max(1.0, fan[self.mode]))

    def _prior_for(self, shape: Any) -> Prior:
        stddev = self.stddev(shape)
        if self.family == "laplace":
            return LaplacePrior(0.0, stddev / math.sqrt(2.0))
        if self.family == "student_t":
            df = 3.0 if self.df is None else self.df
            return StudentTPrior(df, 0.0, stddev * math.sqrt((df - 2.0) / df))
        return NormalPrior(0.0, stddev)

    def log_prob(self, w: Any) -> Any:
        """Log density of the whole tensor in nats: a scalar."""
        w = self._as_weight(w)
        return self._prior_for(w.shape).log_prob(w)

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """E[log p(w)] in nats under independent normals; None for the Student t family."""
        return self._prior_for(mean.shape).expected_log_prob(mean, variance)

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        return self._prior_for(shape)._distribution(shape, dtype, broadcast)


def _number(owner: str, name: str, value: Any) -> float:
    number = positive(owner, name, value)
    if not isinstance(number, float):
        raise TypeError(
            f"`{name}` of {owner} must be one number: the width already sets the standard "
            f"deviation of each weight. Received: {name}={value!r}."
        )
    return number


def _check_choice(owner: str, name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"`{name}` of {owner} must be one of {', '.join(map(repr, choices))}. "
            f"Received: {name}={value!r}."
        )


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    # As `keras.initializers.VarianceScaling` computes them; the function is not public in Keras.
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field
