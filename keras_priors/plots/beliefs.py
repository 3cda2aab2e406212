"""What models and posteriors say of each weight, in one form for all pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_priors.functional.check_built import check_built
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.inference.posterior import Posterior
from keras_priors.posteriors.full_normal import FullNormal
from keras_priors.posteriors.log_normal import LogNormal
from keras_priors.posteriors.low_rank_normal import LowRankNormal
from keras_priors.posteriors.matrix_normal import MatrixNormal
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.priors.joint_normal_part import JointNormalPart
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.priors.prior import Prior
from keras_priors.utils.path_matches import path_matches

_NORMAL = (MeanFieldNormal, FullNormal, LowRankNormal, MatrixNormal)
# Draws of a posterior, fewer where all of them would not fit: numbers in memory at once.
_MOST_DRAWS, _FEWEST_DRAWS, _MOST_NUMBERS = 1000, 20, 100_000_000


@dataclass(frozen=True)
class Belief:
    """The marginal posterior of every element of one weight, and its prior."""

    path: str
    shape: tuple[int, ...]
    mean: Any
    """float64 array of `shape`."""
    sd: Any
    """float64 array of `shape`; 0 for a point."""
    prior: Prior | None
    target: Any
    """What `functional.outputs_at_draws` puts a value in the place of."""
    marginal: Callable[[Any], Any]
    """From flat indices to their distribution: a SciPy one, or the draws (S, len(indices))."""

    @property
    def size(self) -> int:
        """How many elements."""
        return int(self.mean.size)

    @property
    def title(self) -> str:
        """Path and shape, as "hidden/kernel, 4 × 8"."""
        return f"{self.path}, {' × '.join(map(str, self.shape))}" if self.shape else self.path

    def quantiles(self, q: Sequence[float], indices: Any) -> Any:
        """Array (len(q), len(indices))."""
        found = self.marginal(indices)
        if isinstance(found, np.ndarray):
            return np.quantile(found, q, axis=0)
        return found.ppf(np.asarray(q)[:, None])

    def density(self, at: Any, index: int) -> Any:
        """Density of one element at the points; None for a point, which has none."""
        if not self.sd.flat[index] > 0.0:
            return None
        found = self.marginal(np.array([index]))
        if not isinstance(found, np.ndarray):
            return found.pdf(at)
        from scipy.stats import gaussian_kde

        return gaussian_kde(found[:, 0].astype("float64"))(at) if len(found) > 1 else None


def beliefs(owner: str, source: Any, paths: Any = None) -> list[Belief]:
    """One for each weight with a posterior, in the order of the layers.

    Args:
        owner: str, the function that asks, for messages.
        source: a built model with variational layers, or an `inference.Posterior`.
        paths: str or sequence of str, paths or patterns of them. Defaults to None: all.
    """
    if isinstance(source, Posterior):
        found = _of_posterior(source)
    elif isinstance(source, keras.Model):
        check_built(owner, source)
        found = [_of_layer(w) for w in find_weights(source) if w.penalty is not None]
        if not found:
            raise ValueError(
                f"`{owner}` shows posteriors of weights. Received: the model {source.name!r}, "
                "which has none. Make variational layers by keras_priors.to_variational(model), or "
                "give what keras_priors.inference.Laplace().fit(model, x, y) returns."
            )
    else:
        raise TypeError(
            f"`{owner}` takes a keras.Model with variational layers or a posterior of "
            f"keras_priors.inference. Received: {type(source).__name__}."
        )
    if paths is None:
        return found
    wanted = [paths] if isinstance(paths, str) else list(paths)
    chosen = [b for b in found if any(path_matches(b.path, each) for each in wanted)]
    if not chosen:
        raise ValueError(
            f"`paths` must name weights with a posterior. Received: paths={paths!r}. There are: "
            f"{', '.join(b.path for b in found)}."
        )
    return chosen


def one_belief(owner: str, source: Any, path: str | None, fits: Any, what: str) -> Belief:
    """The weight of this path, or the first that fits."""
    found = beliefs(owner, source, path)
    fitting = [b for b in found if fits(b)]
    if not fitting:
        raise ValueError(
            f"`{owner}` shows {what}. Received: {', '.join(b.title for b in found)}, none of "
            "which is one. Name another by `path`."
        )
    return fitting[0]


def _of_layer(weight: Weight) -> Belief:
    q: Any = weight.penalty.posterior  # type: ignore[union-attr]
    mean, sd = (keras.ops.convert_to_numpy(v).astype("float64") for v in (q.mean(), q.stddev()))
    if q.support == "point":
        sd = np.zeros_like(mean)

    def marginal(indices: Any) -> Any:
        from scipy import stats

        m, s = mean.reshape(-1)[indices], sd.reshape(-1)[indices]
        if q.support == "point":
            return m[None]
        if isinstance(q, _NORMAL):
            return stats.norm(m, s)
        if isinstance(q, LogNormal):
            spread = np.log1p(np.square(s / m))
            return stats.lognorm(np.sqrt(spread), scale=m * np.exp(-0.5 * spread))
        draws = (q.sample(seed) for seed in range(_MOST_DRAWS))
        return np.stack([keras.ops.convert_to_numpy(w).reshape(-1)[indices] for w in draws])

    return Belief(weight.path, weight.shape, mean, sd, _prior_of(weight), q, marginal)


def _of_posterior(posterior: Posterior) -> list[Belief]:
    means, sds = posterior.mean(), posterior.stddev()
    drawn: dict[str, Any] = {}

    def draws(path: str) -> Any:
        if not drawn:
            most = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _MOST_NUMBERS // _size(means)))
            number = min(most, posterior.default_num_samples)
            with warnings.catch_warnings():
                # About what draws predict; here each weight is looked at by itself.
                warnings.filterwarnings("ignore", "Draws of the weights of a Laplace", UserWarning)
                drawn.update(posterior.draws(number, seed=0))
        return drawn[path]

    def belief(path: str, mean: Any, target: Any) -> Belief:
        def marginal(indices: Any) -> Any:
            values = draws(path)
            return values.reshape(len(values), -1)[:, indices]

        mean, sd = (np.asarray(v, "float64") for v in (mean, sds[path]))
        prior = priors.get(path)
        return Belief(path, mean.shape, mean, sd, prior, target, marginal)

    priors = {w.path: _prior_of(w) for w in find_weights(posterior.model)}
    targets = dict(zip(posterior.paths, posterior.positions.variables, strict=True))
    return [belief(path, mean, targets[path]) for path, mean in means.items()]


def _size(values: dict[str, Any]) -> int:
    return max(1, sum(int(np.size(v)) for v in values.values()))


def _prior_of(weight: Weight) -> Prior | None:
    """With the mean of a scale that a layer has learned; None where there is no density."""
    learned = None if weight.penalty is None else weight.penalty.learned
    if learned is not None:
        scale = keras.ops.convert_to_numpy(learned.scale.mean())
        return NormalPrior(learned.loc, np.broadcast_to(scale, weight.shape).copy())
    prior = weight.prior
    if isinstance(prior, JointNormalPart):
        return prior.marginal()
    return None if prior is None or prior.latent_scale is not None else prior
