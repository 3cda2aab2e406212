"""Writes the stub (`.pyi`) of each twin of a Keras layer, with the arguments that it takes.

A twin takes Keras' arguments and ours, and its `__init__` is written for all of them at once, which
no type checker or editor sees through. `python tools/write_signatures.py` writes the stubs from the
signatures that the classes have when they run; with `--check` it says which would change, and exits
with 1. The arguments of `keras.layers.Layer` stand there by name, so that a misspelt one is an
error and not one of `**kwargs`.
"""

import ast
import inspect
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.write_doors import formatted, write  # noqa: E402

TYPES = {
    **dict.fromkeys(("units", "filters", "groups", "depth_multiplier", "kl_samples"), "int"),
    **dict.fromkeys(("input_dim", "output_dim"), "int"),
    **dict.fromkeys(("use_bias", "mask_zero", "trainable", "autocast"), "bool"),
    **dict.fromkeys(("equation", "padding", "estimator"), "str"),
    **dict.fromkeys(("name", "data_format", "bias_axes"), "str | None"),
    **dict.fromkeys(("num_data", "seed"), "int | None"),
    "temperature": "float",
}
"""Of what Keras does not annotate; all else may be of several types."""


def twins():
    """(class, its file) of each public twin."""
    import keras_priors as kp
    from keras_priors.layers.kernel_layer import KernelLayer

    for name in sorted(kp.layers.__all__):
        cls = getattr(kp.layers, name)
        if isinstance(cls, type) and issubclass(cls, KernelLayer):
            yield cls, pathlib.Path(inspect.getfile(cls))


def parameters(cls):
    """Those of the class, with Keras' own of every layer in the place of `**kwargs`."""
    import keras

    own = inspect.signature(cls.__init__).parameters.values()
    named = [p for p in own if p.kind is not p.VAR_KEYWORD]
    known = {p.name for p in named}
    every = inspect.signature(keras.layers.Layer.__init__).parameters.values()
    return named + [p for p in every if p.kind is p.KEYWORD_ONLY and p.name not in known]


def init_of(cls):
    """The line `def __init__(...) -> None: ...`."""
    texts, keyword_only = [], False
    for one in parameters(cls):
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            texts.append("*")
        if one.name == "self":
            texts.append("self")
            continue
        text = f"{one.name}: {TYPES.get(one.name, 'Any')}"
        texts.append(text if one.default is one.empty else f"{text} = {one.default!r}")
    return f"def __init__({', '.join(texts)}) -> None: ..."


def stub_of(cls, path):
    """The stub of a file with one public class: that class, without the bodies of its methods."""
    tree = ast.parse(path.read_text("utf-8"))
    imports = [ast.unparse(n) for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    (found,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    lines = ["# Written by tools/write_signatures.py.", *imports, "from typing import Any", ""]
    lines.insert(1, "from keras_priors.posteriors.posterior import Posterior")
    lines.append(f"class {cls.__name__}({', '.join(map(ast.unparse, found.bases))}):")
    lines.append("    estimator: str")
    for word in cls.weight_arguments.values():
        lines += [f"    {word}_prior: Any", f"    {word}_posterior: Posterior"]
    lines.append(f"    {init_of(cls)}")
    for node in found.body:
        if isinstance(node, ast.AnnAssign):
            lines.append(f"    {ast.unparse(node.target)}: {ast.unparse(node.annotation)}")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            node.body = [ast.Expr(ast.Constant(...))]
            lines += ["    " + line for line in ast.unparse(node).splitlines()]
    # Without the imports that no signature needs.
    return formatted("\n".join(lines) + "\n", path.with_suffix(".pyi"), "F401,I")


def main(check):
    return write({path.with_suffix(".pyi"): stub_of(cls, path) for cls, path in twins()}, check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
