"""Why a loss is no likelihood, and what to write instead."""

from typing import Any

import keras

_MODULE = "keras_priors.likelihoods"
_SQUARES = (
    "it is a mean over outputs, and does not say how large the noise is. On d outputs it is "
    "2 sigma^2 / d times the negative log likelihood of Normal(scale=sigma), so that a prior "
    f"beside it has another weight. Write {_MODULE}.Normal(scale=...) with the standard "
    f"deviation of the noise, or {_MODULE}.HeteroscedasticNormal() to learn it."
)
_ABSOLUTE = (
    "it is a mean over outputs, and does not say how large the noise is. On d outputs it is "
    "scale / d times the negative log likelihood of Laplace(scale), so that a prior beside it "
    f"has another weight. Write {_MODULE}.Laplace(scale=...)."
)
_ROBUST = (
    "it is a mean over outputs, and does not say how large the noise is. For noise with heavy "
    f"tails write {_MODULE}.StudentT(df=..., scale=...) or {_MODULE}.Laplace(scale=...)."
)
_RELATIVE = (
    "it weighs errors by the target, and is the log density of no noise. Model the logarithm of "
    f"the target with {_MODULE}.Normal(scale=...)."
)
_LABELS = (
    "it is not the log density of a label. Write "
    f"{_MODULE}.Bernoulli() for two classes or several labels, {_MODULE}.Categorical() for one "
    "of several classes."
)
_OTHER = (
    "nothing says that it is the log density of the targets, in nats. Write one of "
    f"{_MODULE} (Normal, StudentT, Bernoulli, Categorical, Poisson ...), or a subclass of "
    f"{_MODULE}.Likelihood."
)

_REASONS: dict[str, str] = {
    "mean_squared_error": _SQUARES,
    "mean_absolute_error": _ABSOLUTE,
    "huber": _ROBUST,
    "log_cosh": _ROBUST,
    "mean_absolute_percentage_error": _RELATIVE,
    "mean_squared_logarithmic_error": _RELATIVE,
    "hinge": _LABELS,
    "squared_hinge": _LABELS,
    "categorical_hinge": _LABELS,
    "binary_focal_crossentropy": _LABELS,
    "categorical_focal_crossentropy": _LABELS,
}
_CLASSES: dict[type, str] = {
    keras.losses.MeanSquaredError: "mean_squared_error",
    keras.losses.MeanAbsoluteError: "mean_absolute_error",
    keras.losses.Huber: "huber",
    keras.losses.LogCosh: "log_cosh",
    keras.losses.MeanAbsolutePercentageError: "mean_absolute_percentage_error",
    keras.losses.MeanSquaredLogarithmicError: "mean_squared_logarithmic_error",
    keras.losses.Hinge: "hinge",
    keras.losses.SquaredHinge: "squared_hinge",
    keras.losses.CategoricalHinge: "categorical_hinge",
    keras.losses.BinaryFocalCrossentropy: "binary_focal_crossentropy",
    keras.losses.CategoricalFocalCrossentropy: "categorical_focal_crossentropy",
}


def refuse(loss: Any) -> ValueError:
    """The error for a loss that is no likelihood.

    Args:
        loss: an instance of a Keras loss, or a function.
    """
    name = _CLASSES.get(type(loss)) or str(getattr(loss, "__name__", type(loss).__name__))
    stock = isinstance(loss, keras.losses.Loss) or loss is getattr(keras.losses, name, None)
    reason = _REASONS.get(name, _OTHER) if stock else _OTHER
    return ValueError(f'"{name}" is not a likelihood: {reason}')


def refuse_reduction(name: str, reduction: Any) -> None:
    """Refuse reductions under which a loss is no mean over observations.

    Args:
        name: the loss, for the message.
        reduction: its `reduction`.
    """
    if reduction == "sum":
        raise ValueError(
            f'A likelihood must not be reduced by "sum": the prior\'s strength would depend on the '
            f'batch size. Received: {name} with reduction="sum". Leave it out: the loss is then '
            "the mean over observations, and `num_data` weighs the prior."
        )
    if reduction is None or reduction == "none":
        # `fit` fails on JAX and PyTorch, where a loss is a scalar; TensorFlow sums it silently.
        raise ValueError(
            "A likelihood must be reduced to one number: `fit` fails on one for each observation, "
            "or takes their sum, so that the prior's strength would depend on the batch size. "
            f"Received: {name} with reduction={reduction!r}. Leave it out; for one value for each "
            "observation write `-likelihood.log_prob(y, outputs)`."
        )
