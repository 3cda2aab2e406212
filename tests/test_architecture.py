"""The rules of the house that a machine can check."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re

import keras
import pytest

import keras_priors

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "keras_priors"

# A sub-package imports from earlier lines only: not from later ones, nor from its neighbours.
ORDER = (
    ("backend",),
    ("priors", "likelihoods", "metrics"),
    ("posteriors",),
    ("layers",),
    ("models",),
    ("predictive",),
    ("inference",),
    ("callbacks", "plots"),
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
BACKEND_LIBRARIES = {"tensorflow", "tensorflow_probability", "tf_keras", "jax", "jaxlib", "torch"}
MAX_LINES = 400
LONG = "# Long: "


def source_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parts_of(path):
    """("priors", "normal_prior") for keras_priors/priors/normal_prior.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def is_demo(path):
    return parts_of(path)[0] == "demo"


def imported_modules(path, tree):
    """Every absolute module name a file imports, wherever in the file; `from a import b` is a.b."""
    package = ("keras_priors", *parts_of(path)[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def import_violations(path, tree):
    here = parts_of(path)[0]
    for name in imported_modules(path, tree):
        top, *rest = name.split(".")
        if top in BACKEND_LIBRARIES and here != "backend":
            yield f"{path}: only backend/ imports {top}"
        if top != "keras_priors" or here == "__init__" or is_demo(path):
            continue
        if not rest or (rest[0] not in LEVEL and not rest[0].startswith("_")):
            yield f"{path}: imports {name}; import from the sub-package that has it"
        elif rest[0] in LEVEL and rest[0] != here:
            # A private module at the top serves all, so it can lean on the backend alone.
            level = LEVEL.get(here, 1 if here.startswith("_") else None)
            if level is None:
                yield f"{path}: {here} has no place in the order of sub-packages"
            elif LEVEL[rest[0]] >= level:
                yield f"{path}: {here} must not import from {rest[0]}"


def name_violations(path, tree):
    if path.stem.startswith("_") or is_demo(path):
        return
    public = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
    ]
    if len(public) != 1:
        yield f"{path}: one public class or function a file. Received: {public}"
    elif snake_case(public[0]) != path.stem:
        yield f"{path}: {public[0]} belongs in {snake_case(public[0])}.py"


def hasattr_violations(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "hasattr":
            yield f"{path}:{node.lineno}: hasattr; say by type or by contract what is there"


def branch_violations(path, tree):
    """Comparisons with the name of the backend; a message may say it."""
    if parts_of(path)[0] == "backend":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and "backend.backend()" in ast.unparse(node).replace(
            "config.backend()", "backend.backend()"
        ):
            yield f"{path}:{node.lineno}: only backend/ asks which backend it is"


def length_violations(path, text):
    lines = text.splitlines()
    if len(lines) > MAX_LINES and not lines[0].startswith(LONG):
        yield f"{path}: {len(lines)} lines, at most {MAX_LINES}, or begin with {LONG!r} and why"


def snake_case(name):
    """student_t_prior for StudentTPrior, kl_annealing for KLAnnealing, conv2d for Conv2D."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


def violations_in_package(rule):
    files = source_files("keras_priors")
    assert files
    return [v for path in files for v in rule(path, ast.parse(path.read_text("utf-8")))]


def test_imports_point_one_way_and_only_the_backend_knows_the_libraries():
    assert violations_in_package(import_violations) == []


def test_one_public_name_a_file_and_the_file_is_named_after_it():
    assert violations_in_package(name_violations) == []


def test_no_hasattr():
    assert violations_in_package(hasattr_violations) == []


def test_only_backend_asks_which_backend_it_is():
    assert violations_in_package(branch_violations) == []


def test_no_long_file_without_a_reason():
    files = source_files("keras_priors", "tests", "benchmarks", "notebooks")
    assert [v for path in files for v in length_violations(path, path.read_text("utf-8"))] == []


def test_every_folder_of_the_package_has_a_place_in_the_order():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - set(LEVEL) - {"demo"} == set()


def test_every_final_class_with_a_config_is_registered_for_saving():
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(keras_priors.__path__, "keras_priors.")
        if info.name.split(".")[1] not in ("backend", "demo")
    ]
    classes = [
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and callable(getattr(value, "get_config", None))
    ]
    # A class is abstract or final, and only a final one is ever saved.
    final = [cls for cls in classes if not any(cls in other.__mro__[1:] for other in classes)]
    assert final
    registered = {cls: keras.saving.get_registered_name(cls) for cls in final}
    wrong = [cls for cls, name in registered.items() if name != f"keras_priors>{cls.__name__}"]
    assert wrong == []


def test_every_public_name_is_there():
    assert len(set(keras_priors.__all__)) == len(keras_priors.__all__)
    assert [name for name in keras_priors.__all__ if name not in vars(keras_priors)] == []


@pytest.mark.parametrize(
    ("rule", "where", "source", "count"),
    [
        (import_violations, "layers/a.py", "import tensorflow as tf", 1),
        (import_violations, "layers/a.py", "def f():\n    from torch import nn", 1),
        (import_violations, "layers/a.py", "importlib.import_module('jax.numpy')", 1),
        (import_violations, "backend/_a.py", "import jax", 0),
        (import_violations, "priors/a.py", "from keras_priors.posteriors import Delta", 1),
        (import_violations, "priors/a.py", "from keras_priors import posteriors", 1),
        (import_violations, "priors/a.py", "from ..posteriors import Delta", 1),
        (import_violations, "priors/a.py", "from keras_priors.likelihoods import Normal", 1),
        (import_violations, "priors/a.py", "from keras_priors import NormalPrior", 1),
        (import_violations, "priors/a.py", "import keras_priors", 1),
        (import_violations, "priors/a.py", "from .prior import Prior", 0),
        (import_violations, "priors/a.py", "from keras_priors import backend", 0),
        (import_violations, "posteriors/a.py", "from keras_priors.priors.prior import Prior", 0),
        (import_violations, "plots/a.py", "from keras_priors.utils.export import register", 0),
        (import_violations, "_a.py", "from keras_priors import backend", 0),
        (import_violations, "_a.py", "from keras_priors.priors import Prior", 1),
        (import_violations, "other/a.py", "from keras_priors.priors import Prior", 1),
        (import_violations, "__init__.py", "from keras_priors.plots import a", 0),
        (import_violations, "demo.py", "import keras_priors as kp", 0),
        (name_violations, "priors/student_t_prior.py", "class StudentTPrior: ...", 0),
        (name_violations, "priors/student_t_prior.py", "class StudentT: ...", 1),
        (name_violations, "callbacks/kl_annealing.py", "class KLAnnealing: ...", 0),
        (name_violations, "layers/conv2d.py", "class Conv2D: ...", 0),
        (name_violations, "layers/conv2d_transpose.py", "class Conv2DTranspose: ...", 0),
        (name_violations, "models/a.py", "def a(): ...\ndef b(): ...", 1),
        (name_violations, "models/a.py", "def a(): ...\ndef _b(): ...", 0),
        (name_violations, "models/a.py", "x = 1", 1),
        (name_violations, "models/_a.py", "def x(): ...\ndef y(): ...", 0),
        (hasattr_violations, "layers/a.py", "hasattr(x, 'y')", 1),
        (hasattr_violations, "layers/a.py", "isinstance(x, y)", 0),
        (branch_violations, "layers/a.py", "keras.config.backend() == 'jax'", 1),
        (branch_violations, "layers/a.py", "keras.backend.backend() in ('jax',)", 1),
        (branch_violations, "layers/a.py", "f'on {keras.config.backend()}'", 0),
        (branch_violations, "backend/a.py", "keras.config.backend() == 'jax'", 0),
    ],
)
def test_the_rules_see_what_they_forbid(rule, where, source, count):
    assert len(list(rule(PACKAGE / where, ast.parse(source)))) == count


@pytest.mark.parametrize(
    ("lines", "first", "count"), [(400, "x", 0), (401, "x", 1), (401, LONG + "one table", 0)]
)
def test_the_length_rule_sees_what_it_forbids(lines, first, count):
    assert len(list(length_violations("a.py", "\n".join([first] + ["x"] * (lines - 1))))) == count
