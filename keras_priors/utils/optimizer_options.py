"""What every Keras optimizer takes beside its own arguments, for type checkers."""

from typing import TypedDict


class OptimizerOptions(TypedDict, total=False):
    """The keyword arguments of `keras.optimizers.Optimizer`, less the rate.

    Weight decay is not among them: it is what a prior is for.
    """

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None
