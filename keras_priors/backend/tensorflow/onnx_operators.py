"""TensorFlow's operators that tf2onnx leaves in a file as they are, and no runtime knows there."""

import functools
from typing import Any

import numpy as np


@functools.cache
def add_onnx_operators() -> None:
    """Tells tf2onnx of them, once: those that it has itself stay."""
    import tf2onnx.onnx_opset  # whose import registers its own
    from tf2onnx.handler import tf_op

    have = tf_op.get_opsets()[tf2onnx.constants.ONNX_DOMAIN]
    for name, build in (("Log1p", _log1p), ("Expm1", _expm1)):
        if not any(name in version for version in have):
            tf_op(name)(_handler(build))


def _handler(build: Any) -> type:
    class Handler:
        @classmethod
        def version_7(cls, graph: Any, node: Any, **_: Any) -> None:
            shapes, dtypes = node.output_shapes, node.output_dtypes
            inner = _Graph(graph, node.input[0])
            found = build(inner, node.input[0])
            graph.remove_node(node.name)
            graph.make_node("Identity", [found], outputs=node.output, shapes=shapes, dtypes=dtypes)

    return Handler


class _Graph:
    """Operators of ONNX on the names of values, with numbers in the type of one of them."""

    def __init__(self, graph: Any, like: str) -> None:
        from tf2onnx import utils

        self._graph = graph
        self._dtype = utils.map_onnx_to_numpy_type(graph.get_dtype(like))
        self._name = utils.make_name

    def __call__(self, operator: str, *values: Any) -> str:
        names = [v if isinstance(v, str) else self._number(v) for v in values]
        return str(self._graph.make_node(operator, names).output[0])

    def _number(self, value: float) -> str:
        constant = np.array(value, self._dtype)
        return str(self._graph.make_const(self._name("number"), constant).output[0])


def _log1p(g: _Graph, x: str) -> str:
    """log(u) x / (u - 1) with u = 1 + x as it is rounded, whose errors cancel.

    Goldberg, 1991, What every computer scientist should know about floating-point arithmetic,
    theorem 4.
    """
    u = g("Add", x, 1.0)
    rounded, log = g("Sub", u, 1.0), g("Log", u)
    small, large = g("Equal", rounded, 0.0), g("Equal", rounded, x)
    ratio = g("Div", x, g("Where", small, 1.0, rounded))
    # A ratio of infinities is none; where nothing was rounded off it is 1.
    return g("Where", small, x, g("Where", large, log, g("Mul", log, ratio)))


def _expm1(g: _Graph, x: str) -> str:
    """tanh(x / 2) (e^x + 1), which has all its digits near 0 too."""
    return g("Mul", g("Tanh", g("Mul", x, 0.5)), g("Add", g("Exp", x), 1.0))
