"""A scope in which every variational layer uses one draw of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar, Token
from typing import Any

from keras_priors import backend
from keras_priors.posteriors.posterior import Posterior
from keras_priors.utils.export import share

_active: ContextVar[WeightDraws | None] = ContextVar("keras_priors_weight_draws", default=None)


@share
class WeightDraws:
    """Within the scope, each posterior is drawn once from `seed`, whatever `training` says.

    This is how the posterior predictive asks an unchanged model for the output at one draw: the
    same weights for all rows, for every call of a shared layer, and with Dropout and batch
    normalization in inference mode. It is used while a function is traced, so it may hold tracers
    and must not outlive the trace.
    """

    def __init__(
        self, seed: Any, posteriors: Sequence[Posterior] = (), weights: Sequence[Any] = ()
    ) -> None:
        self._seed = seed
        self._drawn = {id(q): w for q, w in zip(posteriors, weights, strict=True)}
        self._token: Token[WeightDraws | None] | None = None

    def draw(self, posterior: Posterior) -> Any:
        """The one draw of this posterior within the scope."""
        key = id(posterior)
        if key not in self._drawn:
            # Numbered by first use: the same order in every trace of the same model.
            seed = backend.fold_in(self._seed, 1 + len(self._drawn))
            self._drawn[key] = posterior.sample(seed)
        return self._drawn[key]

    def __enter__(self) -> WeightDraws:
        self._token = _active.set(self)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._token is not None:
            _active.reset(self._token)
        self._drawn.clear()


def active_draws() -> WeightDraws | None:
    """The innermost scope, or None outside of any."""
    return _active.get()
