"""Stochastic weight averaging, Gaussian."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.check_known_scales import check_known_scales
from keras_priors.inference.check_noise import check_noise
from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import not_finite
from keras_priors.inference.method import Method
from keras_priors.inference.sgmcmc.check_draws import check_draws
from keras_priors.inference.sgmcmc.stable_rate import largest_curvature, largest_stable
from keras_priors.inference.sgmcmc.step_plan import rows_of
from keras_priors.inference.sgmcmc.stochastic_gradient import descent
from keras_priors.inference.sgmcmc.swag_moments import SWAGMoments, checked_rank
from keras_priors.inference.sgmcmc.swag_posterior import SWAGPosterior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between, whole_number
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

# The learning rate where the loss is not stiff, and the part of the largest stable one where it is:
# at a quarter of it the batches of a stiff regression already throw the weights about.
_RATE, _FRACTION = 0.01, 0.1


@export("keras_priors.inference")
class SWAG(Method):
    """SWAG: a normal fitted to the weights that SGD with a constant learning rate passes.

        mean = mean of w_t,   covariance = diag(var w_t) / 2 + D^T D / (2 (K - 1))

    over `num_snapshots` moments of a trajectory that begins, after `burnin_epochs`, where the
    model is: train it by `fit` first. D holds the last K = `rank` deviations from the running
    mean. SGD runs on the negative log posterior per observation, in the unbounded vector z of all
    weights (see `LogPosterior`), with `training=False`: no Dropout, and moving statistics stay as
    the model has them, which are near those of every draw where the model was trained; they are not
    estimated anew for each draw, as the paper does at the price of one pass over the data each.
    To have them follow, use `keras_priors.callbacks.SWAG` in plain `fit`. After Ctrl-C the
    posterior has the snapshots that there are.

    The spread is that of SGD with a constant learning rate, not of the posterior. Near a mode where
    the mean loss has the curvature h in some direction, and rows scatter as the model says, so that
    their gradients have the variance h, weights that take batches of n of the N rows have

        SWAG       rate / (2 n (1 - momentum))      whatever h, N and prior are
        posterior  1 / (N h)

    (Mandt et al., section 4). At rate = 2 n (1 - momentum) / (N h) they agree where the curvature
    is h; SWAG is too narrow in flatter directions, and too wide in steeper ones. That holds for
    batches that are independent: an epoch shows every row once, so that its noise cancels to the
    part that SGD has forgotten, and with the rate above the ends of epochs have a quarter of that
    variance. `epochs_between` that is no integer takes snapshots within epochs. For widths that are
    the posterior's use `SGLD`, `SGHMC` or `Laplace`; what SWAG has is cheap, and often predicts
    better than one point.

    Args:
        learning_rate: float above 0, of SGD on the mean loss. Defaults to None: 0.01, and where
            the loss is stiff a tenth of the largest stable rate, 2 (1 + momentum) / h with the
            largest curvature h of the mean loss at the start, by 20 power iterations in up to 1024
            rows. A rate that is given is never changed; above the largest stable one it warns.
        momentum: float in [0, 1). Defaults to 0.9.
        batch_size: integer. Defaults to 128.
        burnin_epochs: integer of at least 0, epochs before the first snapshot. Defaults to 10.
        num_snapshots: integer of at least 2. Defaults to 30.
        epochs_between: float above 0, epochs from one snapshot to the next. Defaults to 1, as
            in the paper. Of few rows that is few steps, and SWAG little more than the point at
            which it begins. With 100 steps between snapshots, and 1000 before them, the NLL of rows
            held back (three splits each) fell by 5.4 and 0.19 nats a row on UCI's yacht and
            concrete, rose by 0.01 on energy, and by 0.2 on 1000 rows of forest cover, where the net
            had been stopped before its mode: neither is better for all.
        rank: integer K; 0 for a diagonal covariance. At least 2 else, at most `num_snapshots`.
            Defaults to None: 20, or `num_snapshots` where these are fewer.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; in `fit`, a log posterior that is not finite at the
            start, steps so large that the weights leave the finite numbers, or draws whose mean
            log likelihood is 3 nats a number lower than that of the start.

    Warns:
        UserWarning: a given `learning_rate` above the largest stable one; a learned noise that is
            as low as it can be.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> swag = kp.inference.SWAG(0.1, batch_size=4, num_snapshots=8, rank=2)
        >>> posterior = swag.fit(
        ...     model, np.ones((8, 1)), np.ones((8, 1)), kp.likelihoods.Normal(1.0), seed=0,
        ...     verbose=0)
        >>> posterior.draws(5, seed=0)["line/kernel"].shape
        (5, 1, 1)

    References:
        - Maddox et al., 2019, A simple baseline for Bayesian uncertainty in deep learning,
          arXiv:1902.02476, section 3 and algorithm 1.
        - Mandt, Hoffman and Blei, 2017, Stochastic gradient descent as approximate Bayesian
          inference, arXiv:1704.04289, sections 3 and 4.
    """

    tempers = False
    checkpoints = True

    _parameters = (
        "learning_rate",
        "momentum",
        "batch_size",
        "burnin_epochs",
        "num_snapshots",
        "epochs_between",
        "rank",
    )

    def __init__(
        self,
        learning_rate: float | None = None,
        momentum: float = 0.9,
        batch_size: int = 128,
        burnin_epochs: int = 10,
        num_snapshots: int = 30,
        epochs_between: float = 1.0,
        rank: int | None = None,
    ) -> None:
        self.learning_rate = (
            None
            if learning_rate is None
            else number_between("SWAG", "learning_rate", learning_rate, 0.0, math.inf)
        )
        self.momentum = (
            momentum if momentum == 0 else number_between("SWAG", "momentum", momentum, 0, 1)
        )
        self.batch_size = whole_number("SWAG", "batch_size", batch_size)
        self.burnin_epochs = burnin_epochs and whole_number("SWAG", "burnin_epochs", burnin_epochs)
        self.num_snapshots = whole_number("SWAG", "num_snapshots", num_snapshots)
        self.epochs_between = number_between(
            "SWAG", "epochs_between", epochs_between, 0.0, math.inf
        )
        if rank is None and self.num_snapshots > 1:
            rank = min(20, self.num_snapshots)
        self.rank = checked_rank("SWAG", 0 if rank is None else rank)
        if self.num_snapshots < max(2, self.rank):
            raise ValueError(
                "`num_snapshots` of SWAG must be at least 2 and at least `rank`. Received: "
                f"num_snapshots={num_snapshots}, rank={rank}."
            )

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> SWAGPosterior:
        check_known_scales("SWAG", log_posterior)
        rows = log_posterior.num_rows
        size = min(self.batch_size, rows)
        words = [int(w) for w in ops.convert_to_numpy(seed)]
        per_epoch = max(1, rows // size)
        every = max(1, round(self.epochs_between * per_epoch))
        burnin = -(-self.burnin_epochs * per_epoch // every)
        positions = log_posterior.positions
        z = positions.unconstrain(positions.current())
        rate, stable = self._rate(log_posterior, z, size)
        state: Any = (z, ops.zeros_like(z))
        moments = SWAGMoments(self.rank)
        advance = backend.compile_function(descent(log_posterior, size, rate, self.momentum))
        fixed, _ = log_posterior.data
        everything = log_posterior.observations.batch(slice(None))
        progress = Progress(burnin + self.num_snapshots, verbose)
        journal = current()

        def steps(state: Any, taken: Any, snapshot: bool) -> tuple[Any, Any]:
            new = advance(state, ops.convert_to_tensor(taken), fixed, everything)
            return new, ops.convert_to_numpy(new[0]) if snapshot else None

        try:
            for k in range(burnin + self.num_snapshots):
                taken = rows_of(rows, size, 1, words, k * every, np.arange(every))["rows"][:, 0]
                state, z = journal.step("steps", partial(steps, state, taken, k >= burnin), state)
                if not bool(ops.all(ops.isfinite(state[0]))):
                    start = log_posterior()
                    if not math.isfinite(start):
                        raise ValueError(not_finite(start, log_posterior))
                    raise ValueError(
                        "SWAG left the finite numbers: the step is too large for this posterior. "
                        f"Received: learning_rate={rate:.3g}, where at most {stable:.3g} is stable "
                        "at the start. Give a lower one (by 10), or train the model by `fit` first."
                    )
                if k >= burnin:
                    moments.add(z)
                progress.step()
            journal.end("steps", ())
        except KeyboardInterrupt:
            journal.stop()
            if moments.count < 2:
                raise
            warn(
                f"SWAG was interrupted: there are {moments.count} of {self.num_snapshots} "
                "snapshots.",
            )
        progress.close()
        posterior = SWAGPosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            *moments.normal(),
            observations=log_posterior.observations,
        )
        advice = (
            f"The learning rate was {rate:.3g}, where at most {stable:.3g} is stable at the start: "
            "give a lower one (by 10), or a larger `batch_size`."
        )
        check_draws(posterior, log_posterior.likelihoods, log_posterior.observations, advice)
        check_noise("SWAG", posterior, 8)
        return posterior

    def _rate(self, log_posterior: LogPosterior, z: Any, size: int) -> tuple[float, float]:
        """(the learning rate, the largest stable one at the start)."""
        stable = largest_stable(largest_curvature(log_posterior, z, size), self.momentum)
        if self.learning_rate is None:
            return min(_RATE, _FRACTION * stable), stable
        if self.learning_rate > stable:
            warn(
                "SGD stays near where it starts if its learning rate is below 2 (1 + momentum) / h "
                "with the largest curvature h of the mean loss. Received: learning_rate="
                f"{self.learning_rate:g} for {log_posterior.model.name}, where at most "
                f"{stable:.3g} is stable. Leave it out, or give a tenth of that.",
            )
        return self.learning_rate, stable
