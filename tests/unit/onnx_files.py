"""Writes tiny ONNX models, one shape of model a function, without training anything."""

import json
from pathlib import Path
from typing import Any

from onnx import TensorProto, checker, helper, save

FLOAT, INT64, INT32, STRING, BFLOAT16 = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.INT32,
    TensorProto.STRING,
    TensorProto.BFLOAT16,
)
# The classes' scores are three of the four features, so that a test can tell the answer by eye.
COEFFICIENTS = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def classifier(path: Path, *, names: list[str] | None = None, zipmap: bool = False) -> Path:
    """Four features; a label, and the probabilities of three classes as a matrix or as maps."""
    classes: dict[str, Any] = (
        {"classlabels_strings": names} if names else {"classlabels_ints": [0, 1, 2]}
    )
    linear = helper.make_node(
        "LinearClassifier",
        ["X"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=COEFFICIENTS,
        intercepts=[0.0, 0.0, 0.0],
        post_transform="SOFTMAX",
        **classes,
    )
    label = helper.make_tensor_value_info("label", STRING if names else INT64, [None])
    if not zipmap:
        matrix = helper.make_tensor_value_info("scores", FLOAT, [None, 3])
        return _save(path, [linear], [_floats("X", [None, 4])], [label, matrix])
    keys = {"classlabels_strings": names} if names else {"classlabels_int64s": [0, 1, 2]}
    maps = helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", **keys)
    kind = helper.make_map_type_proto(
        STRING if names else INT64, helper.make_tensor_type_proto(FLOAT, [])
    )
    listed = helper.make_value_info("maps", helper.make_sequence_type_proto(kind))
    return _save(path, [linear, maps], [_floats("X", [None, 4])], [label, listed])


def adder(path: Path, width: int = 4) -> Path:
    """Two inputs of whole numbers; their sum and their difference."""
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    inputs = [helper.make_tensor_value_info(f"INPUT{at}", INT32, [None, width]) for at in (0, 1)]
    outputs = [helper.make_tensor_value_info(f"OUTPUT{at}", INT32, [None, width]) for at in (0, 1)]
    return _save(path, nodes, inputs, outputs)


def columns(path: Path, **metadata: Any) -> Path:
    """One column of numbers and one of strings; both come back."""
    nodes = [
        helper.make_node("Neg", ["age"], ["column"]),
        helper.make_node("ReduceMax", ["column"], ["older"], axes=[1], keepdims=0),
        helper.make_node("Identity", ["name"], ["same"]),
    ]
    inputs = [_floats("age", [None, 1]), helper.make_tensor_value_info("name", STRING, [None, 1])]
    outputs = [
        _floats("older", [None]),
        helper.make_tensor_value_info("same", STRING, [None, 1]),
    ]
    return _save(path, nodes, inputs, outputs, metadata)


def misdeclared(path: Path) -> Path:
    """Each row twice, though the file says that there are as many rows as were sent."""
    nodes = [helper.make_node("Concat", ["X", "X"], ["Y"], axis=0)]
    return _save(path, nodes, [_floats("X", [None, 4])], [_floats("Y", [None, 4])])


def gatherer(path: Path) -> Path:
    """One index a row into three numbers; one that is beyond them fails."""
    table = helper.make_tensor("table", FLOAT, [3], [10.0, 20.0, 30.0])
    nodes = [
        helper.make_node("Constant", [], ["numbers"], value=table),
        helper.make_node("Gather", ["numbers", "X"], ["Y"]),
    ]
    inputs = [helper.make_tensor_value_info("X", INT64, [None, 1])]
    return _save(path, nodes, inputs, [_floats("Y", [None, 1])])


def identity(path: Path, shape: list[int | None], kind: int = FLOAT, **metadata: Any) -> Path:
    """One tensor, which comes back as it went in."""
    nodes = [helper.make_node("Identity", ["X"], ["Y"])]
    inputs = [helper.make_tensor_value_info("X", kind, shape)]
    outputs = [helper.make_tensor_value_info("Y", kind, shape)]
    return _save(path, nodes, inputs, outputs, metadata)


def lookup_table(path: Path) -> Path:
    """A table of three numbers by position: a fourth position makes the model fail."""
    nodes = [helper.make_node("Gather", ["table", "X"], ["Y"])]
    table = helper.make_tensor("table", FLOAT, [3], [10.0, 20.0, 30.0])
    inputs = [helper.make_tensor_value_info("X", INT64, [None])]
    return _save(path, nodes, inputs, [_floats("Y", [None])], initializers=[table])


def _floats(name: str, shape: list[int | None]) -> Any:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def _save(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    metadata: dict[str, Any] | None = None,
    *,
    initializers: list[Any] | None = None,
) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers or [])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    texts = {f"inferd.{key}": value for key, value in (metadata or {}).items()}
    helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in texts.items()}
    )
    checker.check_model(model)
    save(model, path)
    return path
