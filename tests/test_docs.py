"""The documentation: what its pages show runs, and the reference has every public name."""

import ast
import functools
import importlib
import inspect
import re
import types

import keras
import pytest

import keras_priors as kp
from tests._house import ROOT, load_tool

site_pages = load_tool("site_pages")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
# Of few seconds on every backend; the others fit, and are slow. `test_readme.py` runs the README.
QUICK = {"docs/index.md", "docs/guide/backends.md"}
# What other backends cannot run is marked, in the source alone.
BLOCK = re.compile(r"^(<!-- JAX -->\n)?```python\n(.*?)^```", re.M | re.S)


def blocks_of(page):
    here = keras.config.backend() == "jax"
    return [code for jax_only, code in BLOCK.findall(PAGES[page]) if here or not jax_only]


def public_objects(module=kp):
    """By name: what the top package, its rooms and their rooms export."""
    found = {}
    for name in set(getattr(module, "__all__", ())) - {"__version__"}:
        value = getattr(module, name)
        isroom = inspect.ismodule(value)
        found |= public_objects(value) if isroom else {f"{module.__name__}.{name}": value}
    return found


def resolved(name):
    """What a dotted name means after `import keras_priors as kp`; a room may need an import."""
    _, *parts = name.split(".")
    try:
        return functools.reduce(getattr, parts, kp)
    except AttributeError:
        module = importlib.import_module(".".join(["keras_priors", *parts[:-1]]))
        return getattr(module, parts[-1])


def names_used(code):
    """`kp.inference.NUTS` and the like, in a piece of code."""
    for node in ast.walk(ast.parse(code)):
        chain = []
        while isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        if chain and isinstance(node, ast.Name) and node.id == "kp":
            yield ".".join(["kp", *reversed(chain)])


def test_the_reference_has_every_public_name_once():
    text = "\n".join(page for path, page in site_pages.pages().items() if path.endswith(".md"))
    shown = re.findall(r"^::: (\S+)$", text, re.M)
    objects = [resolved(name) for name in shown]
    assert len(set(map(id, objects))) == len(objects)
    ids = set(map(id, objects))
    assert [name for name, value in public_objects().items() if id(value) not in ids] == []


def test_the_pages_that_are_made_are_in_the_navigation():
    parts = site_pages.navigation()
    shown = {path for part in parts.values() for entry in part for path in paths_of(entry)}
    made = {path for path in site_pages.pages() if path.endswith(".md")}
    assert made - shown == {"changelog.md"}
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert [part for part in (*parts, "Changelog") if f"  - {part}: " not in text] == []


def paths_of(entry):
    return [entry] if isinstance(entry, str) else list(entry.values())


def test_the_search_weighs_the_reference_of_a_class_above_pages_that_name_it():
    def boost(path):
        page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri=path), meta={})
        site_pages.on_page_markdown("", page, None, None)
        return page.meta.get("search", {"boost": 1.0})["boost"]

    paths = "reference/layers.md", "guide/layers.md", "benchmarks.md"
    assert boost(paths[0]) > boost(paths[1]) == 1.0 > boost(paths[2])
    there = [*site_pages.pages(), *(page.removeprefix("docs/") for page in PAGES)]
    assert all(any(path.startswith(start) for path in there) for start in site_pages.WEIGHTS)


def test_a_notebook_becomes_text_code_output_and_pictures(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(
        '{"cells": [{"cell_type": "markdown", "source": ["# A"]}, {"cell_type": "code", "source":'
        ' ["1 + 1"], "outputs": [{"data": {"text/plain": ["2"]}}, {"text": ["\\u001b[31mred\\n"]},'
        ' {"data": {"image/png": "aGk="}}]}]}'
    )
    text, pictures = site_pages.notebook_page(path)
    assert pictures == {"n-1-2.png": b"hi"}
    said = ["# A", "```python\n1 + 1\n```", "```text\n2\n```", "```text\nred\n```"]
    assert text.strip().split("\n\n") == [*said, "![What the code above draws](n-1-2.png)"]


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_package_on_a_page_is_there(page):
    used = {name for block in blocks_of(page) for name in names_used(block)}
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.M | re.S)
    used |= set(re.findall(r"`(kp\.[A-Za-z_][\w.]*\w)", prose))
    for name in used:
        resolved(name)


def test_the_search_for_names_sees_what_is_not_there():
    name, _ = names_used("x = kp.inference.Gone(1)")
    with pytest.raises((AttributeError, ImportError), match="Gone"):
        resolved(name)


def anchors_of(text):
    """The names of the headings of a page, as renderers of Markdown make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_links_outside_of_the_site_lead_somewhere(page):
    """Those within are checked by `make docs`."""
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        linked = ROOT / path if path else ROOT / page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked.read_text("utf-8")), target


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page in QUICK else pytest.mark.slow)
        for page in PAGES
        if blocks_of(page) and page != "README.md"
    ],
)
@pytest.mark.filterwarnings("ignore:The posterior that prior and data have:UserWarning")
# At its import, which PyMC does as it is.
@pytest.mark.filterwarnings(r"ignore:\s*ArviZ is undergoing:FutureWarning")
def test_code_blocks_run(page, tmp_path, monkeypatch):
    """In one piece, as a reader types them."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for block in blocks_of(page):
        exec(compile(block, page, "exec"), names)
