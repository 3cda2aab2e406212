"""Tell a whole model how many observations it is trained on."""

from typing import Any

import keras
import numpy as np

from keras_priors.functional.count_observations import count_observations
from keras_priors.functional.traversal import find_owners
from keras_priors.functional.weights import find_weights
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.models.count_of_loss import check_given, count_of_loss
from keras_priors.models.remake_functions import remake_functions
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive


@export("keras_priors")
def set_num_data(model: keras.Model, data: Any, temperature: float | None = None) -> int:
    """Set `num_data` of every prior and every variational layer of a model.

    The loss that `fit` then minimizes is, up to a constant, the negative log posterior (with
    variational layers the negative evidence lower bound) per observation:

        loss = mean_i -log p(y_i | x_i, w)  +  1 / num_data * (-log p(w) or kl_weight * KL(q‖p))

    At a temperature T other than 1 variational layers minimize

        loss = E_q[mean_i -log p(y_i | x_i, w)]  +  1 / num_data * (-E_q[log p(w)] - T H(q))

    in place of it: the optimum is the q nearest to p(w | data)^(1/T). T = 1 is Bayes' rule. Below
    1 the posterior is colder: nearer to the best point, narrower by about sqrt(T), as if each
    observation and the prior had been seen 1/T times. What is then read from it is no belief that
    follows from prior and likelihood, but one that was chosen because it predicts better, by
    validation data. The loss is no bound on the evidence any more, so models are not compared by
    it. Penalties of point estimates have no entropy, and T no part in them.

    Call it before `fit`, and again when the amount of data changes: functions that are traced
    already are made anew and take the new value, also in the midst of a `fit`. The value is
    saved with the model: in the configs of its priors and layers, and beside its weights for a
    subclassed model, whose own `__init__` makes them. `load_weights` leaves it as it is.

    Without it the weight is 1, and `fit` warns, once, with the line that mends it; so does, in a
    training loop of your own, the first use of `model.losses`, also by `compute_loss` or
    `stateless_call`.

    Priors are found on the weights and on the attributes of all layers of functional, sequential,
    subclassed and nested models, inside wrappers and RNN cells too. Of a model that is not built
    yet, those that its layers hold already.

    Args:
        model: the `keras.Model`.
        data: the training data, or the number of observations in them. One of
            - an integer of at least 1, taken as it is;
            - an array or tensor, or a dict, list or tuple of such (`x_train` or
              `(x_train, y_train)`): the length of the first axis, which must be one;
            - a `tf.data.Dataset`: the observations in its batches. As in `fit`, an element is a
              batch and its first axis the batch axis, unless its components are scalars or have
              first axes of different lengths: then each element is an observation. Where batches
              are not known to be equally long, the dataset is read once, from beginning to end;
            - a `keras.utils.PyDataset`: every batch is loaded once and counted;
            - a `torch.utils.data.DataLoader`: the observations of one epoch, from its sampler,
              without an incomplete last batch if it is dropped. Only if an `IterableDataset` is
              behind it is it read once.

            Not the validation data: of `fit(x, y, validation_split=0.2)` pass the 80 percent.
        temperature: float T greater than 0, for all variational layers. Defaults to None: each
            keeps its own, which is 1 where nothing else was said.

    Returns:
        The integer that was set.

    Where the outputs have axes between the first and the last, as (N, T, C) of sequences or
    (N, H, W, C) of images, the mean of the loss runs over them too: of data, their rows are counted
    times T, or H W. That is read from the shape of the outputs and from the loss, at once or, if
    the model is not built or compiled yet, in the first `fit`, which warns where something else was
    set. Masked steps do not count: pass `set_num_data(model, int(mask.sum()))`.

    A prior object that two models share is set for both, but only the functions of `model` and of
    the models within it are made anew. A prior that no layer has in an attribute is not saved:
    one put on a variable by `variable.regularizer = prior` alone is gone after loading, and one
    that a layer makes for `add_weight` and does not keep comes back without `num_data`, of which
    the next `fit` warns. Call `set_num_data` again after loading such a model.

    Warns:
        UserWarning: the number of terms of the loss is not known (sequences of variable length in
            a data set, masks, a loss that computes its own mean), or is surely another.

    Raises:
        TypeError: `model` is not a model, or `data` is none of the above.
        ValueError: the model holds no prior and no variational layer, the number is below 1, a
            temperature that is not above 0, or one for a model without variational layers; the
            arrays differ in length, or the data have no end; or a stock loss of Keras ("mse")
            stands behind `NoiseScale`, at once or in the first `fit`.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([
        ...     keras.Input((4,)),
        ...     keras.layers.Dense(8, kernel_regularizer=kp.NormalPrior(0, 1)),
        ...     kp.VariationalDense(3),
        ... ])
        >>> x_train = np.zeros((150, 4), "float32")
        >>> kp.set_num_data(model, x_train)
        150
        >>> model.layers[0].kernel_regularizer.num_data, model.layers[1].num_data
        (150, 150)

    References:
        - Wenzel et al., 2020, How good is the Bayes posterior in deep neural networks really?,
          arXiv:2002.02405, section 2 and equation 1 (temperature).
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model. "
            f"Received: {model!r} of type {type(model).__name__}. "
            "For a single prior or layer write `prior.num_data = 60000`."
        )
    num_data = count_observations(data)
    owners = find_owners(model)
    if model.built:
        find_weights(model)  # parts of a joint prior are told what they are over
    if not owners:
        raise ValueError(_nothing_found(model))
    layers = [owner for owner in owners if isinstance(owner, VariationalLayer)]
    if temperature is not None:
        _check_temperature(model, layers, temperature)
    given, check = isinstance(data, (int, np.integer)), None
    if not given:
        num_data, check = count_of_loss(model, num_data, data)
    for owner in owners:
        owner.num_data = num_data
        owner._num_data_check = check
    for layer in layers:
        layer.temperature = layer.temperature if temperature is None else temperature
    if given:
        check_given(model, num_data)
    remake_functions(model)
    return num_data


def _check_temperature(model: keras.Model, layers: list[VariationalLayer], value: Any) -> None:
    if one_positive("set_num_data", "temperature", value) != 1.0 and not layers:
        raise ValueError(
            "`temperature` weighs the entropy of posteriors, and a model of point estimates has "
            f"none. Received: temperature={value!r} for {model.name}, which has no variational "
            "layer. Leave it out, or turn the model by keras_priors.to_variational first."
        )


def _nothing_found(model: keras.Model) -> str:
    rule = "`set_num_data` needs a model with priors or variational layers. "
    if not model.built:
        return (
            rule + f"Received: {model.name}, which is not built yet and whose layers hold none. "
            "If they come with its weights, build it first (`model.build(input_shape)`, or call it "
            "on a batch); else add one, as below, before you build it:\n"
            "    keras.layers.Dense(10, kernel_regularizer=keras_priors.NormalPrior(0, 1))"
        )
    return (
        rule + f"Received: {model.name}, in which none was found. Give it some as it is,\n"
        "    keras_priors.set_priors(model, keras_priors.NormalPrior(0, 1))\n"
        "or make it variational, `keras_priors.to_variational(model)`. Where you write its layers: "
        "`kernel_regularizer=keras_priors.NormalPrior(0, 1)`, or `keras_priors.VariationalDense` "
        "for `keras.layers.Dense`."
    )
