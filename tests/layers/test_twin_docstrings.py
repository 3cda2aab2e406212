"""The docstring of every twin, of which its class body writes a part."""

import doctest
import inspect
import re
import sys

import pytest

from keras_priors import layers
from tests.layers._twins import CASES, twin_class

TWINS = sorted({twin_class(case) for case in CASES}, key=lambda cls: cls.__name__)
SECTIONS = ["Args", "Input shape", "Output shape", "Raises", "Example", "References"]


def sections(twin):
    """What stands before the first section, and the text of each section by its name."""
    head, *rest = re.split(r"^([A-Z][a-z ]+):\n", inspect.getdoc(twin), flags=re.MULTILINE)
    return head, dict(zip(rest[::2], rest[1::2], strict=True))


def arguments(twin):
    """The text of each documented argument by its name, in order."""
    rest = re.split(r"^    (\*{0,2}\w+): ", sections(twin)[1]["Args"], flags=re.MULTILINE)[1:]
    return {name: " ".join(text.split()) for name, text in zip(rest[::2], rest[1::2], strict=True)}


@pytest.mark.parametrize("twin", TWINS)
def test_the_arguments_of_a_docstring_are_those_of_the_signature(twin):
    parameters = inspect.signature(twin).parameters
    assert [name.lstrip("*") for name in arguments(twin)] == list(parameters)
    assert all(len(text) > 10 for text in arguments(twin).values())


@pytest.mark.parametrize("twin", TWINS)
def test_each_argument_that_may_be_left_out_has_its_default(twin):
    parameters = inspect.signature(twin).parameters.values()
    optional = [p.name for p in parameters if p.default is not inspect.Parameter.empty]
    assert optional
    assert [name for name in optional if "Defaults to " not in arguments(twin)[name]] == []


@pytest.mark.parametrize("twin", TWINS)
def test_a_docstring_has_every_section_after_its_formula(twin):
    head, others = sections(twin)
    assert list(others) == SECTIONS
    assert re.search(r"^    \w+ = ", head, flags=re.MULTILINE)
    assert "KL" in head
    assert "{" not in inspect.getdoc(twin)
    assert max(len(line) for line in inspect.getdoc(twin).splitlines()) <= 100


@pytest.mark.parametrize("twin", TWINS)
def test_doctest_finds_the_example_of_a_twin(twin):
    found = doctest.DocTestFinder(recurse=False).find(twin, module=sys.modules[twin.__module__])
    sources = [example.source for test in found for example in test.examples]
    assert any(f"kp.{twin.__name__}(" in source for source in sources)
    assert sum(bool(example.want) for test in found for example in test.examples) >= 2


def test_what_differs_between_twins_is_what_a_twin_does():
    conv1d, conv3d = layers.VariationalConv1D, layers.VariationalConv3D
    assert arguments(conv1d)["padding"] == (
        '"valid", "same" or "causal". Defaults to "valid".'  # Keras' Conv1D alone has it
    )
    assert arguments(conv3d)["strides"] == (
        "integer or tuple of three integers, the steps of the window. Defaults to 1."
    )
    assert "`(batch, new_length, filters)`" in sections(conv1d)[1]["Output shape"]
    assert "`(batch, channels, depth, height, width)`" in sections(conv3d)[1]["Input shape"]
    depthwise = layers.VariationalDepthwiseConv2D
    assert "channels * depth_multiplier" in sections(depthwise)[1]["Output shape"]
    assert arguments(depthwise)["depthwise_prior"].startswith("prior of the kernel.")
    assert arguments(layers.VariationalEmbedding)["embeddings_prior"].startswith("prior of the tab")


def test_what_a_body_says_stands_beside_what_it_leaves_out():
    dense = arguments(layers.VariationalDense)
    assert dense["units"] == "integer, number of outputs."
    assert "matrix_normal" in dense["kernel_posterior"]
    assert dense["kl_samples"] == arguments(layers.VariationalConv2D)["kl_samples"]
    raises = sections(layers.VariationalEinsumDense)[1]["Raises"]
    assert "NotImplementedError: " in raises
    assert "ValueError: what `EinsumDense` refuses" in raises
