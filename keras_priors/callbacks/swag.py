"""SWAG from plain `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors.callbacks.weight_recorder import WeightRecorder
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.inference.sgmcmc.check_draws import check_draws
from keras_priors.inference.sgmcmc.swag_moments import SWAGMoments, checked_rank
from keras_priors.inference.sgmcmc.swag_posterior import SWAGPosterior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
class SWAG(WeightRecorder):
    """SWAG in plain `fit`: a normal fitted to the weights at the ends of epochs.

        mean = mean of w_t,   covariance = diag(var w_t) / 2 + D^T D / (2 (K - 1))

    over the epochs t = start_epoch, start_epoch + every, ..., as
    `keras_priors.inference.SWAG`, which says what this spread means. Here training is that of
    `fit`, with its optimizer, Dropout and moving statistics; the latter have, in all draws, their
    mean over the snapshots. Let the learning rate be constant, and so large that the weights move.

    Epochs are numbered from 0 as in `fit`, which may be called again with the same callback. After
    Ctrl-C, `posterior` gives what there is.

    Args:
        start_epoch: integer of at least 0, the first epoch whose end is a snapshot.
        rank: integer K, the last deviations that are kept; 0 for a diagonal covariance. At least 2
            else. Defaults to 20.
        every: integer, epochs from one snapshot to the next. Defaults to 1.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; at `fit`, weights that are
            infinite, NaN or on the edge of the support of their prior; in `posterior`, fewer than
            two snapshots, or draws that explain x and y absurdly worse than the weights do.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0, 1, num_data=8)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=prior, name="line")])
        >>> model.compile(optimizer=keras.optimizers.SGD(0.1), loss=kp.likelihoods.Normal(1.0))
        >>> swag = kp.callbacks.SWAG(start_epoch=2, rank=2)
        >>> x, y = np.ones((8, 1), "float32"), np.ones((8, 1), "float32")
        >>> history = model.fit(x, y, batch_size=4, epochs=6, callbacks=[swag], verbose=0)
        >>> swag.posterior(x, y).draws(5, seed=0)["line/kernel"].shape
        (5, 1, 1)

    References:
        - Maddox et al., 2019, A simple baseline for Bayesian uncertainty in deep learning,
          arXiv:1902.02476, section 3 and algorithm 1.
    """

    def __init__(self, start_epoch: int, rank: int = 20, every: int = 1) -> None:
        super().__init__()
        self.start_epoch = whole_number("SWAG", "start_epoch", start_epoch) if start_epoch else 0
        self.rank = checked_rank("SWAG", rank)
        self.every = whole_number("SWAG", "every", every)
        self._moments = SWAGMoments(self.rank)
        self._means: list[Any] = []

    @property
    def num_snapshots(self) -> int:
        """How many snapshots there are."""
        return self._moments.count

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take a snapshot, where it is time."""
        if epoch < self.start_epoch or (epoch - self.start_epoch) % self.every:
            return
        values, states = self._read(f"at the end of epoch {epoch}")
        assert self._positions is not None
        self._moments.add(ops.convert_to_numpy(self._positions.unconstrain(values)))
        if self._moments.count == 1:
            self._means = [np.zeros_like(v, "float64") for v in states]
        self._means = [
            mean + (state - mean) / self._moments.count
            for mean, state in zip(self._means, states, strict=True)
        ]

    def posterior(
        self, x: Any = None, y: Any = None, likelihood: Any = None, *, sample_weight: Any = None
    ) -> SWAGPosterior:
        """The normal of the snapshots so far, as `keras_priors.inference.SWAG` gives it.

        Args:
            x: the inputs of `fit`, for `to_arviz` and to check the draws. Defaults to None:
                without.
            y: the targets, with x.
            likelihood: a likelihood, or a structure of them. Defaults to None: the loss that the
                model was compiled with.
            sample_weight: array (N,), the weights of `fit`, or None.

        Returns:
            A `keras_priors.inference.SWAGPosterior`.
        """
        if self._moments.count < 2:
            raise ValueError(
                "SWAG has a posterior once it has two snapshots, at the ends of the epochs "
                f"{self.start_epoch} and {self.start_epoch + self.every} at the earliest. "
                f"Received: {self._moments.count}. Give it to `fit(callbacks=[...])`, train "
                "longer, or lower `start_epoch`."
            )
        model, structure, observations = self._context(x, y, likelihood, sample_weight)
        states = [mean.astype("float32") for mean in self._means]
        posterior = SWAGPosterior(
            model,
            structure,
            *self._moments.normal(),
            states=dict(zip(self._statistics, states, strict=True)),
            observations=observations,
        )
        posterior.seconds = self._seconds
        if observations is not None:
            advice = "Train with a lower learning rate (by 10) from `start_epoch` on."
            check_draws(posterior, Likelihoods(model, structure), observations, advice)
        return posterior
