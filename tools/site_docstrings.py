"""What mkdocstrings does not find in the source of the package, as an extension of its reader.

It reads files without running them. The twins of Keras layers take arguments and a part of their
docstring from Keras when they are imported: of these it is told what Python says.
"""

import inspect
import os
import re

import griffe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class HouseDocstrings(griffe.Extension):
    def on_instance(self, *, obj, **kwargs):
        """`Example:` of the house is the section that it calls `Examples:`."""
        if obj.docstring:
            obj.docstring.value = _sections_renamed(obj.docstring.value)

    def on_package(self, *, pkg, **kwargs):
        if pkg.path != "keras_priors":
            return
        import keras_priors

        for name in keras_priors.layers.__all__:
            cls, read = getattr(keras_priors.layers, name), pkg["layers"][name].final_target
            text = inspect.getdoc(cls)
            if _sections_renamed(text) == inspect.cleandoc(read.docstring.value):
                continue
            read.docstring.value = _sections_renamed(text)
            made = griffe.Function("__init__", parameters=griffe.Parameters(*_parameters(cls)))
            read.set_member("__init__", made)
        _functions_before_files(pkg)


def _functions_before_files(room):
    """A name of a room is the function, as at import, and not the file that is named after it."""
    for name, file in list(room.members.items()):
        if file.is_alias or not file.is_module:  # what a file imports is walked over where it lies
            continue
        _functions_before_files(file)
        if name in map(str, room.exports or ()) and name in file.members:
            room.set_member(name, griffe.Alias(name, file[name], parent=room))


def _sections_renamed(text):
    return re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.M)


def _parameters(cls):
    """Those of a signature, `self` before them."""
    yield griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    for parameter in inspect.signature(cls).parameters.values():
        kind = griffe.ParameterKind(parameter.kind.description)
        required = parameter.default is parameter.empty
        default = None if required else repr(parameter.default)
        yield griffe.Parameter(parameter.name, kind=kind, default=default)
