"""Arrays of rows from whatever holds numbers, and a refusal of what would lose some of it."""

from __future__ import annotations

import numbers
from typing import Any

import keras
import numpy as np

from keras_priors.functional.count_observations import is_a
from keras_priors.utils.export import share
from keras_priors.utils.masked_elements import masked_elements

_RULE = "`{name}` must hold numbers, one row after the other. Received: "


@share
def as_array(leaf: Any, name: str = "x") -> Any:
    """An array whose first axis is the rows, floats in `keras.config.floatx()`.

    Args:
        leaf: an array, tensor, data frame or column.
        name: str, the argument that it is, for messages. Defaults to "x", in which strings stay:
            a model may begin with `StringLookup` or `TextVectorization`.

    Raises:
        ValueError: masked, sparse, ragged, complex, dates, or objects that are neither numbers
            nor strings, all of which NumPy or Keras would take for something else.
    """
    rule = _RULE.format(name=name)
    _refuse_containers(leaf, name, rule)
    array = keras.ops.convert_to_numpy(leaf) if keras.ops.is_tensor(leaf) else np.asarray(leaf)
    if array.ndim == 0:
        raise ValueError(
            f"`{name}` must hold arrays whose first axis is the rows. Received: the single value "
            f"{leaf!r}. Write numpy.array({name}) around a list of numbers: a list is read as one "
            "array for each input of the model."
        )
    if array.dtype == object:
        array = _of_objects(array, leaf, name, rule)
    kind = array.dtype.kind
    # As Keras' own `predict` does. The small floats of `ml_dtypes`, bfloat16 too, are of kind V.
    if kind == "f" or array.dtype.name.startswith(("bfloat", "float")):
        return array.astype(keras.config.floatx(), copy=False)
    if kind == "c":
        raise ValueError(
            f"{rule}complex numbers, of which Keras drops the imaginary part. Give real and "
            f"imaginary part as columns: numpy.concatenate([{name}.real, {name}.imag], axis=-1)."
        )
    if kind in "mM":
        raise ValueError(
            f"{rule}dates or durations of dtype {array.dtype}. Turn them into a number, such as "
            'days since a day of yours: (t - t0) / numpy.timedelta64(1, "D").'
        )
    if kind not in "biuUT":
        raise ValueError(
            f"{rule}an array of dtype {array.dtype}. Give its fields as an array of floats, or as "
            "one array for each input of the model."
        )
    if kind in "UT" and name != "x":
        raise ValueError(
            f"{rule}strings, first {str(array.flat[0])!r}. Number the classes: classes, {name} = "
            f"numpy.unique({name}, return_inverse=True)."
        )
    return array


def _refuse_containers(leaf: Any, name: str, rule: str) -> None:
    """Refuses what `numpy.asarray` takes for one object, or takes without its mask."""
    if masked := masked_elements(leaf):
        raise ValueError(
            f"{rule}{masked}, whose mask no layer sees. Leave these rows out"
            + (
                ", or fill them in (x.filled(0.0)) with a column that says where."
                if name == "x"
                else "."
            )
        )
    sparse = type(leaf).__module__.startswith("scipy.sparse")
    dense = f"{name}.toarray()"
    if is_a(leaf, "torch", "Tensor") and str(leaf.layout) != "torch.strided":
        sparse, dense = True, f"{name}.to_dense()"
    if is_a(leaf, "tensorflow", "SparseTensor"):
        sparse, dense = True, f"tf.sparse.to_dense({name})"
    if is_a(leaf, "jax.experimental.sparse", "JAXSparse"):
        sparse, dense = True, f"{name}.todense()"
    if sparse:
        raise ValueError(f"{rule}a sparse {type(leaf).__name__}. Make it dense: {dense}.")
    if is_a(leaf, "tensorflow", "RaggedTensor"):
        raise ValueError(
            f"{rule}a RaggedTensor, whose rows have different lengths. Pad them: "
            f"{name}.to_tensor(), and mask the padding in the model, as by keras.layers.Masking."
        )


def _of_objects(array: Any, leaf: Any, name: str, rule: str) -> Any:
    """An array of numbers or of strings, if every element is one."""
    flat = list(array.flat)
    if all(isinstance(v, str) for v in flat):
        return array.astype(str)
    wrong = [k for k, v in enumerate(flat) if not isinstance(v, numbers.Real)]
    if not wrong:
        return array.astype("float64")
    place = np.unravel_index(wrong[0], array.shape)
    value, where = flat[wrong[0]], f"at {tuple(int(k) for k in place)}"
    columns = getattr(leaf, "columns", None)
    if columns is not None and len(place) == 2:
        where = f"in column {list(columns)[place[1]]!r}, row {int(place[0])}"
    raise ValueError(
        f"{rule}{value!r} of type {type(value).__name__} {where}, one of {len(wrong)} elements of "
        f"{len(flat)} that are no numbers. Encode categories as numbers (pandas.get_dummies, "
        "sklearn.preprocessing.OneHotEncoder), and fill in or leave out what is missing."
    )
