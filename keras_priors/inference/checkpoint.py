"""Where a long fit keeps what it has done."""

from __future__ import annotations

import math
import os
import pathlib

from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between


@export()
class Checkpoint:
    """A folder in which `fit(..., checkpoint=...)` keeps its run as it goes. Final.

    `checkpoint="folder"` is `Checkpoint("folder")`. A process that is killed, at any moment, loses
    at most the work of `seconds` and of the step of its loop that it was in: the same call of
    `fit` in another process goes on, and gives the very posterior of a run that nobody killed.
    Called once more after its end, it gives that posterior at once. Files take their places when
    they are whole and on the disk (written beside them, synced, renamed); where the disk is full,
    `fit` ends in an error, and what was kept stays.

    The call must be the same: method and settings, model and its weights, data, likelihood,
    priors, temperature, backend, and `seed`, if it was given. Else it is refused, and says what
    differs. A file that is cut off or damaged is refused too. One run has one folder, and one
    process at a time. After Ctrl-C `fit` gives what there is, and the next call goes on.

    What is kept: draws of SGLD, SGHMC, NUTS and HMC with the state of their chains; the state of
    MeanField, FullRank, LowRank and IVON with the ELBO of each step; members of DeepEnsemble and
    RandomizedMAP, snapshots of SWAG; the search of MAP and Laplace, a hundred iterations a step,
    and Laplace's sums over the rows, a block of rows a step.

    Args:
        folder: path; made if it is not there.
        seconds: float, how much work may be lost, seconds. 0 keeps every step of the loop. Defaults
            to 30.

    Raises:
        ValueError: `seconds` is negative.

    Example:
        >>> import keras, keras_priors as kp, numpy as np, tempfile
        >>> line = keras.layers.Dense(1, use_bias=False, name="line")
        >>> model = keras.Sequential([keras.Input((1,)), line])
        >>> _ = kp.set_priors(model, kp.NormalPrior(0, 1))
        >>> x = np.ones((3, 1), "float32")
        >>> method, data = kp.inference.RandomizedMAP(4), (x, x, kp.likelihoods.Normal(1.0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = method.fit(model, *data, verbose=0, checkpoint=folder)
        ...     again = method.fit(model, *data, verbose=0, checkpoint=folder)
        >>> bool(np.all(first.draws()["line/kernel"] == again.draws()["line/kernel"]))
        True
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float = 30.0) -> None:
        self.folder = pathlib.Path(folder)
        self.seconds = (
            0.0 if seconds == 0 else number_between("Checkpoint", "seconds", seconds, 0.0, math.inf)
        )

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.folder)!r}, seconds={self.seconds:g})"
