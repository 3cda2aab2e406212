"""On PyTorch no training step of ours waits for the device to say what a tensor holds.

Run on a device that exists on no machine (`_chip.py`), whose log has each wait.
"""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

if keras.config.backend() != "torch":
    pytest.skip("programs do not wait on TensorFlow and JAX", allow_module_level=True)


def run(part, folder, root):
    path = folder / f"{part}.json"
    command = [sys.executable, "-m", "tests.backend._chip_run", part, str(path)]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def found(tmp_path_factory, project_root):
    return run("layers", tmp_path_factory.mktemp("chip"), project_root)


@pytest.fixture(scope="module")
def of_priors(tmp_path_factory, project_root):
    return run("priors", tmp_path_factory.mktemp("chip"), project_root)


def check(steps):
    assert {name: step["reads"] for name, step in steps.items() if step["reads"]} == {}
    for name, step in steps.items():
        assert np.all(np.isfinite(step["here"])), name
        np.testing.assert_array_equal(step["there"], step["here"], name)


def test_layers_estimators_and_posteriors(found):
    assert len(found["steps"]) > 20
    check(found["steps"])
    assert {name: places for name, places in found["likelihoods"].items() if places} == {}


def test_optimizers_that_draw(found):
    """They know how many steps they took, and notice that somebody wrote to that number."""
    assert len(found["optimizers"]) == 4
    check(found["optimizers"])


@pytest.mark.slow
def test_priors(of_priors):
    assert len(of_priors["steps"]) > 40
    check(of_priors["steps"])


@pytest.mark.parametrize(
    "name",
    [
        "dense reparameterization",
        "dense flipout",
        "dense local_reparameterization",
        "conv reparameterization",
        "conv flipout",
        "conv local_reparameterization",
        "posterior delta",
        "embedding",
        "separable",
        "wrapped",
        "normal of a weight",
        "normal in a KL",
    ],
)
def test_nothing_is_sent_that_keras_does_not_send(found, name):
    """Constants are, in some other families, as Keras' own operations send them."""
    assert found["steps"][name]["sent"] == found["steps"]["plain"]["sent"] > 0


def test_a_wait_is_seen(found):
    """With nothing known of the generators each layer would wait for its seed."""
    (place,) = found["without_notes"]
    assert "kernel_layer.py" in place and "seeds.py" in place


@pytest.mark.parametrize(
    ("change", "reads"), [("nothing", 1), ("assign", 2), ("copy", 2), ("keras", 2), ("scope", 2)]
)
def test_what_others_write_to_a_state_is_noticed(found, change, reads):
    seeds = found["seeds_of_generators"][change]
    assert seeds["there"] == seeds["here"]
    assert seeds["reads"] == reads
