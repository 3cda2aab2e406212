"""The docstring of a twin: what its class body says, and what it has in common with others."""

import inspect
import re
import textwrap
from typing import Any

from keras_priors.layers.constructor_arguments import keras_layer_of

# Of what Keras takes; what differs between the ranks of a convolution is in braces.
_KERAS_ARGUMENTS = {
    "filters": "integer, number of output channels.",
    "kernel_size": "integer or tuple of {integers}, the window.",
    "strides": "integer or tuple of {integers}, the steps of the window.",
    "padding": '"valid" or "same".',
    "output_padding": "integer or tuple of {integers} or None, what is added to one side of the "
    "output.",
    "data_format": '"channels_last", "channels_first" or None, which is '
    "`keras.config.image_data_format()`.",
    "dilation_rate": "integer or tuple of {integers}, the gaps in the window.",
    "depth_multiplier": "integer, channels of the depthwise convolution for each channel of the "
    "input.",
    "groups": "integer, parts into which channels are split, each with filters of its own.",
    "activation": "activation function, name or None.",
    "use_bias": "boolean, whether a bias is added.",
    "activity_regularizer": "regularizer of the output.",
}
# Of what a twin takes for each of its weights: `bias_prior` and so on.
_WEIGHT_ARGUMENTS = {
    "initializer": "initializer of the posterior mean of the {weight}.",
    "regularizer": "a prior; the same as `{word}_prior`.",
    "constraint": 'constraint on a point estimate (`{word}_posterior="delta"`).',
    "prior": "prior of the {weight}. Defaults to `NormalPrior(0, 1)`.",
    "posterior": "posterior or name, family of the {weight}.",
}
_OWN_ARGUMENTS = {
    "estimator": '"reparameterization", "local_reparameterization" (an approximation where an '
    'observation has several positions) or "flipout".',
    "num_data": "integer or None, number of observations whose mean is the loss; see "
    "`keras_priors.set_num_data`.",
    "temperature": "float greater than 0, the weight of the entropy; see "
    "`keras_priors.set_num_data`.",
    "kl_samples": "integer, draws for a KL without closed form.",
    "seed": "integer from 0 to 2^31 - 1, or None, seed of the draws.",
    "kwargs": "those of `keras.layers.Layer`.",
}
_VALUE_ERROR = (
    "what `{layer}` refuses, a regularizer that is not a prior, a prior whose support the "
    "posterior leaves, an estimator that the family does not have."
)
_REFERENCES = """\
    - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424.
    - Kingma, Salimans and Welling, 2015, Variational dropout and the local reparameterization
      trick, arXiv:1506.02557.
    - Wen et al., 2018, Flipout, arXiv:1803.04386."""
_INTEGERS = {1: "one integer", 2: "two integers", 3: "three integers"}
_AXES = {1: ["length"], 2: ["height", "width"], 3: ["depth", "height", "width"]}
_WEIGHTS = {"embeddings": "table"}

_SECTIONS = ("Args", "Input shape", "Output shape", "Raises", "Example", "References")
_WIDTH = 96


def document(twin: Any) -> None:
    """Complete the docstring of a twin with what its class body leaves out.

    A body says the first line, the formula and an example. What else it says stands: notes, an
    argument or an error that others lack or that is more for this twin, a section. Defaults are
    those of the signature, where the text does not say one.
    """
    if not twin.__doc__:  # `python -OO`
        return
    head, own = _sections_of(inspect.cleandoc(twin.__doc__))
    value_error = _VALUE_ERROR.format(layer=keras_layer_of(twin).__name__)
    sections = {
        **_shapes(twin),
        "References": _REFERENCES,
        **own,
        "Args": _listed(_arguments(twin, _entries(own.get("Args", "")))),
        "Raises": _listed({"ValueError": value_error, **_entries(own.get("Raises", ""))}),
    }
    notes = [inspect.cleandoc(twin.twin_notes)] if twin.twin_notes else []
    written = [f"{name}:\n{sections[name]}" for name in _SECTIONS if name in sections]
    twin.__doc__ = "\n\n".join([head, *notes, *written]) + "\n"


def _arguments(twin: Any, said: dict[str, str]) -> dict[str, str]:
    """The text of each argument in the order of the signature; `said` is what the body says."""
    texts = {}
    for name, parameter in list(inspect.signature(twin.__init__).parameters.items())[1:]:
        shown = f"**{name}" if parameter.kind is parameter.VAR_KEYWORD else name
        text = said.get(name) or _common_text(twin, name)
        if parameter.default is not parameter.empty and "Defaults to" not in text:
            text += f" Defaults to {_shown(parameter.default)}."
        texts[shown] = text
    return texts


def _common_text(twin: Any, name: str) -> str:
    for weight, word in twin.weight_arguments.items():
        part = name.removeprefix(f"{word}_")
        if part != name and part in _WEIGHT_ARGUMENTS:
            weight = _WEIGHTS.get(weight, weight.replace("_", " "))
            return _WEIGHT_ARGUMENTS[part].format(weight=weight, word=word)
    layer = keras_layer_of(twin).__name__
    # A later Keras may take an argument that is not written here.
    text = {**_KERAS_ARGUMENTS, **_OWN_ARGUMENTS}.get(name, f"as in `keras.layers.{layer}`.")
    return text.format(integers=_INTEGERS.get(_rank(twin), ""))


def _shapes(twin: Any) -> dict[str, str]:
    """Shapes of inputs and outputs of a convolution; those of other layers are their own."""
    rank = _rank(twin)
    if rank == 0:
        return {}
    takes_filters = "filters" in inspect.signature(twin.__init__).parameters
    axes = ", ".join(_AXES[rank])
    new_axes = ", ".join(f"new_{axis}" for axis in _AXES[rank])
    channels = "filters" if takes_filters else "channels * depth_multiplier"
    return {
        "Input shape": f"    `(batch, {axes}, channels)`, or\n"
        f"    `(batch, channels, {axes})` where channels come first.",
        "Output shape": f"    `(batch, {new_axes}, {channels})`,\n"
        "    with channels where the input has them.",
    }


def _rank(twin: Any) -> int:
    """Number of axes of the window, 0 where there is none."""
    found = re.search(r"(\d)D", keras_layer_of(twin).__name__)
    return int(found[1]) if found else 0


def _sections_of(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section, and the lines of each section."""
    head, *rest = re.split(rf"^({'|'.join(_SECTIONS)}):\n", text, flags=re.MULTILINE)
    return head.rstrip(), {
        name: lines.rstrip() for name, lines in zip(rest[::2], rest[1::2], strict=True)
    }


def _entries(section: str) -> dict[str, str]:
    """The text of each `name: text`, on one line."""
    found = re.split(r"^(\w+): ", textwrap.dedent(section), flags=re.MULTILINE)[1:]
    pairs = zip(found[::2], found[1::2], strict=True)
    return {name: " ".join(text.split()) for name, text in pairs}


def _listed(entries: dict[str, str]) -> str:
    """Lines of a section from its entries."""
    wrapper = textwrap.TextWrapper(
        _WIDTH, "    ", " " * 8, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(wrapper.fill(f"{name}: {text}") for name, text in entries.items())


def _shown(default: Any) -> str:
    if isinstance(default, tuple) and len(set(default)) == 1:  # 1 for steps of (1, 1)
        default = default[0]
    return f'"{default}"' if isinstance(default, str) else repr(default)
