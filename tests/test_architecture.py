"""The rules of the house that a machine can check."""

import ast
import importlib
import inspect
import pkgutil

import keras
import pytest

import keras_priors
from tests._house import (
    DOORS,
    LEVEL,
    LONG,
    PACKAGE,
    branch_violations,
    circles,
    family_violations,
    file_name_violations,
    hasattr_violations,
    import_graph,
    import_violations,
    length_violations,
    lonely_helpers,
    name_violations,
    package_trees,
    private_violations,
    source_files,
    write_doors,
)


def violations_in_package(rule):
    files = source_files("keras_priors")
    assert files
    return [v for path in files for v in rule(path, ast.parse(path.read_text("utf-8")))]


def test_imports_point_one_way_and_only_the_backend_knows_the_libraries():
    assert violations_in_package(import_violations) == []


def test_no_family_of_methods_knows_another():
    assert violations_in_package(family_violations) == []


def test_no_room_imports_what_another_does_not_share():
    assert violations_in_package(private_violations) == []


def test_no_circle_of_files():
    trees = package_trees()
    assert circles(import_graph(trees)) == []


def test_a_short_helper_of_one_file_lives_in_it():
    assert list(lonely_helpers(package_trees())) == []


def test_one_public_name_a_file_and_the_file_is_named_after_it():
    assert violations_in_package(name_violations) == []


def test_no_file_is_private_by_its_name():
    assert [v for path in source_files("keras_priors") for v in file_name_violations(path)] == []


def test_no_hasattr():
    assert violations_in_package(hasattr_violations) == []


def test_only_backend_asks_which_backend_it_is():
    assert violations_in_package(branch_violations) == []


def test_no_long_file_without_a_reason():
    files = source_files("keras_priors", "tests", "benchmarks", "notebooks", "tools")
    assert [v for path in files for v in length_violations(path, path.read_text("utf-8"))] == []


def test_every_folder_of_the_package_has_a_place_in_the_order():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - set(LEVEL) - {"demo"} == set()


def test_every_final_class_with_a_config_is_registered_for_saving():
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(keras_priors.__path__, "keras_priors.")
        if info.name.split(".")[1] not in ("backend", "bridges", "demo")
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
    packages = {cls: vars(cls).get("_registered_in", "keras_priors") for cls in final}
    wrong = [cls for cls in final if registered[cls] != f"{packages[cls]}>{cls.__name__}"]
    assert len(set(registered.values())) == len(final)
    assert all(name.startswith("keras_priors") for name in packages.values())
    assert wrong == []


def test_every_public_name_is_there():
    assert len(set(keras_priors.__all__)) == len(keras_priors.__all__)
    assert [name for name in keras_priors.__all__ if name not in vars(keras_priors)] == []


