"""A Keras model with random weights in a NumPyro model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.bridges.library import library
from keras_priors.functional.check_built import check_built
from keras_priors.functional.positions import Positions
from keras_priors.functional.pure_outputs import PureOutputs
from keras_priors.functional.warn_flat import warn_flat
from keras_priors.utils.export import export


@export()
def random_model(model: Any, priors: Mapping[str, Any] | None = None) -> Callable[[Any], Any]:
    """f(.; w) with weights w drawn from their priors: one NumPyro sample site for each weight.

    Called within a NumPyro model, as `numpyro.contrib.module.random_flax_module` is. The sites have
    the paths of the weights as their names, so that handlers (`condition`, `substitute`, `block`,
    `trace`), guides and `Predictive` see each weight; a weight without a prior is an improper
    uniform, which is said by a warning. `num_data` of the priors has no part in it.

    A weight whose prior has an unknown scale s, as in `NormalPrior(0, HalfCauchyPrior(1.0))`, is

        w = loc + s z,   z ~ N(0, 1),   s ~ p(s)

    with the sites "dense/kernel/z" and "dense/kernel/prior_scale", and "dense/kernel" as a
    deterministic one; so is a horseshoe, with a scale for each element.

    f is the output with `training=False`, computed in float32. Weights that are not trained, and
    moving statistics, are those that the model has when the NumPyro model is traced. JAX alone.

    Args:
        model: built `keras.Model` without variational layers, not changed.
        priors: mapping from path to a `keras_priors` prior, or to a NumPyro distribution whose
            shape is that of the weight, in place of the model's own. Defaults to None.

    Returns:
        A function from x, arrays in the structure of the model's inputs, to its outputs.

    Raises:
        ModuleNotFoundError: without NumPyro.
        NotImplementedError: on TensorFlow and PyTorch.
        ValueError: a model that is not built or has variational layers, a penalty that is no prior,
            or `priors` with an unknown path or a distribution of another shape.

    Example:
        >>> import jax, keras, numpy as np, numpyro
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> def regression(x, y=None):
        ...     f = kp.bridges.numpyro.random_model(model)(x)
        ...     numpyro.sample("y", numpyro.distributions.Normal(f, 1.0).to_event(2), obs=y)
        >>> seeded = numpyro.handlers.seed(regression, 0)
        >>> list(numpyro.handlers.trace(seeded).get_trace(np.ones((2, 1))))
        ['line/kernel', 'y']

    Draws come back by `keras_priors.inference.SamplePosterior.from_draws(log_posterior,
    mcmc.get_samples(group_by_chain=True))`.

    References:
        - Phan, Pradhan and Jankowiak, 2019, Composable effects for flexible and accelerated
          probabilistic programming in NumPyro, arXiv:1912.11554.
    """
    numpyro = library("numpyro", ("jax",))
    from keras_priors.bridges.numpyro.site_distribution import site_distribution

    check_built("random_model", model)
    positions = Positions(model, expanded=True)
    number = min((scaled.scale for scaled in positions.scaled), default=len(positions.paths))
    given = dict(priors or {})
    unknown = [path for path in given if path not in positions.paths[:number]]
    if unknown:
        raise ValueError(
            f"`priors` must be for weights of the model: {list(positions.paths[:number])}. "
            f"Received: {unknown}. Take paths as keras_priors.get_priors lists them."
        )
    if not all(path in given for path in positions.without_prior()):
        warn_flat(model, positions)

    def site(k: int) -> Any:
        path, shape = positions.paths[k], positions.shapes[k]
        prior = given.get(path, positions.priors[k])
        return numpyro.sample(path, site_distribution(path, prior, shape))

    scales = {
        scaled.scale: site(scaled.scale)
        for scaled in positions.scaled
        if positions.paths[scaled.weight] not in given
    }
    values = []
    for k, path in enumerate(positions.paths[:number]):
        if not positions.is_scaled(k) or path in given:
            values.append(site(k))
            continue
        scaled = positions.scaled_of(k)
        normal = numpyro.distributions.Normal(np.zeros(positions.shapes[k], "float32"), 1.0)
        z = numpyro.sample(f"{path}/z", normal.to_event())
        values.append(numpyro.deterministic(path, scaled.weight_of(z, scales[scaled.scale])))

    pure = PureOutputs(model, positions.variables[:number])

    def outputs(x: Any) -> Any:
        return pure(values, pure.fixed(), keras.tree.map_structure(ops.convert_to_tensor, x))

    return outputs
