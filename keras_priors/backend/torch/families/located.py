"""What the distributions share that have a location."""

from typing import Any, Self

import torch
from torch.distributions import Distribution


class Located(Distribution):
    """A distribution with `loc`, its mean and its mode unless it says otherwise. Abstract.

    `arg_constraints` names what the constructor takes. Each of these is an attribute with all the
    axes of the batch first.
    """

    has_rsample = True

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same distribution in a larger batch."""
        rank = len(self.batch_shape)
        tensors = {name: getattr(self, name) for name in self.arg_constraints}
        return type(self)(
            **{
                name: tensor.expand(torch.Size((*batch_shape, *tensor.shape[rank:])))
                for name, tensor in tensors.items()
            }
        )

    @property
    def mean(self) -> Any:
        """The location."""
        return self.loc

    @property
    def mode(self) -> Any:
        """The location."""
        return self.loc
