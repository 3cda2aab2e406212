"""What type checkers and editors see of constructors: the arguments that there are."""

import importlib.util
import inspect
import json
import pathlib
import subprocess
import sys

import keras
import pytest

import keras_priors as kp
from tools import write_signatures

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By class: arguments that it takes.
RIGHT = {
    "VariationalConv1D": "4, 3",
    "VariationalConv1DTranspose": "4, 3",
    "VariationalConv2D": "4, 3, padding='same', kernel_prior=kp.NormalPrior(0, 1), name='a'",
    "VariationalConv2DTranspose": "4, 3",
    "VariationalConv3D": "4, (3, 3, 3)",
    "VariationalConv3DTranspose": "4, 3",
    "VariationalDense": "3, 'relu', kernel_posterior='full', num_data=10, dtype='float32'",
    "VariationalDepthwiseConv1D": "3",
    "VariationalDepthwiseConv2D": "3, depth_multiplier=2, trainable=False",
    "VariationalEinsumDense": "'ab,bc->ac', 4, bias_axes='c'",
    "VariationalEmbedding": "10, 4, embeddings_prior=None",
    "VariationalSeparableConv1D": "4, 3",
    "VariationalSeparableConv2D": "4, 3, pointwise_posterior='delta'",
    "Variational": "keras.layers.LSTM(4), num_data=10, name='a'",
    "NoiseScale": "initial_scale=0.5, name='a', dtype='float32'",
    "Cutpoints": "4, name='a'",
}
OPTIMIZERS = {
    "IVONOptimizer": "0.5, 100, name='a'",
    "SGLDOptimizer": "1e-3, 100, clipnorm=1.0",
    "SGHMCOptimizer": "1e-3, 100, momentum=0.9",
}
once = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the same, whatever backend runs"
)
WRONG = "kernel_priro=None"


def script():
    """A line that is right, and one with a misspelt argument, for each class; what is wrong."""
    lines, wrong = ["import keras", "import keras_priors as kp"], set()
    for door, calls in (("layers", RIGHT), ("inference", OPTIMIZERS)):
        for name, arguments in calls.items():
            lines.append(f"kp.{door}.{name}({arguments})")
            lines.append(f"kp.{door}.{name}({arguments}, {WRONG})")
            wrong.add(len(lines))
    lines.append("kp.VariationalDense(3, unit=4)")
    lines.append("kp.VariationalDense(units='three')")
    lines.append("kp.VariationalDense()")
    return "\n".join(lines) + "\n", wrong | {len(lines) - 2, len(lines) - 1, len(lines)}


def test_every_public_layer_has_a_line():
    layers = {
        name
        for name in kp.layers.__all__
        if isinstance(cls := getattr(kp.layers, name), type)
        and issubclass(cls, keras.layers.Layer)
        and not inspect.isabstract(cls)
    }
    assert layers - {"VariationalLayer"} == set(RIGHT)


def test_what_is_right_there_is_right_and_what_is_wrong_wrong():
    names = {"kp": kp, "keras": keras}
    text, wrong = script()
    for number, line in enumerate(text.splitlines(), 1):
        if number in wrong:
            with pytest.raises((TypeError, ValueError)):
                exec(line, names)
        else:
            exec(line, names)


@pytest.mark.parametrize("twin", list(write_signatures.twins()), ids=lambda pair: pair[0].__name__)
def test_stubs_are_those_of_the_runtime_signatures(twin):
    cls, path = twin
    pytest.importorskip("ruff", exc_type=ImportError)
    assert write_signatures.stub_of(cls, path) == path.with_suffix(".pyi").read_text("utf-8")


def test_no_stub_is_left_over():
    twins = {path.with_suffix(".pyi") for _, path in write_signatures.twins()}
    assert set((ROOT / "keras_priors").rglob("*.pyi")) == twins


@once
def test_mypy_sees_a_misspelt_argument(tmp_path):
    pytest.importorskip("mypy")
    text, wrong = script()
    (tmp_path / "script.py").write_text(text, "utf-8")
    found = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file=", "--ignore-missing-imports"),
            *("--follow-imports=silent", "--cache-dir", ".cache", "script.py"),
        ],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    errors = [line for line in found.stdout.splitlines() if ": error: " in line]
    assert {int(line.split(":")[1]) for line in errors} == wrong, found.stdout + found.stderr


@once
def test_pyright_sees_a_misspelt_argument(tmp_path):
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("no basedpyright")
    text, wrong = script()
    (tmp_path / "script.py").write_text(text, "utf-8")
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    found = subprocess.run(
        [
            *(sys.executable, "-m", "basedpyright", "--outputjson"),
            *("--pythonpath", sys.executable, "script.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    problems = json.loads(found.stdout)["generalDiagnostics"]
    errors = [one for one in problems if one["severity"] == "error"]
    assert {one["range"]["start"]["line"] + 1 for one in errors} == wrong, errors
