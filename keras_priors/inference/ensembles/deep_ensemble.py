"""Deep ensembles."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.moving_statistics import statistics_of
from keras_priors.functional.positions import Positions
from keras_priors.inference.check_known_scales import check_known_scales
from keras_priors.inference.check_noise import check_noise
from keras_priors.inference.ensembles.check_trained import check_trained, trend_of_losses
from keras_priors.inference.ensembles.fit_options import (
    callbacks_of,
    checked_validation,
    options_of,
)
from keras_priors.inference.ensembles.member_batches import as_fit_takes
from keras_priors.inference.ensembles.member_trainer import MemberTrainer
from keras_priors.inference.ensembles.members import members_of
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.method import Method
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.workers import check_executor
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

# Defaults: epochs, the least steps that they make, a batch, and the rows below which it is a
# quarter of that.
_EPOCHS, _STEPS, _BATCH, _FEW = 50, 2000, 128, 4096


@export("keras_priors.inference")
class DeepEnsemble(Method):
    """Copies of the model, each trained by plain Keras `fit` from a start of its own.

        p(y | x, data) = 1/M sum_m p(y | f(x; w_m))

    w_m is found by gradient descent on the negative log posterior per observation, with
    `training=True`: Dropout drops, and each member has moving statistics of its own, which go with
    its draw. Weights begin at draws from the initializers of their layers, or where the model has
    them if there are none; frozen weights stay. Members are modes, not draws: good predictions, and
    a spread that the posterior need not have.

    `start="prior"` takes weights with a prior from that instead: members then differ as functions
    do under the prior, where training gets far enough from it. Draws from N(0, 1) are steep
    functions of wide layers, and want a higher learning rate: on CoverType (54-64-64-7, 20,000
    rows, 50 epochs) the test NLL of one MAP is 0.466; of five members 0.438 from initializers,
    0.554 from the prior, and 0.428 from the prior by Adam(1e-2).

    Members of few rows take more epochs by default, in smaller batches: in place of 50 epochs in
    batches of 128 the NLL of rows held back went from 1.01 to -1.78 nats a row on UCI's yacht (222
    rows, one split) and from 0.75 to 0.39 on concrete (742, two splits)
    (`benchmarks/results/small_data.json`). A rate that falls, such as `Adam(CosineDecay(3e-3,
    steps))`, ends nearer to a mode: in as many steps the NLL was lower on energy, concrete, kin8nm
    and for dense, convolutional and recurrent nets on MNIST, level on wine and digits, and higher
    on 1000 rows of forest cover and on yacht, where members then fit the noise away
    (`benchmarks/results/ensembles.json`, three splits). Rows that are held back decide that:
    `validation_split` and `keras.callbacks.EarlyStopping`.

    The draws of the posterior are the members, in one chain. After Ctrl-C it has those that are
    done. `fit` takes `callbacks`, `validation_data` and `validation_split` as Keras' own does.
    For ensembles that are anchored at draws of the prior see `RandomizedMAP`.

    Args:
        num_members: integer M. Defaults to 5.
        epochs: integer, epochs of each member. Defaults to None: 50, or 2000 steps where these
            are more, because the epochs of few rows are few steps.
        batch_size: integer. Defaults to None: 128, or 32 of fewer than 4096 rows.
        optimizer: Keras optimizer, its name or config; every member gets a fresh copy. Defaults
            to "adam", with Keras' learning rate of 1e-3.
        start: "initializer" (the default); "prior" for draws from the priors; "model" for the
            weights that the model has, from which members part by the order of rows and by noise in
            training alone, as of a pretrained model.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range; in `fit`, a model that cannot be copied, or a member
            whose weights become infinite or NaN.

    Warns:
        UserWarning: members whose log posterior would gain 0.1 nats a row in training as long
            again, by a straight line through the last third of it, or that ended 0.25 nats a row
            below its best (neither where rows are held back, which judge instead, nor of fewer
            than 12 epochs with `callbacks`, which are too few to tell); a learned noise that is
            as low as it can be, or far above the targets.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> ensemble = kp.inference.DeepEnsemble(3, epochs=2, batch_size=4)
        >>> posterior = ensemble.fit(
        ...     model, np.ones((8, 1)), np.ones((8, 1)), kp.likelihoods.Normal(1.0), seed=0,
        ...     verbose=0)
        >>> posterior.draws()["line/kernel"].shape
        (3, 1, 1)

    References:
        - Lakshminarayanan et al., 2017, Simple and scalable predictive uncertainty estimation
          using deep ensembles, arXiv:1612.01474, section 2.4.
        - Wilson and Izmailov, 2020, Bayesian deep learning and a probabilistic perspective of
          generalization, arXiv:2002.08791.
    """

    tempers = False
    checkpoints = True

    _parameters = ("num_members", "epochs", "batch_size", "optimizer", "start")

    def __init__(
        self,
        num_members: int = 5,
        epochs: int | None = None,
        batch_size: int | None = None,
        optimizer: Any = "adam",
        start: str = "initializer",
    ) -> None:
        self.num_members = whole_number("DeepEnsemble", "num_members", num_members)
        self.epochs = None if epochs is None else whole_number("DeepEnsemble", "epochs", epochs)
        self.batch_size = (
            None if batch_size is None else whole_number("DeepEnsemble", "batch_size", batch_size)
        )
        self.optimizer = optimizer
        self._optimizer = keras.saving.serialize_keras_object(keras.optimizers.get(optimizer))
        if start not in ("initializer", "prior", "model"):
            raise ValueError(
                "`start` of DeepEnsemble must be 'initializer', 'prior' or 'model'. "
                f"Received: start={start!r}."
            )
        self.start = start
        self._callbacks: Any = None
        self._validation_data: Any = None
        self._validation_split = 0.0
        self._executor: Any = None

    def fit(
        self,
        model: Any,
        x: Any,
        y: Any = None,
        likelihood: Any = None,
        *,
        sample_weight: Any = None,
        seed: Any = None,
        verbose: Any = "auto",
        resume: Posterior | None = None,
        temperature: float = 1.0,
        checkpoint: Any = None,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        executor: Any = None,
    ) -> SamplePosterior:
        """The members, in the form of a posterior.

        Args:
            model: built `keras.Model`, not changed.
            x: as in `Method.fit`.
            y: likewise.
            likelihood: likewise.
            sample_weight: likewise.
            seed: likewise.
            verbose: likewise.
            resume: must be None.
            temperature: must be 1.
            checkpoint: as in `Method.fit`, a member at a time. Callbacks of a member that is kept
                are not called again; that they are the same is known by their types alone.
            callbacks: list of Keras callbacks, the same for each member in turn; or a function
                from the number of a member to such a list, for those that are to be new each time
                (`ModelCheckpoint`). Defaults to None.
            validation_data: (x, y) or (x, y, sample_weight), or a data set of such batches, on
                which each epoch ends: `val_loss` is the loss with `training=False`. Defaults to
                None.
            validation_split: float in [0, 1), the part of the rows, taken from their end, on
                which members are validated instead of trained. `num_data` is then the number of
                the others. Defaults to 0.
            executor: a `concurrent.futures.Executor` whose processes train the members, all at
                once: a `ProcessPoolExecutor` in spawn mode, Dask's `client.get_executor()`, MPI's.
                The same seed gives the same members. Each process imports Keras, with the same
                backend, and gets the model as Keras saves it, the rows, and a copy of the
                callbacks by pickle. Threads and forked processes are refused. Errors and warnings
                name the member. Defaults to None: one after the other, here.

        Raises:
            TypeError: as `Method.fit`; what is no callback, or no executor.
            ValueError: as `Method.fit`; a `validation_split` out of range or that leaves nothing,
                or beside `validation_data`.
        """
        Method._check_made(self)
        self._check_backend()
        run = copy(self)  # the method itself is the same after `fit`
        check_executor(executor)
        run._callbacks, run._validation_split = callbacks, validation_split
        run._executor = executor
        run._validation_data = checked_validation(validation_data, validation_split)
        if not callable(callbacks):
            callbacks_of(callbacks, 0)
        found: SamplePosterior = super(DeepEnsemble, run).fit(
            model,
            x,
            y,
            likelihood,
            sample_weight=sample_weight,
            seed=seed,
            verbose=verbose,
            resume=resume,
            temperature=temperature,
            checkpoint=checkpoint,
        )
        return found

    def _of_this_fit(self) -> dict[str, Any]:
        return options_of(self._callbacks, self._validation_data, self._validation_split)

    def infer(
        self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any
    ) -> SamplePosterior:
        model = log_posterior.model
        check_known_scales("DeepEnsemble", log_posterior)
        statistics = statistics_of(model)
        words = [int(word) for word in ops.convert_to_numpy(seed)]
        members = members_of(self, log_posterior, words, verbose, self._check_finite)
        stacked = [np.stack(v)[None] for v in zip(*(m[0] for m in members), strict=True)]
        states = [np.stack(v)[None] for v in zip(*(m[1] for m in members), strict=True)]
        posterior = SamplePosterior(
            model,
            log_posterior.likelihoods.structure,
            stacked,
            states=dict(zip(statistics, states, strict=True)),
            observations=log_posterior.observations,
            modes=True,
        )
        epochs, _ = self._plan(self._count(log_posterior.observations))
        check_trained([member[2] for member in members], log_posterior, epochs)
        check_noise("DeepEnsemble", posterior)
        return posterior

    def _member(self, log_posterior: LogPosterior, words: list[int]) -> Any:
        statistics = statistics_of(log_posterior.model)
        seed = ops.convert_to_tensor(np.array(words, "uint32"))
        seeds = backend.spawn_seeds(seed, self.num_members)

        trainer = MemberTrainer(log_posterior, self._optimizer, self.start)

        def member_at(number: int) -> tuple[list[Any], list[Any], Any]:
            own = [int(word) for word in seeds[number]]
            trained, trend = self._trained(trainer, log_posterior, own, number)
            values = [ops.convert_to_numpy(v) for v in Positions(trained).variables]
            return values, [ops.convert_to_numpy(trained.variables[k]) for k in statistics], trend

        return member_at

    def _for_workers(self) -> DeepEnsemble:
        """The same, with an optimizer that pickle takes."""
        other = copy(self)
        other.optimizer = self._optimizer
        return other

    def _check_finite(self, number: int, member: Any) -> None:
        if not all(np.all(np.isfinite(v)) for v in member[0]):
            raise ValueError(
                f"Member {number} of the ensemble has left the finite numbers in "
                f"training. Received: optimizer={self.optimizer!r}. Lower its learning "
                "rate, or look for inputs and targets that are NaN or huge."
            )

    def _trained(
        self, trainer: MemberTrainer, log_posterior: LogPosterior, words: list[int], number: int
    ) -> tuple[Any, Any]:
        """The model of a member, and where it was going."""
        count, validation = self._split(log_posterior.observations)
        epochs, size = self._plan(count)
        callbacks = callbacks_of(self._callbacks, number)
        model, losses = trainer(words, count, epochs, size, callbacks, validation)
        # Where rows are held back they judge, and less training may be better.
        return model, trend_of_losses(losses if validation is None else [], count)

    def _plan(self, rows: int) -> tuple[int, int]:
        """(epochs, rows of a batch) of so many rows."""
        size = self.batch_size or (_BATCH if rows >= _FEW else _BATCH // 4)
        return self.epochs or max(_EPOCHS, -(-_STEPS // -(-rows // size))), size

    def _count(self, observations: Any) -> int:
        """How many rows train."""
        count = math.floor(float(observations.count) * (1.0 - self._validation_split))
        if count == 0:
            raise ValueError(
                "`validation_split` must leave rows to train on. Received: validation_split="
                f"{self._validation_split} of {observations.count} rows."
            )
        return count

    def _split(self, observations: Any) -> tuple[int, Any]:
        """How many rows train, and what validates."""
        count = self._count(observations)
        held, first = self._validation_data, 0
        if held is None:
            held, first = observations, count
        if first == held.count:
            return count, None
        x, y = keras.tree.map_structure(lambda v: as_fit_takes(v[first:]), (held.x, held.y))
        return count, (x, y, held.weight[first:])
