"""What CONTRIBUTING.md shows runs, and what the pages name is there."""

import ast
import doctest
import importlib
import re
import types

import pytest

from tests._house import (
    ORDER,
    PACKAGE,
    ROOT,
    branch_violations,
    family_violations,
    file_name_violations,
    hasattr_violations,
    import_violations,
    name_violations,
    private_violations,
    write_doors,
)

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("CONTRIBUTING.md", "ARCHITECTURE.md")}
PAGES["README.md"] = (ROOT / "README.md").read_text("utf-8")
PAGES |= {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.name != "comparison.md"  # which names what others have
}
BLOCKS = dict(
    re.findall(r"^## (Add a \w+)\n.*?```python\n(.*?)```", PAGES["CONTRIBUTING.md"], re.M | re.S)
)
# Names of others that only the pages have.
FOREIGN = {"cuda12", "optimization_barrier"}
RULES = (
    import_violations,
    family_violations,
    private_violations,
    name_violations,
    hasattr_violations,
    branch_violations,
)


def files_in(block):
    """(path, text) of the file of a block, and of its test."""
    _, *parts = re.split(r"^# (\S+\.py)\n", block, flags=re.M)
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_all_four_are_there():
    assert list(BLOCKS) == ["Add a prior", "Add a likelihood", "Add a layer", "Add a method"]


@pytest.mark.parametrize("title", BLOCKS)
def test_an_example_is_short_and_keeps_the_rules_of_the_house(title):
    (path, text), (test_path, test) = files_in(BLOCKS[title])
    assert test_path == f"tests/{path.split('/')[1]}/test_{path.split('/')[-1]}"
    tree = ast.parse(text)
    assert [v for rule in RULES for v in rule(ROOT / path, tree)] == []
    assert list(file_name_violations(ROOT / path)) == []
    assert not (ROOT / path).exists(), "the package has it now: take another example"
    code = [line for line in text.splitlines() if line.strip()]
    own = ast.get_docstring(next(node for node in tree.body if decorators(node)), clean=False)
    assert len(code) - len([line for line in own.splitlines() if line.strip()]) < 60
    assert max(map(len, BLOCKS[title].splitlines())) <= 100
    assert "assert" in test


def decorators(node):
    return getattr(node, "decorator_list", [])


@pytest.mark.parametrize("title", BLOCKS)
def test_an_example_runs_as_it_stands(title, monkeypatch):
    (path, text), _ = files_in(BLOCKS[title])
    module = types.ModuleType(path.removesuffix(".py").replace("/", "."))
    exec(compile(BLOCKS[title], f"CONTRIBUTING.md, {title}", "exec"), vars(module))
    # What `tools/write_doors.py` would write.
    ((name, kind, doors),) = write_doors.decorated_in(ast.parse(text))
    assert kind == "export"
    for door in (write_doors.package_of(ROOT / path), *doors):
        monkeypatch.setattr(importlib.import_module(door), name, vars(module)[name], raising=False)
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(vars(module)[name], name, module=False)
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted > 0) == (0, True)
    tests = [value for key, value in vars(module).items() if key.startswith("test_")]
    assert tests
    for test in tests:
        for arguments in cases_of(test):
            test(**arguments)


def cases_of(test):
    """The arguments of each case of a test with at most one `parametrize`."""
    marks = getattr(test, "pytestmark", [])
    return [{mark.args[0]: value} for mark in marks for value in mark.args[1]] or [{}]


def paths_in(page):
    """What looks like a path in backticks, and in drawings."""
    return re.findall(r"[\w./*-]+\.py\b|(?<=`)[\w./*-]+/(?=`)", page)


def exists(path):
    """Whether a path is there, from the root or the package; of a benchmark the name will do."""
    places = (ROOT, PACKAGE, ROOT / "benchmarks")
    found = [each for place in places for each in place.glob(path.rstrip("/"))]
    return any(each.is_dir() if path.endswith("/") else each.is_file() for each in found)


@pytest.mark.parametrize("name", PAGES)
def test_every_path_that_a_page_names_is_there(name):
    new = {path for block in BLOCKS.values() for path, _ in files_in(block)}
    missing = {path for path in paths_in(PAGES[name]) if not exists(path)}
    assert missing - new == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_name_in_backticks_is_somewhere_in_the_code(name):
    page = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.M | re.S)
    named = {
        part
        for text in re.findall(r"`([A-Za-z_][\w.]*)(?:\(.*?\))?`", page)
        for part in text.removesuffix(".py").split(".")
    }
    folders = ("keras_priors", "tests", "benchmarks", "tools")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    texts = [*(p.read_text("utf-8") for p in files), *map(str, files)]
    texts += [(ROOT / other).read_text("utf-8") for other in ("Makefile", "pyproject.toml")]
    code = set(re.findall(r"\w+", "\n".join(texts)))
    assert named - code - FOREIGN == set()


def test_the_drawing_has_the_rooms_in_their_order():
    drawing = PAGES["ARCHITECTURE.md"].split("## The house")[1].split("```")[1]
    rooms = [name for names in ORDER for name in names if (PACKAGE / name).is_dir()]
    drawn = [word for line in drawing.splitlines() for word in line.split(":")[0].split()]
    assert [word for word in drawn if word != "↑"] == rooms


def test_the_search_for_paths_sees_what_is_not_there():
    assert paths_in("in `layers/gone.py`, `gone/` and `backend/*/noise.py`; a/b") == [
        "layers/gone.py",
        "gone/",
        "backend/*/noise.py",
    ]
    assert [exists(p) for p in ("layers/gone.py", "gone/", "clone.py")] == [False] * 3
    assert [exists(p) for p in ("layers/estimators.py", "backend/*/noise.py", "tests/")] == [
        True
    ] * 3
