"""The models that are fuzzed: between them most datatypes, one and several inputs, one and more
dimensions; each so simple that its answers are known."""

# ruff: noqa: TID253 - a program of its own, which needs onnx at once
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = [[1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]]
Value = tuple[str, int, list[int | None]]


def write_all(folder: Path) -> list[Path]:
    """Write the models into *folder*; the first is the default."""
    made = {
        "linear": _linear(),
        "words": _words(),
        "mixed": _mixed(),
        "cube": _cube(),
        "line": _line(),
    }
    for name, graph in made.items():
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
    return [folder / f"{name}.onnx" for name in made]


def _linear() -> onnx.ModelProto:
    """Four numbers to a label and three scores, as a classifier has them."""
    nodes = [
        helper.make_node("MatMul", ["X", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    return _model(
        nodes,
        [("X", TensorProto.FLOAT, [None, 4])],
        [("label", TensorProto.INT64, [None]), ("scores", TensorProto.FLOAT, [None, 3])],
        weights=np.array(WEIGHTS, np.float32),
    )


def _words() -> onnx.ModelProto:
    """Strings that come back."""
    return _model(
        [helper.make_node("Identity", ["text"], ["same"])],
        [("text", TensorProto.STRING, [None, 1])],
        [("same", TensorProto.STRING, [None, 1])],
    )


def _mixed() -> onnx.ModelProto:
    """One input a column: a double, a whole number, a truth and a string."""
    names = {
        "amount": TensorProto.DOUBLE,
        "count": TensorProto.INT64,
        "flag": TensorProto.BOOL,
        "code": TensorProto.STRING,
    }
    return _model(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names],
        [(name, kind, [None, 1]) for name, kind in names.items()],
        [(f"{name}_out", kind, [None, 1]) for name, kind in names.items()],
    )


def _cube() -> onnx.ModelProto:
    """Small whole numbers in three dimensions."""
    return _model(
        [helper.make_node("Identity", ["cells"], ["copy"])],
        [("cells", TensorProto.UINT8, [None, 2, 3])],
        [("copy", TensorProto.UINT8, [None, 2, 3])],
    )


def _line() -> onnx.ModelProto:
    """A number to another, as a regression has them."""
    return _model(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        [("x", TensorProto.FLOAT, [None, 1])],
        [("y", TensorProto.FLOAT, [None, 1])],
        weights=np.array([[2]], np.float32),
    )


def _model(
    nodes: Sequence[onnx.NodeProto],
    given: Sequence[Value],
    made: Sequence[Value],
    **weights: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*value) for value in given],
        [helper.make_tensor_value_info(*value) for value in made],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
