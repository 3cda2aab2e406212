"""The base class of all inference methods."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.functional.warn_flat import warn_flat
from keras_priors.inference.checkpoint import Checkpoint
from keras_priors.inference.fingerprint import check_same, fingerprint
from keras_priors.inference.journal import Journal, kept_in
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.same_run import check_same_run, run_of
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive
from keras_priors.utils.progress import check_verbose
from keras_priors.utils.warn import warn


@export()
class Method:
    """A way from a model, its priors and data to a posterior. Abstract.

    The constructor takes what belongs to the method, `fit` the model and the data. The model is
    left as it was.

    **To write your own**, override `infer(log_posterior, seed, verbose, resume)`, which gives a
    posterior: a `SamplePosterior` of draws, or a `PointPosterior`. The `LogPosterior` has the log
    density, its gradient, and a flat vector of weights without bounds. `fit` has checked the
    arguments and the data by then, and keeps the time. `resumes` is True where `resume` is taken.

    A subclass within the package names its constructor arguments in `_parameters`.
    """

    _parameters: tuple[str, ...] = ()
    resumes = False
    checkpoints = False
    """Whether its run can be kept as it goes."""
    _expands = False
    """Whether it moves in the local scales of priors that are mixtures of normals."""
    tempers = True
    """Whether it draws from p(w | data)^(1/T); False where it has no entropy that T could weigh."""
    _kept_on_resume: tuple[str, ...] = ()
    """Arguments that must be the same when it goes on: those that its draws depend on."""

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
    ) -> Any:
        """The posterior of the weights of `model`, given x and y.

        `num_data` of the priors has no part in it: the data are here. Weights without a prior have
        a flat one, which is said once, by a warning.

        Args:
            model: built `keras.Model`, not changed.
            x: inputs, or a data set of (x, y) or (x, y, sample_weight) batches, read once.
            y: targets. None with a data set.
            likelihood: a likelihood, or a stock loss that is one; for several outputs, a
                structure of them. Defaults to None: the loss that the model was compiled with.
            sample_weight: array (N,), factors of the log densities of the rows, or None.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one. The same integer
                gives the same posterior.
            verbose: "auto" shows progress when it takes longer than about two seconds, 1 always,
                0 never. Defaults to "auto".
            resume: a posterior that this method gave for the same model, data, likelihood, priors
                and settings, to go on from; another is refused, naming what differs. Defaults to
                None.
            temperature: float T greater than 0: the posterior is p(w | data)^(1/T), colder below 1,
                as in `keras_priors.set_num_data`. Defaults to 1, which is Bayes. Methods of points
                (MAP, SWAG, ensembles) refuse another: it would move none.
            checkpoint: path of a folder, or a `keras_priors.inference.Checkpoint`, in which the run
                is kept as it goes: the same call in another process, after this one was killed,
                goes on. Defaults to None.

        Returns:
            A `keras_priors.inference.Posterior`.

        Raises:
            TypeError: `model` is not a model, or x is no data.
            ValueError: as `LogPosterior`; `resume` where the method cannot go on, `temperature`
                where it has no part, `checkpoint` where there is nothing to keep, or a folder of
                another run, or with a damaged file.
            OSError: `checkpoint` cannot be written.
        """
        Method._check_made(self)
        self._check_backend()
        check_verbose(verbose)
        if resume is not None and not self.resumes:
            raise ValueError(
                f"{type(self).__name__} starts anew each time. Received: resume={resume!r}. "
                "Leave it out."
            )
        if checkpoint is not None:
            self._check_checkpoint(checkpoint)
        self._check_temperature(temperature)
        begin = time.perf_counter()
        log_posterior = LogPosterior(
            model, x, y, likelihood, sample_weight=sample_weight, temperature=temperature
        )
        if self._expands:
            log_posterior = log_posterior.expanded()
        warn_flat(model, log_posterior.positions)
        given, seed = seed is not None, backend.as_seed(seed)
        settings = {name: getattr(self, name) for name in self._kept_on_resume}
        settings["temperature"] = log_posterior.temperature
        mark = fingerprint(log_posterior, settings)
        if isinstance(resume, Posterior):
            _check_resumed(type(self).__name__, resume, mark)
        journal = Journal()
        if checkpoint is not None:
            place = _as_checkpoint(checkpoint)
            journal = Journal(place.folder, place.seconds)
            rows = log_posterior.observations.batch(slice(0, 4))[0]
            run = run_of(self, model, rows, mark, seed, given, resume)
            seed = journal.open(run, lambda kept: check_same_run(place.folder, kept, run))["seed"]
            seed = ops.convert_to_tensor(seed, dtype="uint32")
        with kept_in(journal):
            posterior = self.infer(log_posterior, seed, verbose, resume)
        posterior.fingerprint = mark
        posterior.temperature = log_posterior.temperature
        posterior.seconds = time.perf_counter() - begin
        return posterior

    @staticmethod
    def _check_made(method: Any) -> None:
        """Refuses `fit` called on the class, which takes the model for the method."""
        if not isinstance(method, Method):
            raise TypeError(
                "`fit` is that of a method with its settings: write "
                "keras_priors.inference.Laplace().fit(model, x, y), or the same of another "
                f"method. Received: `fit` of a class, and a {type(method).__name__} in the place "
                "of the method. Put () behind the name of the class."
            )

    def _check_checkpoint(self, checkpoint: Any) -> None:
        _as_checkpoint(checkpoint)
        if not self.checkpoints:
            raise ValueError(
                f"{type(self).__name__} has no run of its own that could be kept on the way. "
                f"Received: checkpoint={checkpoint!r}. Leave it out."
            )

    def _check_temperature(self, temperature: Any) -> None:
        owner = type(self).__name__
        if one_positive(owner, "temperature", temperature) != 1.0 and not self.tempers:
            raise ValueError(
                f"{owner} has no entropy or noise of its own that a temperature could weigh: it "
                f"trains points, or reads what is trained. Received: temperature={temperature!r}. "
                "Leave it out; take Laplace, MeanField, FullRank, LowRank, IVON, SGLD, SGHMC, NUTS "
                "or HMC; or give it to variational layers by keras_priors.set_num_data."
            )

    def _of_this_fit(self) -> dict[str, Any]:
        """What a call of `fit` says beside the arguments of all methods, for `checkpoint`."""
        return {}

    def _check_backend(self) -> None:
        """Refuses a backend that cannot."""

    @abstractmethod
    def infer(self, log_posterior: LogPosterior, seed: Any, verbose: Any, resume: Any) -> Posterior:
        """The posterior; `seed` is a pair of words."""

    def __repr__(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self._parameters]
        return f"{type(self).__name__}({', '.join(parts)})"


def _check_resumed(owner: str, resume: Posterior, mark: Any) -> None:
    if resume.fingerprint is not None:
        check_same(owner, resume.fingerprint, mark)
        return
    warn(
        f"{owner} goes on from a posterior of the same data, likelihood, priors and settings. "
        "Received: one that does not say what it was made with, as a file of version 0.1 does "
        "not. It is taken as if it were the same.",
    )


def _as_checkpoint(given: Any) -> Checkpoint:
    """A path, or a `Checkpoint` as it is."""
    if isinstance(given, Checkpoint):
        return given
    if isinstance(given, (str, os.PathLike)):
        return Checkpoint(given)
    raise TypeError(
        "`checkpoint` must be the path of a folder, or a keras_priors.inference.Checkpoint. "
        f"Received: checkpoint={given!r} of type {type(given).__name__}."
    )
