"""Writes the `__init__` of every package from the decorators `export` and `share`.

`python tools/write_doors.py` writes them; with `--check` it says which would change, and exits
with 1. A name is written once, where it is defined (see `keras_priors/utils/export.py`).
"""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Their doors are no list of names: modules are imported from the first, the second is written out,
# the third has one package for each library.
BY_HAND = (
    "keras_priors.utils",
    "keras_priors.backend",
    "keras_priors.bridges",
    "keras_priors.demo",
)
TOP = "keras_priors"
# Packages that users find as attributes of the top one.
ROOMS = (
    "bridges",
    "calibration",
    "callbacks",
    "inference",
    "layers",
    "likelihoods",
    "metrics",
    "plots",
    "posteriors",
    "priors",
)


def decorated_in(tree):
    """(name, decorator, its arguments) of what a file exports or shares."""
    for node in tree.body:
        for decorator in getattr(node, "decorator_list", []):
            called = isinstance(decorator, ast.Call)
            name = decorator.func if called else decorator
            if isinstance(name, ast.Name) and name.id in ("export", "share"):
                arguments = decorator.args if called else []
                yield node.name, name.id, [argument.value for argument in arguments]


def package_of(path):
    """The package of a file, with dots."""
    return ".".join(path.relative_to(ROOT).parent.parts)


def doors():
    """By package: a mapping from name to (module, whether it is public)."""
    found = {}
    for path in sorted((ROOT / TOP).rglob("*.py")):
        module = f"{package_of(path)}.{path.stem}"
        for name, kind, others in decorated_in(ast.parse(path.read_text("utf-8"))):
            for door in (package_of(path), *others):
                names = found.setdefault(door, {})
                if name in names:
                    raise ValueError(f"{door} has {name} twice: {names[name][0]} and {module}")
                names[name] = (module, kind == "export")
    return found


def text_of(door, names):
    """The file, with the docstring that it has."""
    docstring = ast.get_docstring(ast.parse(path_of(door).read_text("utf-8")), clean=False)
    lines = [f'"""{docstring}"""', "", "# Written by tools/write_doors.py.", ""]
    public = sorted(name for name, (_, is_public) in names.items() if is_public)
    if door == TOP:
        # Before the first room, which imports Keras.
        check = "check_installed"
        lines += [f"from {TOP}.utils.{check} import {check} as _{check}", "", f"_{check}()", ""]
        lines.append(f"from {TOP} import {', '.join(ROOMS)}")
        lines.append(f"from {TOP}.version import __version__")
        public = sorted([*public, *ROOMS, "__version__"])
    for name, (module, is_public) in sorted(names.items(), key=lambda item: item[1][0]):
        alias = "" if is_public else f" as {name}"
        lines.append(f"from {module} import {name}{alias}")
    if public:
        lines += ["", "__all__ = [", *(f'    "{name}",' for name in public), "]"]
    lines.append("")
    return "\n".join(lines)


def path_of(door):
    return ROOT.joinpath(*door.split("."), "__init__.py")


def formatted(text, path, rules="I,RUF022"):
    """As `ruff` mends it by these rules, and formats it."""
    for arguments in (["check", "--select", rules, "--fix", "--quiet"], ["format", "--quiet"]):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", path, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return text


def write(texts, check):
    """Write these texts by path where they differ, or only say so; the exit status."""
    changed = [p for p, text in texts.items() if not p.exists() or p.read_text("utf-8") != text]
    for path in changed:
        if not check:
            path.write_text(texts[path], "utf-8")
        print(f"{'would change' if check else 'written'}: {path.relative_to(ROOT)}")
    return int(check and bool(changed))


def main(check):
    texts = {}
    for door, names in sorted(doors().items()):
        if door not in BY_HAND:
            path = path_of(door)
            texts[path] = formatted(text_of(door, names), path)
    return write(texts, check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
