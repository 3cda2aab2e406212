"""What the loss is made of, epoch by epoch."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_priors.callbacks.annealed_weight import annealed_weight, set_annealed_weight
from keras_priors.callbacks.callback_order import callbacks_after, callbacks_before, name_of
from keras_priors.callbacks.check_likelihood import check_likelihood, check_outputs
from keras_priors.callbacks.epoch_record import EpochRecord
from keras_priors.callbacks.not_finite import check_trained_weights, not_finite
from keras_priors.callbacks.penalties import Penalties, Penalty, to_numpy
from keras_priors.functional.check_activations import check_activations
from keras_priors.functional.output_shapes import running_fit
from keras_priors.functional.steps_per_row import Steps, steps_per_row
from keras_priors.inference.gain_of_epochs import gain_of_epochs
from keras_priors.inference.variational.convergence import is_gain
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import adds_losses, all_layers
from keras_priors.utils.unset_num_data import unset_names, warn_unset


@export()
class BayesianMonitor(keras.callbacks.Callback):
    """Logs the terms of the loss beside it: likelihood, KL, prior and ELBO.

    In nats per observation, for training and, with the prefix `val_`, for validation:

        nll            mean_i -log p(y_i | x_i, w), what is left of `loss` without penalties
        kl             sum over variational layers of KL(q‖p) / num_data
        neg_log_prior  sum over weights with a prior as regularizer of -log p(w) / num_data
        elbo           -(nll + kl + neg_log_prior)

    so that loss = nll + kl_weight * kl + neg_log_prior. `kl` is there only where the model has
    variational layers, `neg_log_prior` only where it has priors on plain weights. A weight of a
    variational layer with a `Delta` posterior counts as `kl`. For a model with priors alone, `elbo`
    is the log joint density per observation, up to the sign the objective of the MAP.

    Put it first in `callbacks`: Keras hands one dict of logs to each callback in turn, so
    `EarlyStopping(monitor="val_nll")`, `ModelCheckpoint`, `TensorBoard` and `CSVLogger` see these
    values if they come later (their `mode` is set where it is "auto"). `History` always does.
    In `evaluate(callbacks=[monitor])` the progress bar and later callbacks show them; what
    `evaluate` returns is made before, so they are kept in `monitor.evaluation`.

    What the values mean:
        - The model is compiled with a likelihood, or with a stock loss that
          `keras_priors.likelihoods.get` understands. Of `mse`, which does not know the noise, or of
          a function of your own `nll` would be no likelihood: `fit` is refused, with what to
          write. (Of Keras' "poisson" `nll` lacks log y!, a constant.) A model with a `compute_loss`
          or `train_step` of its own, compiled without a loss, is trusted to log as `loss` the mean
          negative log-likelihood plus the sum of `model.losses`.
        - Validation is exact, since weights stand still. Only a KL without closed form is an
          average over draws here as in the loss, and its noise then enters `nll`.
        - `loss` of training is a mean over batches while the weights move. The penalties are
          evaluated at up to about 32 batches of an epoch and averaged in the same way, linearly
          interpolated in between: exact for epochs of 32 batches or fewer.
        - `kl` and `elbo` hold the whole KL, also while `KLAnnealing` gives it less weight.
        - At a temperature T other than 1 (`keras_priors.set_num_data`) `kl` is what stands in the
          loss in its place, -E[log p(w)] - T H(q), which may be negative, and `elbo` is no bound;
          T is logged as `temperature`.
        - Other regularizers (`keras.regularizers.L2`) are part of `loss` and of none of these.
          What layers add by `add_loss` or `activity_regularizer` depends on the data and cannot
          be told from the likelihood: it stays in `nll`, with a warning.
        - The draws of a fit are the same with and without this callback.

    It also watches over the fit:
        - Where the last activation of the model gives probabilities to a likelihood that takes
          logits, or logits to one that takes probabilities (and so with rates), it warns.
        - With `class_weight` it warns: the loss is then no mean of log-likelihoods.
        - Where `num_data` was not given it warns when `fit` begins, by name.
        - After the first epoch it warns where `num_data` differs from the number of samples seen;
          with a time axis in the outputs of the model, from that of their steps, over which the
          loss averages. Where a mask may hide some, any smaller number above that of the samples
          is accepted.
        - Where the loss or a penalty is not finite, or a weight at the end of an epoch, it stops
          training with an error that names the weight, and, for a weight outside the bounded
          support of its prior, the constraint. (NaN in x may leave the loss finite: under
          TensorFlow `relu` makes 0 of it, and NaN of the gradient.)

        - At the end of a `fit` of at least 12 epochs of a model with variational layers it warns
          where the ELBO was still rising: by a straight line through the last third of the epochs,
          which in as many epochs again would gain more than 1 nat, 0.01 nats a weight, and twice
          its standard error.

    Args:
        check_num_data: boolean, whether to compare `num_data` with the samples of the first
            epoch. Defaults to True.
        check_convergence: boolean, whether to warn of an ELBO that still rises. Defaults to True.

    Raises:
        ValueError: at `fit` and `evaluate`, where the model is not compiled with a likelihood, or
            with `loss_weights`; at `fit`, where a callback that monitors these values comes before
            it, or a loss or a penalty is not finite.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0, 1, num_data=8)
        >>> dense = keras.layers.Dense(1, kernel_regularizer=prior)
        >>> model = keras.Sequential([keras.Input((2,)), dense])
        >>> model.compile("sgd", loss=kp.likelihoods.Normal(scale=1.0))
        >>> x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
        >>> monitor = kp.callbacks.BayesianMonitor()
        >>> logs = model.fit(x, y, epochs=2, callbacks=[monitor], verbose=0).history
        >>> sorted(logs)
        ['elbo', 'loss', 'neg_log_prior', 'nll']
        >>> bool(np.allclose(logs["loss"], np.add(logs["nll"], logs["neg_log_prior"])))
        True

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424, eq. 1-2.
    """

    def __init__(self, *, check_num_data: bool = True, check_convergence: bool = True) -> None:
        super().__init__()
        self.check_num_data = check_num_data
        self.check_convergence = check_convergence
        self.evaluation: dict[str, float] = {}
        """The values of the last evaluation, without prefix."""

        self._penalties = Penalties()
        self._record = EpochRecord(None)
        self._means: tuple[np.ndarray, np.ndarray] | None = None
        self._steps: int | None = None
        self._samples = 0
        self._begin = 0
        self._first_epoch = True
        self._outputs_checked = False
        self._elbos: list[float] = []
        self._owner: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """See to the other callbacks, and to priors without `num_data`."""
        check_likelihood(self.model)
        check_activations(self.model)
        _warn_class_weight(self.model)
        _prepare_followers(self)
        self._owner = self.model
        self._outputs_checked = False
        self._steps = (self.params or {}).get("steps")
        self._first_epoch = True
        self._elbos = []
        set_annealed_weight(self._owner, None)
        unset = unset_names(self._owner)
        if unset:
            warn_unset(", ".join(unset))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin a record of the epoch."""
        self._record = EpochRecord(self._steps)
        self._means = None
        self.evaluation = {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Evaluate the penalties at some batches."""
        self._begin = batch
        self._check_outputs()
        if self._record.is_due(batch):
            self._note_penalties(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """See that the loss is finite."""
        self._check_outputs()
        self._record.batches = batch + 1 if self._steps is None else min(batch + 1, self._steps)
        weight = annealed_weight(self._owner)
        if weight is not None:
            self._record.add_annealed(self._begin, weight)
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self._penalties.collect(self.model)
            values = self._penalties.evaluate()
            raise not_finite(self.model, self._penalties.items, values, loss)

    def on_test_begin(self, logs: Any = None) -> None:
        """End the record of the epoch: validation will reset the metrics."""
        check_likelihood(self.model)
        self._end_epoch()

    def on_test_end(self, logs: Any = None) -> None:
        """Take the loss of an evaluation apart."""
        if logs is None or "loss" not in logs:
            return
        self._penalties.collect(self.model)
        values = self._penalties.evaluate()
        weighted = values * self._penalties.kl_weights()
        self.evaluation = self._terms(logs["loss"], values, weighted)
        logs.update(self.evaluation)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the terms to the logs, and see that the weights are finite."""
        self._end_epoch()
        check_trained_weights(self.model)
        if logs is not None and self._means is not None and "loss" in logs:
            terms = self._terms(logs["loss"], *self._means)
            logs.update(terms)
            self._elbos.append(terms["elbo"])
        if logs is not None and "val_loss" in logs:
            logs.update({f"val_{name}": value for name, value in self.evaluation.items()})
        if self._first_epoch:
            self._first_epoch = False
            self._check_first_epoch()
        if self._steps is None:
            self._steps = self._record.batches

    def on_train_end(self, logs: Any = None) -> None:
        """Say where the ELBO has not come to its end."""
        if self.check_convergence:
            _check_convergence(self._owner, self._penalties.items, self._elbos)

    def _note_penalties(self, batch: int) -> None:
        model = self.model
        if not model.built:
            return  # a model that TensorFlow builds in its first step
        self._penalties.collect(model)
        values = self._penalties.evaluate()
        if not np.all(np.isfinite(values)):
            raise not_finite(model, self._penalties.items, values, None)
        self._record.add(batch, self._samples_seen(), values, self._penalties.kl_weights())

    def _end_epoch(self) -> None:
        if self._means is None and self._record.batches > 0:
            self._note_penalties(self._record.batches)
            self._samples = round(self._samples_seen())
            self._means = self._record.means(self._penalties.is_kind("kl"))

    def _samples_seen(self) -> float:
        # The first metric of a compiled model is the mean of its loss, which counts samples.
        tracker = next(iter(self._owner.metrics), None)
        if not isinstance(tracker, keras.metrics.Mean):
            return 0.0
        return float(to_numpy(tracker.count))

    def _terms(self, loss: float, values: np.ndarray, weighted: np.ndarray) -> dict[str, float]:
        terms = {"nll": float(loss - weighted.sum())}
        for kind in ("kl", "neg_log_prior"):
            chosen = self._penalties.is_kind(kind)
            if chosen.any():
                terms[kind] = float(values[chosen].sum())
        terms["elbo"] = -sum(terms.values())
        given = {item.temperature for item in self._penalties.items} - {1.0}
        if given:
            terms["temperature"] = max(given)
        return terms

    def _check_outputs(self) -> None:
        # TensorFlow builds some models in their first step.
        if not self._outputs_checked and self.model.built:
            self._outputs_checked = True
            check_outputs(self.model)

    def _check_first_epoch(self) -> None:
        model = self.model
        whole = self._steps is None or self._record.batches == self._steps
        if self.check_num_data and whole and self._samples > 0:
            _check_num_data(model, self._penalties.items, self._samples)
        # `model.losses` would evaluate the regularizers, with the draws of the fit.
        added = [layer.name for layer in all_layers(model) if adds_losses(layer)]
        if added:
            warnings.warn(
                f"{added} add losses of their own (`add_loss`, `activity_regularizer`) that depend "
                "on the data: they are contained in `nll`, which is then not the negative "
                "log-likelihood alone. Give the likelihood to `compile(metrics=[...])` too, to see "
                "it apart.",
                UserWarning,
                stacklevel=2,
            )


def _check_num_data(model: Any, items: list[Penalty], samples: int) -> None:
    """Warn where what the loss averaged over in the first epoch differs from `num_data`."""
    given = {item.regularizer.num_data for item in items if item.kind != "other"} - {None}
    steps = steps_per_row(model)
    wrong = sorted(value for value in given if not _may_be(value, samples, steps))
    if not wrong:
        return
    most = samples * (1 if steps.number is None else steps.number)
    seen, right = f"{samples} samples", f"{samples}"
    if steps.number is not None and steps.number != 1:
        seen += f" of {steps.number:g} steps, over all of which the loss averages"
        right = "int(mask.sum())" if steps.may_be_masked else f"{most:.0f}"
    warnings.warn(
        f"num_data is {', '.join(map(str, wrong))}, but the first epoch over {model.name} had "
        f"{seen}: the prior is {'too weak' if wrong[-1] > most else 'too strong'}. Write "
        f"`keras_priors.set_num_data({model.name}, {right})` before `fit`. If an epoch is not "
        "one pass over the data (`steps_per_epoch`), or an observation not a sample, and num_data "
        "is right: BayesianMonitor(check_num_data=False).",
        UserWarning,
        stacklevel=2,
    )


def _check_convergence(model: Any, items: list[Penalty], elbos: list[float]) -> None:
    """Warn where the ELBO of the whole data was still rising when `fit` ended."""
    posteriors = [item.regularizer.posterior for item in items if item.kind == "kl"]
    spread = [q for q in posteriors if q.support != "point"]
    if not spread:
        return
    num_data = max(item.num_data for item in items if item.kind == "kl")
    gain, error = gain_of_epochs([num_data * elbo for elbo in elbos])
    if is_gain(gain, error, sum(q.size for q in spread)):
        warnings.warn(
            "The posterior that prior and data have is where the ELBO no longer rises. Received: "
            f"{model.name}, whose ELBO would gain {gain:.3g} nats (standard error {error:.2g}), or "
            f"{gain / num_data:.2g} an observation, in {len(elbos)} epochs more if it rose as over "
            "the last third of them: its standard deviations are on their way. Train longer, with "
            "a rate that does not fall, for the optimum; or take the posterior as one of a fit "
            "that was stopped, by how it predicts, and say so by "
            "BayesianMonitor(check_convergence=False).",
            UserWarning,
            stacklevel=2,
        )


def _may_be(value: int, samples: int, steps: Steps) -> bool:
    """Whether a loss can have averaged over so many observations."""
    if steps.number is None:  # of unknown length, or a loss that nobody knows
        return value >= samples
    most = round(samples * steps.number)
    if steps.may_be_masked and steps.number != 1:
        return samples < value <= most
    # A sum over steps is the log density of a sample: a model's own loss may be one.
    return value == most or (bool(steps.why) and value == samples)


def _warn_class_weight(model: Any) -> None:
    frame = running_fit()
    if frame is None or frame.f_locals["self"] is not model:
        return
    weight = frame.f_locals.get("class_weight")
    if weight is not None and any(value != 1.0 for value in weight.values()):
        warnings.warn(
            "`nll` and `elbo` of BayesianMonitor are those of observations that count alike. "
            f"Received: class_weight={weight}, by which `loss` and with it `nll` is a weighted "
            "mean, and no negative log-likelihood. Leave `class_weight` out, and see to the costs "
            "of errors where you decide; or read `nll` as the weighted mean that it is.",
            UserWarning,
            stacklevel=2,
        )


_LOGGED = ("nll", "kl", "neg_log_prior", "elbo")
_MONITORED = {f"{prefix}{name}" for name in _LOGGED for prefix in ("", "val_")}
_MONITORS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)
_LOGGERS = (keras.callbacks.TensorBoard, keras.callbacks.CSVLogger, keras.callbacks.History)


def _prepare_followers(callback: keras.callbacks.Callback) -> None:
    """Refuse readers that come too early, and tell the others which way is better.

    Keras hands one `logs` dict to each callback in turn, so only later ones see what was added.
    """
    before = callbacks_before(callback)
    early = [name_of(other) for other in before if _monitors_ours(other)]
    if early:
        raise ValueError(
            "BayesianMonitor must come before callbacks that monitor what it logs. "
            f"Received: {early} before it. Put BayesianMonitor first in `callbacks`."
        )
    late = [name_of(other) for other in before if isinstance(other, _LOGGERS)]
    if late:
        warnings.warn(
            f"{late} come before BayesianMonitor and will not see {', '.join(_LOGGED)}. "
            "Put BayesianMonitor first in `callbacks`.",
            UserWarning,
            stacklevel=2,
        )
    for other in callbacks_after(callback):
        # Keras knows the direction of its own metrics only, and raises at the first epoch.
        if _monitors_ours(other) and other.mode == "auto":
            other.mode = "max" if other.monitor.endswith("elbo") else "min"


def _monitors_ours(callback: Any) -> bool:
    return isinstance(callback, _MONITORS) and callback.monitor in _MONITORED
