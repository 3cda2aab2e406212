"""Split conformal sets of classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.calibration.conformal_threshold import conformal_threshold, warn_of_too_few
from keras_priors.calibration.rows_held_back import (
    check_classes,
    check_fitted,
    class_probabilities,
    kind_of,
    labels_of,
)
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between, real, seed_or_none, whole_number

_SCORES = ("lac", "aps", "raps")


@export()
class SplitConformalClassifier:
    """Sets of classes that hold the true one as often as they say, whatever the model.

        set = { c : score(c) <= t }

        "lac"    1 - p(c)
        "aps"    sum of all p(k) > p(c), + u p(c)
        "raps"   that of "aps" + penalty max(0, rank of c - free_rank)

    with p = mean_s p(. | f_s), ranks from 1 for the most probable class, u uniform on (0, 1) for
    each row, and t the k-th smallest score of the n true classes of rows held back,
    k = ceil((n + 1) coverage). Then

        P(y_new in set) >= k / (n + 1) >= coverage

    for any model and any data, as long as these n rows and the new one come from the same place,
    in any order (they are exchangeable), and trained nothing. The first is an equality where no
    two scores are equal. "lac" has the smallest sets on average where the probabilities are right;
    "aps" gives more classes to rows of which the model is unsure, so that coverage differs less
    from row to row; "raps" leaves out the long tail of classes. A set may be empty: then no class
    is likely enough.

    Where `class_conditional`, each class has a threshold from its own rows, and the coverage holds
    among the rows of each class; a class with too few rows is in every set.

    Of `Bernoulli` with several outputs each label is calibrated by itself, with a set of its own
    of 0 and 1. So are steps of sequences, of which the rows at one step are exchangeable and the
    steps of one row are not.

    Args:
        score: "lac", "aps" or "raps". Defaults to "lac".
        coverage: float between 0 and 1. Defaults to 0.9.
        class_conditional: bool. Defaults to False: on average over classes.
        randomized: bool, of "aps" and "raps". Where False, u is 0: a row has the same set each
            time, never an empty one, and rows are held more often than `coverage` where the most
            probable class alone is right more often. Defaults to True.
        penalty: float of at least 0, of "raps". Defaults to 0.01.
        free_rank: integer, of "raps". Choose both before rows held back are looked at. Defaults
            to 5.
        seed: integer, or None for fresh u in every call. Defaults to None.

    Attributes:
        threshold_: t: float; with a last axis C where `class_conditional`, and the axes of labels
            and steps before it where there are several.

    Raises:
        TypeError: an argument of another type.
        ValueError: another `score`, a `coverage` that is not between 0 and 1, a `penalty` below 0.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Categorical(from_logits=False)
        >>> draws = np.array([[[0.6, 0.3, 0.1]] * 9])
        >>> predictive = kp.Predictive(draws, likelihood)
        >>> conformal = kp.calibration.SplitConformalClassifier(coverage=0.8)
        >>> conformal = conformal.fit(predictive, [0] * 6 + [1] * 2 + [2])
        >>> conformal.predict(predictive)[0].tolist()
        [True, True, False]

    References:
        - Sadinle, Lei and Wasserman, 2019, Least ambiguous set-valued classifiers with bounded
          error levels, arXiv:1609.00451.
        - Romano, Sesia and Candès, 2020, Classification with valid and adaptive coverage,
          section 2, arXiv:2006.02544.
        - Angelopoulos et al., 2021, Uncertainty sets for image classifiers using conformal
          prediction, algorithms 2 and 3, arXiv:2009.14193.
        - Vovk, 2012, Conditional validity of inductive conformal predictors, arXiv:1209.2673.
    """

    def __init__(
        self,
        score: str = "lac",
        *,
        coverage: float = 0.9,
        class_conditional: bool = False,
        randomized: bool = True,
        penalty: float = 0.01,
        free_rank: int = 5,
        seed: int | None = None,
    ) -> None:
        owner = "SplitConformalClassifier"
        if score not in _SCORES:
            raise ValueError(f"`score` must be one of {_SCORES}. Received: score={score!r}.")
        for name, value in (("class_conditional", class_conditional), ("randomized", randomized)):
            if not isinstance(value, bool):
                raise TypeError(f"`{name}` of {owner} must be True or False. Received: {value!r}.")
        self.score = score
        self.coverage = number_between(owner, "coverage", coverage, 0.0, 1.0)
        self.class_conditional = class_conditional
        self.randomized = randomized
        self.penalty = real(owner, "penalty", penalty)
        if not isinstance(self.penalty, float) or self.penalty < 0:
            raise ValueError(
                f"`penalty` of {owner} must be one number of at least 0. Received: {penalty!r}."
            )
        self.free_rank = whole_number(owner, "free_rank", free_rank)
        self.seed = seed_or_none(owner, seed)
        self.threshold_: Any = None
        self._kind: Any = None

    def fit(self, predictive: Any, y: Any) -> SplitConformalClassifier:
        """Finds the thresholds.

        Args:
            predictive: `Predictive` of classes for n rows that trained nothing.
            y: their classes, in the form in which a model is trained on them.

        Returns:
            Itself. Warns where there are too few rows for this coverage: then the sets are full,
            or all hold the classes with too few.

        Raises:
            TypeError: `predictive` is no `Predictive`.
            ValueError: no likelihood of classes, NaN, labels that are none or do not fit.
        """
        check_classes("SplitConformalClassifier", predictive, ordered=True)
        labels = labels_of("SplitConformalClassifier", predictive, y)
        scores = self._scores(class_probabilities(predictive), 0)
        of_true = np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
        if self.class_conditional:
            found = _of_each_class(of_true, labels, scores.shape[-1], self.coverage)
        else:
            found = conformal_threshold(of_true, self.coverage)
            if np.isinf(found).any():
                warn_of_too_few(self.coverage, f"{len(labels)} rows", "every set is full")
        found = found.reshape(self._shape(predictive, found))
        self.threshold_ = found if found.ndim else float(found)
        self._kind = kind_of(predictive)
        return self

    def predict(self, predictive: Any) -> Any:
        """Which classes are in the set of each row.

        Args:
            predictive: `Predictive` of any rows, of the same classes.

        Returns:
            Boolean array (N, ..., C); (N, ..., 2), of 0 and 1, for Bernoulli.
        """
        check_fitted("SplitConformalClassifier", self._kind)
        check_classes("SplitConformalClassifier", predictive, ordered=True)
        check_fitted("SplitConformalClassifier", self._kind, kind_of(predictive))
        probabilities = class_probabilities(predictive)
        threshold = np.asarray(self.threshold_)
        last = threshold.shape[-1:] if self.class_conditional else (1,)
        sets = self._scores(probabilities, 1) <= threshold.reshape(
            *probabilities.shape[1:-1], *last
        )
        if not isinstance(predictive.likelihood, Bernoulli):
            return sets[..., 0, :]
        return sets.reshape(*predictive.draws.shape[1:], 2)

    def _scores(self, p: Any, call: int) -> Any:
        """The score of each class, (N, ..., C); `call` tells the u of `fit` and of `predict`."""
        if self.score == "lac":
            return 1.0 - p
        order = np.argsort(-p, axis=-1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=-1)
        u: Any = 0.0
        if self.randomized:
            seeds = np.random.SeedSequence(self.seed).spawn(2)
            u = np.random.default_rng(seeds[call]).uniform(size=(*p.shape[:-1], 1))
        scores = np.cumsum(ranked, axis=-1) - ranked + u * ranked
        if self.score == "raps":
            rank = np.arange(1, p.shape[-1] + 1)
            scores = scores + self.penalty * np.maximum(rank - self.free_rank, 0)
        found = np.empty_like(scores)
        np.put_along_axis(found, order, scores, axis=-1)
        return found

    def _shape(self, predictive: Any, found: Any) -> tuple[int, ...]:
        """Without the axis of labels where there is one alone."""
        units = predictive.draws.shape[2:]
        if not isinstance(predictive.likelihood, Bernoulli) or units == (1,):
            units = units[:-1]
        return (*units, found.shape[-1]) if self.class_conditional else units


def _of_each_class(scores: Any, labels: Any, classes: int, coverage: float) -> Any:
    """Thresholds (..., C) of the rows of each class, of scores and labels (n, ...)."""
    shape = scores.shape[1:]
    columns = scores.reshape(len(scores), -1), labels.reshape(len(scores), -1)
    found = np.array(
        [
            [conformal_threshold(s[which == c], coverage) for c in range(classes)]
            for s, which in zip(*(each.T for each in columns), strict=True)
        ]
    )
    few = np.isinf(found)
    if few.any():
        unit, c = (int(k) for k in np.argwhere(few)[0])
        count = int((columns[1][:, unit] == c).sum())
        which = np.unique(np.argwhere(few)[:, 1]).tolist()
        warn_of_too_few(
            coverage,
            f"{count} rows of class {c}" + (f", too few of each of {which}" * (len(which) > 1)),
            "these classes are in every set" if len(which) > 1 else "it is in every set",
        )
    return found.reshape(*shape, classes)
