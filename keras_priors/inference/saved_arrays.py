"""The arrays of a posterior's file, which anyone may have changed."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_priors.utils.export import share

# What a compressed entry may expand to: this many times its own size, and as many bytes. What
# `posterior.save` writes is not compressed.
_TIMES, _BYTES = 10, 16 * 2**20


@share
class SavedArrays(dict[str, Any]):
    """Arrays by name; each error names the entry, what it must be and what it is.

    Args:
        arrays: mapping from name to array.
        may_be_infinite: leads of the names of those that may hold NaN and infinity.
    """

    def __init__(self, arrays: Mapping[str, Any], may_be_infinite: Sequence[str] = ()) -> None:
        super().__init__(arrays)
        for name, array in arrays.items():
            if array.dtype.kind not in "fiub":
                raise ValueError(
                    f"The entry {name!r} must hold numbers. Received: dtype {array.dtype}."
                )
            finite = array.dtype.kind != "f" or np.all(np.isfinite(array))
            if not finite and not name.startswith(tuple(may_be_infinite)):
                raise ValueError(f"The entry {name!r} must be finite. Received: NaN or infinity.")

    def __missing__(self, name: str) -> Any:
        raise ValueError(f"There must be an entry {name!r}. Received: {sorted(self)}.")

    def of_shape(self, name: str, shape: Sequence[int | None]) -> Any:
        """The array of this name, whose shape it must be; None is any length."""
        array = self[name]
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, have) for wanted, have in zip(shape, array.shape, strict=True)
        )
        if not fits:
            wanted = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
            raise ValueError(
                f"The entry {name!r} must have the shape {wanted}. Received: {array.shape}."
            )
        return array

    def group(self, lead: str) -> dict[str, Any]:
        """The arrays below "lead/", by what follows it."""
        lead = f"{lead}/"
        return {k.removeprefix(lead): v for k, v in self.items() if k.startswith(lead)}

    def numbered(self, shapes: Sequence[Sequence[int | None]], lead: str = "") -> list[Any]:
        """The arrays "0", "1", ... of these shapes, and no others of that lead."""
        names = [f"{lead}{k}" for k in range(len(shapes))]
        others = [n for n in self if n.startswith(lead) and n not in names]
        if others:
            raise ValueError(
                f"There must be {len(shapes)} entries {names}. Received: also {others}."
            )
        return [self.of_shape(name, shape) for name, shape in zip(names, shapes, strict=True)]

    def states(self, model: Any, axes: Sequence[int | None] = ()) -> dict[int, Any]:
        """Values of variables of the model by their index, with leading axes."""
        found = {}
        for index in self.group("states"):
            if not (index.isdecimal() and int(index) < len(model.variables)):
                raise ValueError(
                    f"The entry 'states/{index}' must name one of the {len(model.variables)} "
                    f"variables of {model.name} by its number."
                )
            shape = (*axes, *model.variables[int(index)].shape)
            found[int(index)] = self.of_shape(f"states/{index}", shape)
        return found


def checked_sizes(file: zipfile.ZipFile) -> zipfile.ZipFile:
    """A zip file of which no entry expands beyond what it can hold; said before one is read."""
    for entry in file.infolist():
        if entry.file_size > _TIMES * entry.compress_size + _BYTES:
            raise ValueError(
                f"An entry of a file must not expand to more than {_TIMES} times its size. "
                f"Received: {entry.filename!r} of {entry.compress_size} bytes, which would be "
                f"{entry.file_size}."
            )
    return file


def read_arrays(packed: bytes) -> dict[str, Any]:
    """The arrays of an .npz file, whose headers are read before any of them is."""
    with checked_sizes(zipfile.ZipFile(io.BytesIO(packed))) as file:
        for entry in file.infolist():
            with file.open(entry) as content:
                version = np.lib.format.read_magic(content)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, dtype = read(content)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize > entry.file_size:
                    raise ValueError(
                        f"The entry {entry.filename.removesuffix('.npy')!r} must hold the numbers "
                        f"that its header says. Received: a header of shape {shape} and dtype "
                        f"{dtype} in {entry.file_size} bytes."
                    )
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return dict(arrays)
