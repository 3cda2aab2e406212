"""The priors of a model, by weight."""

import keras

from keras_priors.functional.check_built import check_built
from keras_priors.functional.weights import find_weights
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export


@export("keras_priors")
def get_priors(model: keras.Model) -> dict[str, Prior | None]:
    """The prior of each trainable weight of a model, None where it has none.

    A posterior of a variational layer is one entry, under the path of the weight that it stands
    for: "dense/kernel", not "dense/kernel_loc". A regularizer that is not a prior, such as
    `keras.regularizers.L2`, counts as none.

    Args:
        model: a built `keras.Model`.

    Returns:
        A dict from path to prior, in the order of the layers. A path is the names of the nested
        models and layers on the way to the weight, and its own, joined by "/"; it is the same
        after saving and loading, as `variable.path` is not. The priors are the model's own, no
        copies.

    Raises:
        TypeError: `model` is not a model.
        ValueError: the model is not built.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0, 1)
        >>> model = keras.Sequential([
        ...     keras.Input((4,)),
        ...     keras.layers.Dense(8, name="hidden", kernel_regularizer=prior),
        ... ])
        >>> kp.get_priors(model)
        {'hidden/kernel': NormalPrior(loc=0.0, scale=1.0, num_data=None), 'hidden/bias': None}
    """
    check_built("get_priors", model)
    return {w.path: w.prior for w in find_weights(model) if w.variable.trainable}
