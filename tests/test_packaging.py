"""What pip installs, and where: the requirements of pyproject.toml and their markers."""

import importlib.util
import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
REPOSITORY = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.12"}
ALWAYS = {"keras", "numpy", "scipy"}
TENSORFLOW = {"tensorflow", "tensorflow-probability[tf]"}


def installed(requirements, **environment):
    """Names, with their extras, of those whose marker holds there."""
    parsed = [Requirement(text) for text in requirements]
    return {
        one.name + (f"[{','.join(one.extras)}]" if one.extras else "")
        for one in parsed
        if one.marker is None or one.marker.evaluate({**LINUX, **environment})
    }


@pytest.mark.parametrize(
    ("environment", "has_wheels"),
    [
        ({}, True),
        ({"python_version": "3.11"}, True),
        ({"python_version": "3.13", "sys_platform": "win32", "platform_machine": "AMD64"}, True),
        ({"sys_platform": "darwin", "platform_machine": "arm64"}, True),
        ({"sys_platform": "darwin"}, False),
        ({"python_version": "3.14"}, False),
    ],
)
def test_tensorflow_is_asked_for_where_it_has_wheels(environment, has_wheels):
    found = installed(PROJECT["dependencies"], **environment)
    assert found == ALWAYS | (TENSORFLOW if has_wheels else set())


def test_the_extra_of_a_backend_is_all_that_it_needs():
    extras = PROJECT["optional-dependencies"]
    bare = {"sys_platform": "darwin", "python_version": "3.14"}
    assert installed(extras["tensorflow"], **bare) == TENSORFLOW
    assert installed(extras["jax"], **bare) == {"jax", "tensorflow-probability"}
    assert installed(extras["torch"], **bare) == {"torch"}
    for name in ("numpyro", "blackjax"):  # which run on JAX alone
        assert installed(extras[name]) >= installed(extras["jax"])


def test_lower_bounds_are_the_same_wherever_a_library_is_named():
    extras = PROJECT["optional-dependencies"].values()
    every = [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]
    bounds = {}
    for text in every:
        one = Requirement(text)
        bounds.setdefault(one.name, set()).add(str(one.specifier))
    few = {"scikit-learn"}  # the wrappers need a newer one than pictures do
    assert {name for name, found in bounds.items() if len(found) > 1} <= few


def metadata(repository):
    """What an index page shows of a package that was built with that address."""
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "package_metadata.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    filled = {}
    module.PackageMetadata(ROOT, {"repository": repository}).update(filled)
    return filled


def test_with_an_address_every_link_of_the_readme_is_absolute_and_leads_to_a_file():
    filled = metadata("https://host.example/owner/name/")
    targets = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", filled["readme"]["text"])
    assert len(targets) > 30
    for picture, target in targets:
        if target.startswith("https://host.example"):
            start = f"https://host.example/owner/name/{'raw' if picture else 'blob'}/main/"
            assert (ROOT / target.removeprefix(start)).is_file()
        else:
            assert target.startswith(("https://", "#"))
    assert any(picture for picture, _ in targets)
    for url in filled["urls"].values():
        assert url.startswith("https://host.example/owner/name") and "//" not in url[8:]
    for name in ("Documentation", "Changelog"):
        path = re.sub(r".*/(tree|blob)/main/", "", filled["urls"][name])
        assert (ROOT / path).exists()


def test_without_an_address_nothing_is_made_up():
    filled = metadata("")
    assert "urls" not in filled
    assert filled["readme"]["text"] == (ROOT / "README.md").read_text("utf-8")


def test_whoever_cites_has_the_version_its_date_and_the_same_address():
    citation = dict(
        line.split(": ", 1)
        for line in (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
        if re.match(r"[a-z-]+: \S", line)
    )
    version = (ROOT / "keras_priors" / "version.py").read_text("utf-8")
    assert f'"{citation["version"]}"' in version
    assert re.fullmatch(r'"?20\d\d-\d\d-\d\d"?', citation["date-released"])
    assert citation.get("repository-code", "").strip('"') == REPOSITORY
