"""One table: twin, Keras layer, arguments, input; and what a linear layer's moments should be."""

import keras
import numpy as np
import pytest

from keras_priors import layers
from tests.layers._layers import raw_of, variables_of
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import moments, scatter

ESTIMATORS = ("reparameterization", "local_reparameterization", "flipout")
FIRST = {"data_format": "channels_first"}

# Name of the Keras layer, its arguments, and the shape of an input without the batch.
CASES = {
    "dense": ("Dense", {"units": 2}, (3,)),
    "einsum": (
        "EinsumDense",
        {"equation": "abc,cde->abde", "output_shape": (None, 2, 2), "bias_axes": "de"},
        (2, 3),
    ),
    "einsum ellipsis": (
        "EinsumDense",
        {"equation": "...x,xy->...y", "output_shape": 2, "bias_axes": "y"},
        (2, 3),
    ),
    "einsum transposed": (
        "EinsumDense",
        {"equation": "abc,bd->adc", "output_shape": (2, 3)},
        (2, 3),
    ),
    "einsum batched": ("EinsumDense", {"equation": "abc,bcd->abd", "output_shape": (2, 2)}, (2, 3)),
    "einsum summed": ("EinsumDense", {"equation": "abz,bc->ac", "output_shape": 2}, (3, 2)),
    "conv1d": ("Conv1D", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, (5, 2)),
    "conv1d causal": (
        "Conv1D",
        {"filters": 2, "kernel_size": 2, "padding": "causal", "dilation_rate": 2},
        (5, 2),
    ),
    "conv1d causal first": (
        "Conv1D",
        {"filters": 2, "kernel_size": 2, "padding": "causal", **FIRST},
        (2, 5),
    ),
    "conv2d": ("Conv2D", {"filters": 2, "kernel_size": (2, 3), "padding": "same"}, (3, 4, 2)),
    "conv2d groups": ("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2}, (3, 3, 4)),
    "conv2d dilated": ("Conv2D", {"filters": 1, "kernel_size": 2, "dilation_rate": 2}, (4, 4, 2)),
    "conv2d first": ("Conv2D", {"filters": 3, "kernel_size": 2, **FIRST}, (2, 3, 3)),
    "conv2d no bias": ("Conv2D", {"filters": 2, "kernel_size": 2, "use_bias": False}, (3, 3, 1)),
    "conv3d": ("Conv3D", {"filters": 2, "kernel_size": 2}, (3, 2, 2, 1)),
    "conv1d transpose": (
        "Conv1DTranspose",
        {
            "filters": 2,
            "kernel_size": 3,
            "strides": 2,
            "padding": "same",
            "output_padding": 1,
        },
        (3, 2),
    ),
    "conv2d transpose": (
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": 2, "strides": 2},
        (2, 2, 2),
    ),
    "conv2d transpose first": (
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": 2, **FIRST},
        (2, 2, 2),
    ),
    "conv3d transpose": ("Conv3DTranspose", {"filters": 2, "kernel_size": 2}, (2, 2, 1, 2)),
    "depthwise1d": ("DepthwiseConv1D", {"kernel_size": 2, "depth_multiplier": 2}, (4, 2)),
    "depthwise2d": (
        "DepthwiseConv2D",
        {"kernel_size": 2, "strides": 2, "padding": "same"},
        (3, 4, 2),
    ),
    "depthwise2d first": (
        "DepthwiseConv2D",
        {"kernel_size": 2, "depth_multiplier": 2, **FIRST},
        (2, 3, 3),
    ),
    "separable1d": (
        "SeparableConv1D",
        {"filters": 3, "kernel_size": 2, "depth_multiplier": 2},
        (4, 2),
    ),
    "separable2d": (
        "SeparableConv2D",
        {"filters": 2, "kernel_size": 2, "padding": "same", "dilation_rate": 2},
        (3, 3, 2),
    ),
    "separable2d first": ("SeparableConv2D", {"filters": 3, "kernel_size": 2, **FIRST}, (2, 3, 3)),
    "embedding": ("Embedding", {"input_dim": 4, "output_dim": 3, "mask_zero": True}, (3,)),
}


def _first_of_its_class(case):
    return case == next(other for other in CASES if CASES[other][0] == CASES[case][0])


def _param(quick, *values):
    return pytest.param(*values, marks=() if quick else pytest.mark.slow)


# One case of each layer is quick, with one estimator, the next for the next; all others are slow.
QUICK = [case for case in CASES if _first_of_its_class(case)]
EACH = [_param(case in QUICK, case) for case in CASES]
PAIRS = [
    _param(case in QUICK and QUICK.index(case) % 3 == k, case, estimator)
    for case in CASES
    for k, estimator in enumerate(ESTIMATORS)
]


def skip_unless_it_runs(case):
    if CASES[case][1].get("data_format") and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first on a CPU")


def has_activation(case):
    return case != "embedding"


def keras_class(case):
    return getattr(keras.layers, CASES[case][0])


def twin_class(case):
    return getattr(layers, f"Variational{CASES[case][0]}")


def plain(case, **arguments):
    """The built Keras layer."""
    layer = keras_class(case)(**{**CASES[case][1], **arguments})
    layer.build((None, *CASES[case][2]))
    return layer


def twin(case, build=True, **arguments):
    """The built twin."""
    layer = twin_class(case)(**{**CASES[case][1], "num_data": 10, "seed": 0, **arguments})
    if build:
        layer.build((None, *CASES[case][2]))
    return layer


def scattered(layer):
    """The same layer with arbitrary values in its variables."""
    for k, posterior in enumerate(layer.posteriors.values()):
        scatter(variables_of(posterior), seed=k + 1)
    return layer


def data(case, batch=2):
    rng = np.random.default_rng(3)
    shape = (batch, *CASES[case][2])
    if case == "embedding":
        return rng.integers(0, 4, size=shape).astype("int32")
    return rng.normal(size=shape).astype("float32")


def arguments_of(case):
    """The words that the arguments of the weights begin with."""
    return list(twin_class(case).weight_arguments.values())


def families_of(case, family):
    return {f"{name}_posterior": family for name in arguments_of(case)}


def give_weights(layer, values):
    for name, value in values.items():
        getattr(layer, name).assign(np.asarray(value, "float32"))
    return layer


def equal_weights(case, layer, **arguments):
    """The Keras layer with the means of the posteriors as weights."""
    means = {name: as_numpy(q.mean()) for name, q in layer.posteriors.items()}
    return give_weights(plain(case, **arguments), means)


def basis_outputs(case, x, names, shapes):
    """The Keras layer's outputs, bias aside, for all products of unit weights, and the shape."""
    layer = plain(case, **({"use_bias": False} if "use_bias" in CASES[case][1] else {}))
    zeros = {name: np.zeros(shape, "float32") for name, shape in shapes.items()}
    outputs = []
    for index in np.ndindex(*(zeros[name].size for name in names)):
        units = dict(zeros)
        for name, i in zip(names, index, strict=True):
            units[name] = np.eye(zeros[name].size, dtype="float32")[i].reshape(zeros[name].shape)
        outputs.append(as_numpy(give_weights(layer, units)(x)))
    shape = outputs[0].shape
    return np.array(outputs).reshape(*(zeros[name].size for name in names), -1), shape


def expected_moments(case, layer, x, family="mean_field"):
    """Mean and variance of each output of a layer under draws of its weights, by linearity.

    `family` is that of the kernel; the bias is mean-field.
    """
    mean, covariance = expected_joint(case, layer, x, family)
    return mean, np.diag(covariance).reshape(mean.shape)


def expected_joint(case, layer, x, family="mean_field"):
    """The mean, and the covariance of the flattened outputs where all rows share the draw."""
    posteriors = layer.posteriors
    shapes = {name: tuple(q.shape) for name, q in posteriors.items()}
    given = {
        name: moments("mean_field" if name == "bias" else family, raw_of(q))
        for name, q in posteriors.items()
    }
    names = [name for name in posteriors if name != "bias"]
    outputs, shape = basis_outputs(case, x, names, shapes)
    # Second moments of the weights, flattened; those of a product of independent kernels multiply.
    means = [given[name][0] for name in names]
    seconds = [given[name][1] + np.outer(given[name][0], given[name][0]) for name in names]
    if len(names) == 1:
        mean = np.einsum("i,iy->y", means[0], outputs)
        second = np.einsum("ik,iy,kz->yz", seconds[0], outputs, outputs, optimize=True)
    else:
        mean = np.einsum("i,j,ijy->y", *means, outputs)
        second = np.einsum("ik,jl,ijy,klz->yz", *seconds, outputs, outputs, optimize=True)
    mean, covariance = mean.reshape(shape), second - np.outer(mean, mean)
    if "bias" in posteriors:
        bias, of_bias = given["bias"]
        axes = [1] * len(shape)
        if case == "einsum":
            axes[-2:] = shapes["bias"]
        else:
            first = CASES[case][1].get("data_format") == "channels_first"
            axes[1 if first else -1] = -1
        mean = mean + bias.reshape(axes)
        # Elements are of one unit where they take the same element of the bias.
        unit = np.broadcast_to(np.arange(bias.size).reshape(axes), shape).reshape(-1)
        covariance = covariance + of_bias[np.ix_(unit, unit)]
    return mean, covariance
