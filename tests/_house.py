"""The rules of the house, as functions of a file and its tree: see `test_architecture.py`."""

import ast
import importlib.util
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "keras_priors"

# A room imports from earlier lines only: not from later ones, nor from its neighbours.
ORDER = (
    ("utils",),
    ("backend",),
    ("priors", "likelihoods"),
    ("posteriors",),
    ("layers",),
    ("functional",),
    ("models",),
    ("predictive",),
    ("metrics",),
    ("inference", "calibration"),
    ("callbacks", "plots", "bridges", "sklearn", "serving"),
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
# Shelves: what they have is for the rooms above as it stands, without a door.
OPEN = {"utils", "backend"}
BACKEND_LIBRARIES = {"tensorflow", "tensorflow_probability", "tf_keras", "jax", "jaxlib", "torch"}
KNOWS_LIBRARIES = {"backend", "bridges"}
# Other probabilistic libraries: a bridge alone knows them, and imports them where they are used.
BRIDGED_LIBRARIES = {"blackjax", "numpyro", "pymc", "pytensor"}
BACKENDS = ("tensorflow", "jax", "torch")
MAX_LINES = 400
MIN_LINES = 50
LONG = "# Long: "


def load_tool(name):
    path = ROOT / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_doors = load_tool("write_doors")
DOORS = write_doors.doors()


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
        if top in BACKEND_LIBRARIES and here not in KNOWS_LIBRARIES:
            yield f"{path}: only backend/ and bridges/ import {top}"
        if top in BRIDGED_LIBRARIES and here != "bridges":
            yield f"{path}: only bridges/ imports {top}"
        if top != "keras_priors" or here == "__init__" or is_demo(path):
            continue
        if not rest or (rest[0] not in LEVEL and rest[0] != "version"):
            yield f"{path}: imports {name}; import from the room that has it"
        elif rest[0] in LEVEL and rest[0] != here:
            if here not in LEVEL:
                yield f"{path}: {here} has no place in the order of rooms"
            elif LEVEL[rest[0]] >= LEVEL[here]:
                yield f"{path}: {here} must not import from {rest[0]}"


def family_violations(path, tree):
    """Within a room: the core knows no family, and a family no other."""
    room, *folders = parts_of(path)[:-1] or ("",)
    if room in OPEN or path.name == "__init__.py":
        return
    for name in imported_modules(path, tree):
        target = name.split(".")
        inside = target[:2] == ["keras_priors", room] and len(target) > 3
        if inside and (PACKAGE / room / target[2]).is_dir() and target[2:3] != folders[:1]:
            yield f"{path}: {'/'.join([room, *folders])} must not import {name}"


def private_violations(path, tree):
    """From another room comes only what its door has; nothing that begins with an underscore."""
    if is_demo(path) or path.name == "__init__.py":
        return
    here = "keras_priors." + ".".join(parts_of(path)[:-1])
    for node in ast.walk(tree):
        module = (isinstance(node, ast.ImportFrom) and node.module) or ""
        if not module.startswith("keras_priors."):
            continue
        room = module.split(".")[1]
        package = module if is_package(module) else module.rpartition(".")[0]
        for name in (alias.name for alias in node.names):
            if name.startswith("_") and not name.startswith("__"):
                yield f"{path}: {name} of {module} is private to its file"
            if f"{here}.".startswith(f"{package}.") or room in ("utils", "version"):
                continue
            if room == "backend":
                if parts_of(path)[0] != "backend" and module != "keras_priors.backend":
                    yield f"{path}: {module} is within backend/; ask `backend` for {name}"
            elif name not in DOORS.get(package, {}) and not is_package(f"{module}.{name}"):
                yield f"{path}: {name} of {module} is not shared; decorate it there"


def is_package(module):
    return ROOT.joinpath(*module.split("."), "__init__.py").exists()


def name_violations(path, tree):
    """A file with a public name has that one alone, and is named after it."""
    exported = [name for name, kind, _ in write_doors.decorated_in(tree) if kind == "export"]
    if not exported:
        return
    public = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
        # Its name is in files, so that it has no underscore.
        and not any(ast.unparse(each) == "register" for each in node.decorator_list)
    ]
    if len(public) != 1:
        yield f"{path}: one public class or function a file. Received: {public}"
    elif snake_case(public[0]) != path.stem:
        yield f"{path}: {public[0]} belongs in {snake_case(public[0])}.py"


def file_name_violations(path):
    if path.stem.startswith("_") and not path.stem.startswith("__"):
        yield f"{path}: privacy is what the door does not have, and no underscore"


def hasattr_violations(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "hasattr":
            yield f"{path}:{node.lineno}: hasattr; say by type or by contract what is there"


def branch_violations(path, tree):
    """Comparisons with the name of the backend; a message may say it."""
    if parts_of(path)[0] in KNOWS_LIBRARIES:
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


def import_graph(trees):
    """By module: the modules of the package that it imports; a name stands for its module."""
    graph = {}
    for module, (path, tree) in trees.items():
        found = set()
        for name in imported_modules(path, tree):
            while name and name not in trees:
                name = name.rpartition(".")[0]
            if name.count(".") and name != module:
                found.add(name)
        graph[module] = found
    return graph


def circles(graph):
    """Groups of modules that import each other, by any way."""
    reach = {}

    def reachable(module):
        if module not in reach:
            reach[module] = seen = set()
            stack = list(graph.get(module, ()))
            while stack:
                other = stack.pop()
                if other not in seen:
                    seen.add(other)
                    stack += graph.get(other, ())
        return reach[module]

    return sorted(
        {
            tuple(sorted({module, *(o for o in reachable(module) if module in reachable(o))}))
            for module in graph
            if module in reachable(module)
        }
    )


def package_trees():
    found = {}
    for path in source_files("keras_priors"):
        parts = parts_of(path)
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join(["keras_priors", *parts])] = path, ast.parse(path.read_text("utf-8"))
    return found


def lonely_helpers(trees):
    """Short files that one other file imports, and that are no public name's own."""
    graph = import_graph(trees)
    for module, (path, tree) in trees.items():
        parts = parts_of(path)
        of_backend = parts[0] == "backend" and parts[1] in (*BACKENDS, "tfp")
        if path.stem.startswith("__") or parts == ("version",) or of_backend or is_demo(path):
            continue
        importers = [
            other
            for other, imported in graph.items()
            if module in imported and trees[other][0].name != "__init__.py"
        ]
        exported = any(kind == "export" for _, kind, _ in write_doors.decorated_in(tree))
        short = tree.body[-1].end_lineno < MIN_LINES
        if short and not exported and len(importers) == 1:
            yield f"{path}: under {MIN_LINES} lines, and {importers[0]} alone imports it"
