"""What a model says before it has seen data."""

from typing import Any

from keras_priors.functional.output_likelihoods import given_likelihoods
from keras_priors.functional.outputs_at_draws import outputs_at_draws
from keras_priors.functional.weights import find_weights
from keras_priors.models.sample_prior import sample_prior
from keras_priors.predictive.wrap import wrap
from keras_priors.utils.export import export
from keras_priors.utils.progress import check_verbose


@export("keras_priors")
def prior_predictive(
    model: Any,
    x: Any,
    num_samples: int = 100,
    likelihood: Any = None,
    batch_size: int | None = None,
    seed: Any = None,
    verbose: Any = "auto",
) -> Any:
    """The predictive of `model` at `x` under draws of its weights from their priors.

        f_s = model(x; w_s),   w_s ~ p(w),   s = 1 ... num_samples

    To see what a prior believes about functions before any data are spent on it. The same draws as
    those of `keras_priors.sample_prior` with this seed.

    Args:
        model: built `keras.Model`, all of whose trained weights have a prior.
        x: rows, as `keras_priors.predict` takes them.
        num_samples: integer, number S of draws. Defaults to 100.
        likelihood: as in `keras_priors.predict`. Defaults to None: that of the compiled model.
        batch_size: integer, most rows in a chunk. Defaults to None: as memory bears.
        seed: integer, `keras.random.SeedGenerator` or None for a fresh one.
        verbose: "auto", 1 or 0, for the progress bar.

    Returns:
        A `keras_priors.Predictive`; for a model with several outputs, the structure of its
        outputs with one at each.

    Raises:
        TypeError: `model` is no Keras model, or `x` is no data.
        ValueError: a weight without a prior, a model that is not built, inputs of the wrong shape.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, kernel_regularizer=kp.NormalPrior(0, 1), bias_regularizer=kp.NormalPrior(0, 1))])
        >>> p = kp.prior_predictive(model, np.array([[0.0], [3.0]]), 4000, seed=0)
        >>> p.draws.shape, bool(abs(p.epistemic[1, 0] - 10) < 1)      # 1 + 3^2
        ((4000, 2, 1), True)

    References:
        - Gelman et al., 2020, Bayesian workflow, section 2.4, arXiv:2011.01808.
    """
    check_verbose(verbose)
    draws = sample_prior(model, num_samples, seed)
    by_path = {w.path: w for w in find_weights(model)}
    draws = {path: value for path, value in draws.items() if path in by_path}  # no prior's scale
    weights = [by_path[path] for path in draws]
    targets = [w.variable if w.penalty is None else w.penalty.posterior for w in weights]
    outputs = outputs_at_draws(
        model,
        targets,
        lambda start, stop: [value[start:stop] for value in draws.values()],
        num_samples,
        x,
        batch_size,
        verbose,
    )
    return wrap(model, outputs, given_likelihoods(likelihood))
