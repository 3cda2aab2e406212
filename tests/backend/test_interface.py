"""Each backend has what the interface declares, where it says, and no more.

Read from the sources, so that one run compares the three whichever library is installed.
"""

import ast
import pathlib

import pytest

from keras_priors import backend

ROOT = pathlib.Path(backend.__file__).parent
PACKAGE = backend.__name__
IMPLEMENTATIONS = ("tensorflow", "jax", "torch", "tfp")
# What refuses at once need not name what it does not read.
REFUSALS = {("torch", "hamiltonian")}


def parsed(path):
    return ast.parse(path.read_text("utf-8"))


def functions(tree):
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def section_of(function):
    """The argument of `_provided`, None for what is no declaration."""
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name("_provided"), args=[ast.Constant(section)]):
                return section
    return None


def shape_of(function):
    """Its parameters with their kinds and defaults, without their types."""
    arguments = ast.parse(f"lambda {ast.unparse(without_types(function.args))}: 0", mode="eval")
    return ast.unparse(arguments.body.args)


def without_types(arguments):
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return arguments


INTERFACE = parsed(ROOT / "__init__.py")
DECLARED = {
    name: function for name, function in functions(INTERFACE).items() if section_of(function)
}
FOLDERS = next(
    ast.literal_eval(node.value)
    for node in INTERFACE.body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_FOLDERS"
)
# (folder, module) to its source, for the modules that lie beside each other.
MODULES = {
    (folder, path.stem): parsed(path)
    for folder in IMPLEMENTATIONS
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.stem != "__init__"
}


def implementations(name):
    """(folder, module, function) of all public functions of that name."""
    return [
        (*place, functions(tree)[name])
        for place, tree in MODULES.items()
        if name in functions(tree)
    ]


def imported_from(tree):
    """(module, name) of all that a source imports from modules of `backend`."""
    return {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)
        for alias in node.names
    }


def test_the_interface_is_read():
    assert set(FOLDERS) == {"tensorflow", "jax", "torch"}
    assert {folder for folders in FOLDERS.values() for folder in folders} == set(IMPLEMENTATIONS)
    assert {"value_and_gradient", "standard_normal", "hamiltonian"} <= set(DECLARED)
    assert set(DECLARED) <= set(backend.__all__)
    for name in backend.__all__:
        assert callable(vars(backend)[name]), name
    # No name by accident: the others come from the modules that all backends share.
    shared = {name for _, name in imported_from(INTERFACE)}
    assert set(backend.__all__) == set(DECLARED) | shared


@pytest.mark.parametrize("chosen", FOLDERS)
@pytest.mark.parametrize("name", DECLARED)
def test_each_backend_has_each_function_once_in_its_section(name, chosen):
    places = [
        (folder, module) for folder, module, _ in implementations(name) if folder in FOLDERS[chosen]
    ]
    assert len(places) == 1
    assert places[0][1] == section_of(DECLARED[name])


@pytest.mark.parametrize("name", DECLARED)
def test_parameters_are_those_declared(name):
    declared = shape_of(DECLARED[name])
    for folder, _, function in implementations(name):
        if (folder, name) in REFUSALS:
            assert shape_of(function) == "*_, **__"
        else:
            assert shape_of(function) == declared, folder


@pytest.mark.parametrize("name", DECLARED)
def test_the_docstring_is_written_once(name):
    assert ast.get_docstring(DECLARED[name])
    assert [place for *place, node in implementations(name) if ast.get_docstring(node)] == []


def test_no_other_public_function_but_for_the_modules_beside_it():
    sources = [parsed(path) for path in ROOT.rglob("*.py")]
    used = set().union(*(imported_from(tree) for tree in sources))
    for (folder, module), tree in MODULES.items():
        for name, function in functions(tree).items():
            if not name.startswith("_") and name not in DECLARED:
                assert (f"{PACKAGE}.{folder}.{module}", name) in used, (folder, module, name)
                assert ast.get_docstring(function), (folder, module, name)


def test_a_call_goes_to_the_implementation_itself_and_tells_what_is_declared():
    for name, declaration in DECLARED.items():
        found = vars(backend)[name]
        assert found.__module__.split(".")[-1] == section_of(declaration)
        assert found.__doc__.split() == ast.get_docstring(declaration).split()
