"""Whether the last activation of a model gives what its likelihood takes."""

import inspect
from typing import Any

import keras

from keras_priors.functional.likelihood_of import likelihood_of
from keras_priors.layers.noise_scale import NoiseScale
from keras_priors.likelihoods.output_scale import activation_name, advice
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import (
    functional_graph,
    is_keras_class,
    maker_of,
    output_keys,
    user_metrics,
)
from keras_priors.utils.warn import warn

# What leaves the values of an output as they are.
_PASSING = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
)


@share
def check_activations(model: Any, likelihoods: Any = None) -> None:
    """Warn where logits, probabilities and rates are taken for one another.

    Only of functional and sequential models, whose last layers are known.

    Args:
        model: a built `keras.Model`.
        likelihoods: one for all outputs, or a structure of them. Defaults to None: the compiled
            loss, where it is one.
    """
    graph = None if not model.built else functional_graph(model) if _has_graph(model) else None
    if graph is None:
        return
    if likelihoods is None:
        _refuse_noise_scale(model, list(graph.outputs))
        try:
            likelihoods = likelihood_of(model)
        except (TypeError, ValueError) as error:
            if model.compiled and _is_stock(model.loss):
                warn(
                    "A prior is weighed against a log likelihood. Received: a loss that is none. "
                    f"{error} (In {model.name}.)",
                )
            return
        _check_metrics(model, likelihoods)
        # A loss for one of several outputs is given alone.
        if isinstance(model.loss, dict) and "class_name" not in model.loss and len(model.loss) == 1:
            likelihoods = dict.fromkeys(model.loss, likelihoods)
    for likelihood, output in _pairs(model, likelihoods, list(graph.outputs)):
        activation = None if likelihood is None else _last(output)
        wrong = None if activation is None else advice(likelihood, activation)
        if wrong is not None:
            warn(
                f"{wrong} (In {model.name}.)",
            )


def _refuse_noise_scale(model: Any, outputs: list[Any]) -> None:
    """Refuse Keras' own losses after `NoiseScale`: they take its scales for predictions."""
    loss = model.loss if model.compiled else None
    if isinstance(loss, dict) and "class_name" in loss:
        return
    for one, output in _pairs(model, loss, outputs):
        if _is_stock(one) and isinstance(maker_of(output)[0], NoiseScale):
            raise ValueError(
                "NoiseScale gives means and scales, which only a likelihood with both explains. "
                f"Received: {model.name} with the loss {one!r}, which would compare targets with "
                "the scales too. Compile with "
                "loss=keras_priors.likelihoods.HeteroscedasticNormal()."
            )


def _check_metrics(model: Any, likelihoods: Any) -> None:
    """Warn of Keras' own metrics beside outputs that are more than means."""
    wide = [
        one
        for one in keras.tree.flatten(likelihoods)
        if one is not None and one._outputs_per_target > 1
    ]
    found = [metric for metric in user_metrics(model) if _is_stock(metric)]
    if wide and found:
        first = found[0] if isinstance(found[0], str) else getattr(found[0], "name", found[0])
        warn(
            f"A metric of predictions compares targets with means. Received: {first!r} beside "
            f"{wide[0]!r}, whose outputs are {wide[0]._outputs_per_target} for each target: it "
            "averages over all of them. Write metrics=[keras_priors.metrics.LikelihoodMean("
            f"likelihood, {first!r})].",
        )


def _is_stock(one: Any) -> bool:
    """Whether a loss or a metric is Keras' own: by name, as a function, class or instance."""
    maker: Any = one if inspect.isclass(one) or inspect.isroutine(one) else type(one)
    return one is not None and (isinstance(one, str) or is_keras_class(maker))


def _has_graph(model: Any) -> bool:
    return bool(getattr(model, "outputs", None))


def _pairs(model: Any, likelihoods: Any, outputs: list[Any]) -> list[tuple[Any, Any]]:
    if isinstance(likelihoods, dict):
        names = output_keys(model) or list(getattr(model, "output_names", []))
        return [(likelihoods.get(n), o) for n, o in zip(names, outputs, strict=False)]
    if isinstance(likelihoods, (list, tuple)):
        return list(zip(likelihoods, outputs, strict=False))
    return [(likelihoods, output) for output in outputs]


def _last(output: Any) -> str | None:
    """The name of the activation that gave an output; "linear" for none; None if unknown."""
    while True:
        layer, inputs = maker_of(output)
        if isinstance(layer, keras.layers.Wrapper):
            layer = layer.layer
        if isinstance(layer, keras.layers.Softmax):
            return "softmax"
        if isinstance(layer, keras.layers.ReLU):
            return "relu"
        if isinstance(layer, keras.Model):
            inner = functional_graph(layer) if _has_graph(layer) else None
            if inner is None or len(inner.outputs) != 1:
                return None
            output = inner.outputs[0]
            continue
        name = activation_name(getattr(layer, "activation", None))
        passes = isinstance(layer, _PASSING) or (
            isinstance(layer, keras.layers.Activation) and name == "linear"
        )
        if not passes or len(inputs) != 1:
            return name
        output = inputs[0]
