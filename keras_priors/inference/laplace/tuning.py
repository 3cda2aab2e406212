"""Prior scales and noise of the highest evidence, with the mode that belongs to them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend, likelihoods
from keras_priors.functional.carry_priors import carry_priors
from keras_priors.functional.clone import clone, copy_variables, is_cloneable, own
from keras_priors.functional.copy_of import copy_of
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.approximate import (
    Approximation,
    Approximator,
    Settings,
    is_whole,
    warn_of_no_mode,
)
from keras_priors.inference.laplace.climb import climb
from keras_priors.inference.laplace.evidence import (
    Noise,
    Objective,
    current_scales,
    groups_of,
    log_noise,
    moved,
    need_noise,
)
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import LastLayer, is_linear, last_layer_weights
from keras_priors.inference.laplace.noise_layer import noise_layer
from keras_priors.inference.laplace.precision import not_positive
from keras_priors.inference.laplace.prior_curvature import log_normal
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.models.set_priors import set_priors
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

_ROUNDS = 40
# Logarithms of scales that agree; nats of evidence that are no gain; the longest step of a round,
# and that of a linear model.
_AGREE, _GAIN, _STRIDE, _REACH = 1e-3, 1e-6, 1.0, 7.0
# Nats by which the evidence may be below the highest that was seen: the scheme leaves out that the
# curvature changes with the mode.
_FALL = 1.0
# Half the difference that gives the curvature of the noise.
_H = 1e-2


class Tuning:
    """MacKay's scheme: the scales of the highest evidence at the mode, the mode at these scales.

        theta = argmax log p(y | theta),    w* = argmax log p(w | y, theta),    and again

    In each round the evidence is that of the quadratic around the mode, at its own mode
    (`log_evidence`): for a linear model with normal noise one round is enough. A round moves no
    logarithm by more than 1 in another model, whose quadratic holds near the mode alone.

    The noise of a trained `NoiseScale` is known in each round; the marginal posterior of its z,
    log p(y | theta, z) + log p(z), is what is maximized, and in the end z is normal around this
    maximum with the curvature there, beside the weights.

    Args:
        model: the model, of which a copy is made.
        likelihood: its likelihood.
        settings: those of the approximation.
        found: a first approximation.
        observations: the data.

    References:
        - MacKay, 1992, Bayesian interpolation, section 4.
        - Antoran et al., 2022, Adapting the linearised Laplace model evidence for modern deep
          learning, arXiv:2206.08900 (the evidence at the quadratic's own mode).
    """

    _approximator: Approximator
    _whole: bool

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        settings: Settings,
        found: Approximation,
        observations: Observations,
    ) -> None:
        self.model, self.likelihood = _copy(model), likelihood
        self._settings, self._found, self._observations = settings, found, observations
        positions, self._work = Positions(self.model), self.model
        _assign(positions, found.mode)
        moved = list(range(len(positions.paths)))
        if settings.layers == "last":
            moved = last_layer_weights(self.model, positions)
            self._work, self._observations = _head(self.model, likelihood, observations)
        ends = np.cumsum(positions.sizes)
        places = [np.arange(ends[k] - positions.sizes[k], ends[k]) for k in moved]
        self._places = np.concatenate(places)
        """Where in the vector of all weights those of the working model stand."""
        own_paths = Positions(self._work).paths
        # A head is another model, whose weights have other paths.
        self._paths = dict(zip(own_paths, (positions.paths[k] for k in moved), strict=True))
        self._layer = noise_layer(self._work, likelihood)

    def run(self, prior_scale: str | None, noise: bool, verbose: Any) -> Approximation:
        """The approximation at the end; `model` and `likelihood` are then those it belongs to."""
        groups = groups_of(self._found, prior_scale, noise)
        start = _logs(self._found, groups)
        layer = self._layer if noise and self._layer and self._layer.scale.trainable else None
        noise_of: Noise | None = None
        mode = np.asarray(self._found.mode, "float64")[self._places]
        if layer is not None:
            noise_of, place = self._as_coordinate(layer)
            start.append(float(mode[place]))
            mode = np.delete(mode, place)
            layer.scale.trainable = False
        elif noise:
            noise_of = log_noise
            start.append(math.log(need_noise(self._found, 1.0)[1]))
        self._set_scales(self._work, current_scales(self._found))
        data = self._observations
        log_posterior = LogPosterior(
            self._work, data.x, data.y, self.likelihood, sample_weight=data.weight
        )
        self._approximator = Approximator(self._settings, log_posterior, 0)
        self._whole = is_whole(self._settings, self._approximator.rows)
        found, at = self._rounds(groups, noise_of, mode, np.array(start), verbose)
        warn_of_no_mode(found, self._settings.tolerance, self.model.name)
        if found.noise is not None and noise:
            self._set_noise(found.noise)
        _assign(log_posterior.positions, found.mode)
        if layer is not None and noise_of is not None:
            layer.scale.trainable = True
            found = _with_noise(found, noise_of, place, float(at[-1]), self._whole)
        return self._of_all(found)

    def _rounds(
        self, groups: Any, noise: Noise | None, z: Any, at: Any, verbose: Any
    ) -> tuple[Approximation, Any]:
        """(the approximation, the logarithms of its scales): the last, or one far above it."""
        whole = self._whole
        reach = _REACH if whole and is_linear(self._approximator.rows) else _STRIDE
        best, damping, before = (-math.inf, at, z), 1.0, np.zeros_like(at)
        progress = Progress(_ROUNDS, verbose, unit="round")
        for k in range(_ROUNDS + 1):
            around = self._around(z)
            objective = Objective(around, groups, noise, whole)
            (value, _), target = objective(at), objective.maximum(at, reach)
            if k and value > best[0]:
                best = value, at, z
            change, gain = target - at, objective(target)[0] - value
            length = float(np.max(np.abs(change)))
            # The first mode may be that of scales which differ within a group.
            agree = k > 0 and (length <= _AGREE or gain <= _GAIN)
            if agree or k == _ROUNDS:
                break
            if float(change @ before) < 0.0:
                damping *= 0.5  # it goes to and fro
            before = change
            at = at + damping * change
            z = climb(*self._search(z, around, *objective.read(at)))
            progress.step()
        progress.close()
        if not agree:
            warn(
                "`tune` ends where scales and mode agree. Received: "
                f"{self.model.name}, of which a scale would still move by a factor of "
                f"{math.exp(length):.5g} after {_ROUNDS} rounds. Tune scales together "
                '(prior_scale="one"), leave the noise known, or call `tune` of the result, which '
                "goes on from there.",
            )
        if value < best[0] - _FALL:
            warn(
                "`tune` seeks the highest evidence where scales and mode agree. Received: "
                f"{self.model.name}, whose evidence fell from {best[0]:.6g} to {value:.6g} nats, "
                "because its mode moved to a place where the same scales explain less. The result "
                "is the one with the highest, whose scales do not quite agree with its mode.",
            )
            _, at, z = best
            around = self._around(z)
            objective = Objective(around, groups, noise, whole)
        return moved(around, *objective.read(at)), at

    def _around(self, z: Any) -> Approximation:
        """What is known around z, at the scales and the noise that the working model has."""
        found = self._approximator.at(ops.convert_to_tensor(z.astype("float32")))
        entries = {self._paths[path]: entry for path, entry in found.normal_priors.items()}
        return dataclasses.replace(found, normal_priors=entries)

    def _search(
        self, z: Any, around: Approximation, scales: dict[str, float], sigma: float | None
    ) -> tuple[Any, Any, Any]:
        """What `climb` takes, at other scales."""
        now, approximator = current_scales(around), self._approximator
        precision = moved(around, scales, sigma).precision
        ratio = 1.0
        if sigma is not None:
            ratio = (need_noise(around, sigma)[1] / sigma) ** 2

        def at(z: Any) -> tuple[float, Any]:
            point = ops.convert_to_tensor(z.astype("float32"))
            value, slope, residuals = approximator.likelihood(point)
            log_prior, prior_slope = approximator.prior(point)
            if sigma is not None and residuals is not None:
                value = float(log_normal(residuals[1], residuals[0], sigma))
            for path, (where, squares, count, log_density) in approximator.normal_priors(
                point
            ).items():
                scale = scales.get(self._paths[path])
                if scale is not None:
                    log_prior += float(log_normal(squares, count, scale)) - log_density
                    prior_slope[where] *= (now[self._paths[path]] / scale) ** 2
            return value + log_prior, ratio * slope + prior_slope

        return at, z, precision

    def _set_noise(self, sigma: float) -> None:
        if self._layer is not None:
            self._layer.scale.assign([sigma])
        else:
            config = {**self.likelihood.get_config(), "scale": sigma}
            self.likelihood = likelihoods.Normal.from_config(config)

    def _as_coordinate(self, layer: Any) -> tuple[Noise, int]:
        """(sigma as a function of its z, the place of z among the weights)."""
        positions = Positions(self._work)
        k = next(i for i, v in enumerate(positions.variables) if v is layer.scale)
        prior = positions.priors[k]
        if prior is None or not positions.is_bounded(k):
            raise ValueError(
                "The noise of a NoiseScale is tuned with a prior on positive numbers. Received: "
                f"{prior!r} on {positions.paths[k]}. Give it one, such as "
                "keras_priors.HalfCauchyPrior(2.5)."
            )
        place = sum(positions.sizes[:k])
        z = positions.unconstrain(positions.current())

        def log_scale(t: Any) -> Any:
            return ops.log(ops.sum(positions.constrain(_put(z, place, t))[0][k]))

        def log_prior(t: Any) -> Any:
            there = _put(z, place, t)
            density = prior.log_prob(positions.constrain(there)[0][k])
            return density + positions.log_det(there, [k])

        both = backend.compile_function(
            lambda t: [backend.value_and_gradient(f)(t) for f in (log_scale, log_prior)]
        )

        def noise_of(t: float) -> tuple[float, float, float, float]:
            (log, rate), (density, slope) = both(ops.convert_to_tensor(t, dtype="float32"))
            return math.exp(float(log)), float(density), float(rate), float(slope)

        return noise_of, place

    def _set_scales(self, model: Any, scales: dict[str, float], saved: bool = False) -> None:
        """Normal priors of these scales around the means that the priors have."""
        rules: dict[Any, Any] = {}
        for weight in Positions(model).weights:
            scale, prior = scales.get(self._paths.get(weight.path, "")), weight.prior
            normal = None if scale is None or prior is None else prior.as_normal(weight.shape)
            if scale is not None and prior is not None and normal is not None:
                loc = np.asarray(ops.convert_to_numpy(normal[0]))
                rules[_is(weight.variable)] = NormalPrior(
                    loc if loc.ndim else float(loc), scale, num_data=prior.num_data
                )
        if not rules:
            return
        try:
            set_priors(model, rules, saved=saved)
        except ValueError:
            # What a config of code does not keep, it does not lose: the variables have them.
            if not saved:
                raise
            set_priors(model, rules, saved=False)

    def _of_all(self, found: Approximation) -> Approximation:
        """Scales and mode on the whole model, and the approximation with its vector."""
        if self._work is not self.model:
            of_work = {self._paths[w.path]: w.variable for w in Positions(self._work).weights}
            for weight in Positions(self.model).weights:
                if weight.path in of_work:
                    weight.variable.assign(own(of_work[weight.path]))
        self._paths = {path: path for path in Positions(self.model).paths}
        self._set_scales(self.model, current_scales(found), saved=True)
        mode = np.array(self._found.mode, "float32")
        mode[self._places] = found.mode
        return dataclasses.replace(found, mode=mode)


def tuned_here(
    found: Approximation, likelihood: Any, prior_scale: str | None, noise: bool, whole: bool
) -> tuple[Approximation, Any]:
    """(the same mode at the scales of the highest evidence, the likelihood with its noise)."""
    groups = groups_of(found, prior_scale, noise)
    at = _logs(found, groups)
    if noise:
        if not isinstance(likelihood, likelihoods.Normal):
            raise ValueError(
                "With refit=False `tune` takes the noise of a Normal likelihood with one number. "
                f"Received: {likelihood!r}. Leave `refit` out."
            )
        at.append(math.log(need_noise(found, 1.0)[1]))
    objective = Objective(found, groups, log_noise if noise else None, whole)
    scales, sigma = objective.read(objective.maximum(at))
    if sigma is not None:
        likelihood = likelihoods.Normal.from_config({**likelihood.get_config(), "scale": sigma})
    return moved(found, scales, sigma), likelihood


def _logs(found: Approximation, groups: Any) -> list[float]:
    """The logarithm of the scale of each group now."""
    now = current_scales(found)
    return [float(np.mean([math.log(now[path]) for path in group])) for group in groups]


def _with_noise(
    found: Approximation, noise: Noise, place: int, t: float, whole: bool
) -> Approximation:
    """The same with z of the noise as one more weight, normal around t."""
    objective = Objective(found, [], noise, whole)
    (below, above), log_prior = (objective([t + h])[1][0] for h in (-_H, _H)), noise(t)[1]
    curvature = (below - above) / (2.0 * _H)
    if not curvature > 0.0:
        raise ValueError(not_positive("a noise whose evidence is not", curvature))

    def shifted(where: slice) -> slice:
        by = int(where.start >= place)
        return slice(where.start + by, where.stop + by)

    return dataclasses.replace(
        found,
        mode=np.insert(found.mode, place, t),
        precision=found.precision.with_coordinate(place, curvature),
        log_prior=found.log_prior + log_prior,
        # At the maximum of its own density.
        slopes=np.insert(found.slopes, place, 0.0, axis=1),
        residuals=None,
        noise=None,
        normal_priors={
            path: (shifted(where), *rest) for path, (where, *rest) in found.normal_priors.items()
        },
    )


def _copy(model: Any) -> Any:
    if is_cloneable(model):
        new, _ = clone(model, lambda layer: None, compiled=False)
    else:
        new = copy_of("tune", model)
    copy_variables(model, new)
    carry_priors(model, new)
    return new


def _head(model: Any, likelihood: Any, observations: Observations) -> tuple[Any, Observations]:
    """(the last Dense layer and what is after it as a model, the data with its features as x)."""
    positions = Positions(model)
    last = LastLayer(
        LaplaceRows(model, positions, likelihood, moved=last_layer_weights(model, positions))
    )
    features = last.features(observations)
    layers = [last.layer, *last.tail]
    copies = [type(layer).from_config(layer.get_config()) for layer in layers]
    head = keras.Sequential([keras.Input(features.shape[1:]), *copies], name=model.name)
    for layer, copy in zip(layers, copies, strict=True):
        copy_variables(layer, copy)
        carry_priors(layer, copy)
    return head, Observations(features, observations.y, observations.weight)


def _is(variable: Any) -> Any:
    return lambda layer, other: other is variable


def _assign(positions: Positions, mode: Any) -> None:
    values = positions.constrain(ops.convert_to_tensor(mode))[0]
    for variable, value in zip(positions.variables, values, strict=True):
        variable.assign(own(value))


def _put(z: Any, place: int, t: Any) -> Any:
    return ops.concatenate([z[:place], ops.reshape(t, (1,)), z[place + 1 :]])