@pytest.mark.parametrize("door", sorted(set(DOORS) - set(write_doors.BY_HAND)))
def test_a_door_has_what_the_decorators_say(door):
    names = DOORS[door]
    module = importlib.import_module(door)
    public = {name for name, (_, is_public) in names.items() if is_public}
    own = {"__version__", *write_doors.ROOMS} if door == "keras_priors" else set()
    assert set(getattr(module, "__all__", ())) == public | own
    for name, (where, _) in names.items():
        assert vars(module)[name] is vars(importlib.import_module(where))[name]
    imported = {
        alias.asname or alias.name
        for node in ast.parse(write_doors.path_of(door).read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    checked = {"_check_installed"} if door == "keras_priors" else set()
    assert imported == set(names) | own | checked


@pytest.mark.parametrize(
    ("rule", "where", "source", "count"),
    [
        (import_violations, "layers/a.py", "import tensorflow as tf", 1),
        (import_violations, "layers/a.py", "def f():\n    from torch import nn", 1),
        (import_violations, "layers/a.py", "importlib.import_module('jax.numpy')", 1),
        (import_violations, "backend/a.py", "import jax", 0),
        (import_violations, "bridges/a.py", "import jax", 0),
        (import_violations, "bridges/pymc/a.py", "import pymc as pm", 0),
        (import_violations, "inference/a.py", "from numpyro import infer", 1),
        (import_violations, "backend/a.py", "import pytensor", 1),
        (import_violations, "priors/a.py", "from keras_priors.posteriors import Delta", 1),
        (import_violations, "priors/a.py", "from keras_priors import posteriors", 1),
        (import_violations, "priors/a.py", "from ..posteriors import Delta", 1),
        (import_violations, "priors/a.py", "from keras_priors.likelihoods import Normal", 1),
        (import_violations, "priors/a.py", "from keras_priors import NormalPrior", 1),
        (import_violations, "priors/a.py", "import keras_priors", 1),
        (import_violations, "priors/a.py", "from .prior import Prior", 0),
        (import_violations, "priors/a.py", "from keras_priors import backend", 0),
        (import_violations, "posteriors/a.py", "from keras_priors.priors.prior import Prior", 0),
        (import_violations, "plots/a.py", "from keras_priors.utils.export import export", 0),
        (import_violations, "utils/a.py", "from keras_priors import backend", 1),
        (import_violations, "layers/a.py", "from keras_priors.functional.rows import Rows", 1),
        (import_violations, "other/a.py", "from keras_priors.priors import Prior", 1),
        (import_violations, "__init__.py", "from keras_priors.plots import a", 0),
        (import_violations, "demo/a.py", "import keras_priors as kp", 0),
        (family_violations, "inference/a.py", "from keras_priors.inference.mcmc import nuts", 1),
        (
            family_violations,
            "inference/laplace/a.py",
            "from keras_priors.inference.mcmc.nuts import NUTS",
            1,
        ),
        (
            family_violations,
            "inference/laplace/a.py",
            "from keras_priors.inference.laplace.evidence import Evidence",
            0,
        ),
        (
            family_violations,
            "inference/laplace/a.py",
            "from keras_priors.inference.method import Method",
            0,
        ),
        (
            private_violations,
            "callbacks/a.py",
            "from keras_priors.layers.weight_draws import active_draws",
            1,
        ),
        (
            private_violations,
            "callbacks/a.py",
            "from keras_priors.layers.weight_draws import WeightDraws",
            0,
        ),
        (private_violations, "layers/a.py", "from keras_priors.priors.prior import _x", 2),
        (private_violations, "layers/a.py", "from keras_priors.layers.estimators import _noise", 1),
        (private_violations, "layers/a.py", "from keras_priors.utils.progress import Progress", 0),
        (private_violations, "layers/a.py", "from keras_priors.backend import Support", 0),
        (private_violations, "layers/a.py", "from keras_priors.backend.support import Support", 1),
        (
            private_violations,
            "inference/mcmc/a.py",
            "from keras_priors.inference.maximize import maximize",
            0,
        ),
        (name_violations, "priors/student_t_prior.py", "@export()\nclass StudentTPrior: ...", 0),
        (name_violations, "priors/student_t_prior.py", "@export()\nclass StudentT: ...", 1),
        (name_violations, "callbacks/kl_annealing.py", "@export()\nclass KLAnnealing: ...", 0),
        (name_violations, "layers/conv2d.py", "@export()\nclass Conv2D: ...", 0),
        (name_violations, "layers/conv2d_transpose.py", "@export()\nclass Conv2DTranspose: ...", 0),
        (name_violations, "models/a.py", "@export()\ndef a(): ...\ndef b(): ...", 1),
        (name_violations, "models/a.py", "@export()\ndef a(): ...\ndef _b(): ...", 0),
        (name_violations, "models/a.py", "def x(): ...\ndef y(): ...", 0),
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


def test_the_rules_see_circles_and_lonely_helpers():
    def tree(path, source):
        return PACKAGE / path, ast.parse(source)

    trees = {
        "keras_priors.layers.a": tree("layers/a.py", "from keras_priors.layers.b import x"),
        "keras_priors.layers.b": tree("layers/b.py", "def f():\n    import keras_priors.layers.c"),
        "keras_priors.layers.c": tree("layers/c.py", "from keras_priors.layers import a"),
        "keras_priors.layers.d": tree("layers/d.py", "from keras_priors.layers.c import y"),
    }
    circle = tuple(f"keras_priors.layers.{name}" for name in "abc")
    assert circles(import_graph(trees)) == [circle]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    pair = {
        "keras_priors.metrics.classes": tree("metrics/classes.py", "def checked(): ..."),
        "keras_priors.metrics.a": tree(
            "metrics/a.py", "from keras_priors.metrics.classes import checked"
        ),
    }
    assert len(list(lonely_helpers(pair))) == 1
    pair["keras_priors.metrics.b"] = pair["keras_priors.metrics.a"]
    assert list(lonely_helpers(pair)) == []


def test_the_file_name_rule_sees_what_it_forbids():
    assert len(list(file_name_violations(PACKAGE / "layers" / "_a.py"))) == 1
    assert list(file_name_violations(PACKAGE / "layers" / "__init__.py")) == []


@pytest.mark.parametrize(
    ("lines", "first", "count"), [(400, "x", 0), (401, "x", 1), (401, LONG + "one table", 0)]
)
def test_the_length_rule_sees_what_it_forbids(lines, first, count):
    assert len(list(length_violations("a.py", "\n".join([first] + ["x"] * (lines - 1))))) == count
