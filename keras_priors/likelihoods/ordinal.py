"""The likelihood of ordered classes."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.interval import log_interval
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.link import checked_link, log_probabilities, probability
from keras_priors.likelihoods.special import log1m_exp, log_normal_density
from keras_priors.utils.export import export
from keras_priors.utils.parameters import tensor, whole_number

_MIN_GAP = 1e-6


@export()
class Ordinal(Likelihood):
    """One of c ordered classes, 0 to c - 1: grades, stages, answers from "never" to "always".

        P(y > k | f) = F(f - a_k),   a_0 = 0,   a_k = a_(k-1) + 1e-6 + softplus(r_k)

    for k = 0 ... c - 2, with F the logistic function ("logit", where it is the model of
    proportional odds) or that of the standard normal ("probit"). A larger score f makes higher
    classes more likely. The outputs are f and the c - 2 raw gaps r between the cutpoints a. The
    first cutpoint is 0, so that the bias of the last layer stands for it; with 2 classes there is
    no gap, and it is `Bernoulli`.

    Behind `keras_priors.layers.Cutpoints(num_classes)` the gaps are weights, the same for all
    rows; from a `Dense(num_classes - 1)` each row has gaps of its own.

    Args:
        num_classes: integer of at least 2, c.
        link: "logit", or "probit". Defaults to "logit".
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., c - 1), first the score, then the raw gaps; targets (n, ...) or
        (n, ..., 1), class indices. Another number has no density: the loss is +inf. `mean`,
        `variance` and `sample`, (n, ..., 1), are those of the index.

    Raises:
        TypeError: `num_classes` is no integer.
        ValueError: fewer than 2 classes, another `link`, outputs or targets of another shape, or
            `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Ordinal(3)
        >>> score, gap = 0.0, np.log(np.e - 1.0)                   # cutpoints 0 and 1
        >>> p = likelihood.probabilities(np.array([[score, gap]], "float32"))
        >>> [round(float(each), 3) for each in p[0]]
        [0.5, 0.231, 0.269]

    References:
        - McCullagh, 1980, Regression models for ordinal data, Journal of the Royal Statistical
          Society B 42(2), equation 2.2.
    """

    is_discrete = True
    _parameters = ("num_classes", "link")

    def __init__(
        self,
        num_classes: int,
        link: str = "logit",
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.num_classes = whole_number("Ordinal", "num_classes", num_classes)
        if self.num_classes < 2:
            raise ValueError(
                f"`num_classes` of Ordinal must be at least 2. Received: num_classes={num_classes}."
            )
        self.link = checked_link("Ordinal", link)
        self._outputs_per_target = self.num_classes - 1

    def probabilities(self, outputs: Any) -> Any:
        """Probability of every class, along the last axis."""
        return ops.exp(self._log_probabilities(self._checked(outputs)))

    def mean(self, outputs: Any) -> Any:
        """E[y] = sum_k P(y > k), of the class index."""
        above = self._above(outputs)
        return ops.sum(above, axis=-1, keepdims=True)

    def variance(self, outputs: Any) -> Any:
        """Var[y] = sum_k (2 k + 1) P(y > k) - E[y]^2, of the class index."""
        p = self.probabilities(outputs)
        away = ops.arange(self.num_classes, dtype=p.dtype) - self.mean(outputs)
        return ops.sum(p * ops.square(away), axis=-1, keepdims=True)

    def distribution(self, outputs: Any) -> Any:
        """A native `Independent` of one `Categorical` over class indices."""
        logits = self._log_probabilities(self._checked(outputs))[..., None, :]
        each = backend.distribution("Categorical", logits=logits)
        return backend.distribution("Independent", distribution=each, ndims=1)

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        width = self.num_classes - 1
        if not shape or shape[-1] != width:
            raise ValueError(
                f"Ordinal({self.num_classes}) takes {width} outputs for each observation: a score "
                f"and {width - 1} gaps. Received: outputs of shape {shape}. End the model with "
                f"keras.layers.Dense(1) and keras_priors.layers.Cutpoints({self.num_classes})."
            )

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """Class indices with the axes of the observations."""
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        y = align("Ordinal", y, outputs, [(), (1,)], draws)
        return ops.squeeze(y, axis=-1) if len(y.shape) == len(outputs.shape) else y

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        known = ops.logical_and(ops.logical_and(y >= 0.0, y < self.num_classes), y == ops.floor(y))
        # Not `ops.one_hot`, which PyTorch cannot vectorize.
        classes = ops.arange(self.num_classes, dtype=outputs.dtype)
        picked = ops.where(known, y, 0.0)[..., None] == classes
        log_density = ops.sum(ops.where(picked, self._log_probabilities(outputs), 0.0), axis=-1)
        return ops.where(known, log_density, ops.cast(-np.inf, outputs.dtype))

    def _scores_and_gaps(self, outputs: Any) -> tuple[Any, Any]:
        """f - a_k (..., c - 1), and the gaps a_k - a_(k-1) (..., c - 2)."""
        score, gaps = outputs[..., :1], _MIN_GAP + ops.softplus(outputs[..., 1:])
        # Not `ops.cumsum`, which on PyTorch rounds float64 to float32, nor a product of matrices,
        # which some devices round.
        up_to = tensor(np.tri(self.num_classes - 2), gaps.dtype)
        below = ops.sum(gaps[..., None, :] * up_to, axis=-1)
        return ops.concatenate([score, score - below], axis=-1), gaps

    def _above(self, outputs: Any) -> Any:
        """P(y > k), (..., c - 1)."""
        return probability(self.link, self._scores_and_gaps(self._checked(outputs))[0])

    def _log_probabilities(self, outputs: Any) -> Any:
        scores, gaps = self._scores_and_gaps(outputs)
        above, below = log_probabilities(self.link, scores)
        parts = [below[..., :1]]
        if self.num_classes > 2:
            if self.link == "logit":
                # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
                parts.append(above[..., :-1] + below[..., 1:] + log1m_exp(gaps))
            else:
                low = above[..., 1:], below[..., 1:]
                high = above[..., :-1], below[..., :-1]
                parts.append(log_interval(low, high, scores[..., 1:], gaps, log_normal_density))
        parts.append(above[..., -1:])
        return ops.concatenate(parts, axis=-1)

    def _information(self, y: Any, outputs: Any) -> Any:
        """Fisher information: the mean over the classes of the squares of their scores."""
        del y
        flat = ops.reshape(outputs, (-1, self.num_classes - 1))
        slopes = backend.vectorize(backend.jacobian(self._log_probabilities))(flat)
        p = ops.exp(self._log_probabilities(flat))
        found = ops.transpose(slopes, (0, 2, 1)) @ (p[..., None] * slopes)
        return ops.reshape(found, (*outputs.shape, self.num_classes - 1))
