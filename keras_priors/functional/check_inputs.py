"""Whether arrays fit a model's inputs, said before anything is compiled."""

from typing import Any

import keras

from keras_priors.utils.export import share


@share
def check_inputs(model: Any, x: Any) -> None:
    """Refuses rows whose structure or shape the model does not take, where it says so itself.

    Functional and Sequential models know their inputs; a subclassed one speaks for itself when
    it is traced.
    """
    expected = getattr(model, "inputs", None)
    if not expected:
        return
    received = _in_order(model, x, expected)
    for spec, array in zip(expected, received, strict=True):
        if array.dtype.kind in "UT" and spec.dtype != "string":
            raise ValueError(
                f"`x` must hold numbers for input {spec.name!r} of {model.name!r}. Received: "
                f"strings, first {str(array.flat[0])!r}. Encode categories as numbers "
                '(sklearn.preprocessing.OneHotEncoder), or begin with keras.Input(dtype="string") '
                "and a keras.layers.StringLookup, which TensorFlow can run."
            )
        if not _fits(tuple(spec.shape), array.shape):
            raise ValueError(
                f"Rows of `x` must have the shape {tuple(spec.shape)[1:]} for input "
                f"{spec.name!r} of {model.name!r}. Received: an array of shape {array.shape}, "
                f"whose rows have the shape {array.shape[1:]}."
                + (" For a single row write x[None]." if array.shape == spec.shape[1:] else "")
            )


def _in_order(model: Any, x: Any, expected: list[Any]) -> list[Any]:
    if isinstance(x, dict):
        names = [spec.name for spec in expected]
        missing = [name for name in names if name not in x]
        if not missing:
            return [x[name] for name in names]
    leaves: list[Any] = keras.tree.flatten(x)
    if len(leaves) != len(expected):
        names = [spec.name for spec in expected]
        raise ValueError(
            f"`x` must hold one array for each input of {model.name!r}: {names}. "
            f"Received: {len(leaves)} arrays"
            + (f" with the keys {sorted(x)}." if isinstance(x, dict) else ".")
        )
    return leaves


def _fits(expected: tuple[Any, ...], received: tuple[int, ...]) -> bool:
    # Keras itself adds or drops a last axis of one.
    if len(received) == len(expected) - 1 and expected[-1] == 1:
        received = (*received, 1)
    elif len(received) == len(expected) + 1 and received[-1] == 1:
        received = received[:-1]
    return len(received) == len(expected) and all(
        want is None or want == have for want, have in zip(expected[1:], received[1:], strict=True)
    )
