"""PyTorch: Keras' optimizers, kept from changing what they are given."""

from typing import Any

import torch


def stateless(optimizer: Any) -> Any:
    return _Pure(optimizer)


class _Pure:
    """An optimizer whose `stateless_apply` changes no tensor in place, as Keras' does here."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self.build = optimizer.build

    @property
    def variables(self) -> list[Any]:
        found: list[Any] = self._optimizer.variables
        return found

    def stateless_apply(self, state: Any, gradients: Any, values: Any) -> Any:
        state, values = ([torch.clone(v) for v in part] for part in (state, values))
        return self._optimizer.stateless_apply(state, gradients, values)
