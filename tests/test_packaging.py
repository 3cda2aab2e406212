"""What pip installs, and where: the requirements of pyproject.toml and their markers."""

import pathlib
import tomllib

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads(
    (pathlib.Path(__file__).resolve().parent.parent / "pyproject.toml").read_text("utf-8")
)["project"]
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
