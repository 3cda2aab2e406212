"""The facade offers the same names whichever backend is chosen."""

import ast
import pathlib

from keras_priors import backend


def test_every_branch_imports_the_same_names():
    tree = ast.parse(pathlib.Path(backend.__file__).read_text())
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    names = []
    while isinstance(branch, ast.If):
        names.append(
            {alias.name for node in branch.body for alias in node.names}  # all are imports
        )
        branch = branch.orelse[0]
    assert len(names) == 3
    assert names[0] == names[1] == names[2]
    assert names[0] <= set(backend.__all__)
    for name in backend.__all__:
        assert callable(getattr(backend, name))
