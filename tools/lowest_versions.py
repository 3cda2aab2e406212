"""Prints the lowest versions that pyproject.toml promises, as constraints for pip."""

import pathlib
import re
import tomllib

PROJECT = pathlib.Path(__file__).resolve().parent.parent / "pyproject.toml"
# What users install; the tools of the tests may be of any version.
EXTRAS = ("jax", "torch", "arviz", "plots")


def constraints():
    """`name==version` for each `name>=version`, whatever the marker after it."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = [one for name in EXTRAS for one in project["optional-dependencies"][name]]
    found = []
    for requirement in [*project["dependencies"], *extras]:
        match = re.fullmatch(r"([\w-]+)(\[\w+\])?>=([\d.]+)(;.*)?", requirement)
        if match is None:
            raise ValueError(
                "A requirement is written `name>=version`, so that its lowest version can be "
                f"tested. Received: {requirement!r}."
            )
        found.append(f"{match[1]}=={match[3]}")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    print("\n".join(constraints()))
