"""A fitted model as ONNX bytes with the model's own signature: by our own converters, or by
skl2onnx where those have none."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from inferd import plugins
from inferd.compiling import tree_ensemble
from inferd.compiling.converters.base import MANY, CannotConvert, Context
from inferd.compiling.graph import Value
from inferd.estimators.fitted import Fitted
from inferd.signature import TensorSpec
from inferd.tensors import Array


class Conversion(NamedTuple):
    """What a route made."""

    model: Any
    """An ``onnx.ModelProto``."""
    points: Mapping[int, Array]
    """Values worth probing, by column."""
    nodes: int
    """Nodes of trees that were read back and are the model's."""
    inexact: str
    """Why the last bit may differ; empty where it may not."""
    rows: int = MANY
    """How many rows one call may have."""


def own(fitted: Fitted) -> Conversion:
    """By the converters in ``converters/``. Raises CannotConvert."""
    taken = {"", *fitted.signature.output_names}
    if clash := [name for name in fitted.signature.input_names if name in taken]:
        raise CannotConvert(
            f"a column is called {clash[0]!r}, as no tensor can be beside the outputs"
        )
    context = Context()
    frame = context.inputs(fitted.signature.inputs, fitted.positions)
    for spec in fitted.signature.outputs:
        made = context.emit(fitted.model, frame, fitted.methods[spec.name])
        context.graph.output(spec, _as(context, made, spec))
    model = context.graph.finish()
    by_output = {node.output[0]: node for node in model.graph.node}
    for name, forest in context.forests:
        if wrong := tree_ensemble.differences(forest, by_output[name]):
            raise CannotConvert(f"{wrong} nodes of the written trees are not the model's")
    nodes = sum(len(tree.left) for _, forest in context.forests for tree in forest.trees)
    points = {column: np.unique(np.concatenate(each)) for column, each in context.points.items()}
    rounded = ", ".join(context.graph.inexact)
    inexact = f"each library rounds {rounded} in its own way" if rounded else ""
    return Conversion(model, points, nodes, inexact, context.rows)


def _as(context: Context, made: Value, spec: TensorSpec) -> str:
    """*made* in the datatype that the signature promises, if it is of the shape."""
    if made.width != (spec.shape[1] if len(spec.shape) > 1 else 0):
        raise CannotConvert(f"output {spec.name!r} would be {made.width} wide")
    if (made.dtype == object) != (spec.datatype == "BYTES"):
        raise CannotConvert(f"output {spec.name!r} would be {made.dtype}")
    return context.graph.cast(made, spec.type.numpy).name


def by_skl2onnx(fitted: Fitted) -> Conversion:
    """By skl2onnx, in float64 throughout: in float32 labels flip near every boundary."""
    if [spec.datatype for spec in fitted.signature.inputs] not in (["FP64"], ["FP32"]):
        raise CannotConvert("skl2onnx is asked for tables of numbers only")
    if type(fitted.model).__module__.partition(".")[0] != "sklearn":
        raise CannotConvert("skl2onnx is asked for scikit-learn's models only")
    skl2onnx = plugins.require("skl2onnx", "compile")
    from skl2onnx.common.data_types import DoubleTensorType

    (spec,) = fitted.signature.inputs
    options = {id(fitted.model): {"zipmap": False}} if hasattr(fitted.model, "classes_") else None
    kind = DoubleTensorType([None, spec.shape[1]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, about its dependencies
            made = skl2onnx.convert_sklearn(
                fitted.model,
                initial_types=[(spec.name, kind)],
                options=options,
                target_opset={"": 17, "ai.onnx.ml": 3},
            )
    except Exception as error:  # noqa: BLE001 - its converters raise whatever they stumble on
        raise CannotConvert(f"skl2onnx: {type(error).__name__}") from None
    return Conversion(_fitted_to(fitted, made), {}, 0, "it was written by skl2onnx")


def _fitted_to(fitted: Fitted, made: Any) -> Any:
    """skl2onnx's model with the signature's names, datatypes and shapes."""
    import onnx

    if spec_of := [s for s in fitted.signature.inputs if s.datatype != "FP64"]:
        raise CannotConvert(f"skl2onnx is asked for float64 only, not for {spec_of[0].datatype}")
    if len(made.graph.output) < len(fitted.signature.outputs):
        raise CannotConvert("skl2onnx gives fewer outputs")
    outputs = list(made.graph.output)
    del made.graph.output[:]
    for output, spec in zip(outputs, fitted.signature.outputs, strict=False):
        number = onnx.helper.np_dtype_to_tensor_dtype(spec.type.numpy)
        source = output.name
        if spec.datatype != "BYTES":
            made.graph.node.append(
                onnx.helper.make_node("Cast", [source], [f"{source}_cast"], to=number)
            )
            source = f"{source}_cast"
        shape = onnx.helper.make_tensor(f"{spec.name}_shape", 7, [len(spec.shape)], spec.shape)
        made.graph.initializer.append(shape)
        made.graph.node.append(
            onnx.helper.make_node("Reshape", [source, shape.name], [f"inferd_{spec.name}"])
        )
        _rename(made.graph, f"inferd_{spec.name}", spec.name, {o.name for o in outputs})
        named = ["rows" if d < 0 else d for d in spec.shape]
        made.graph.output.append(onnx.helper.make_tensor_value_info(spec.name, number, named))
    rows = made.graph.input[0].type.tensor_type.shape.dim[0]
    rows.ClearField("dim_value")
    rows.dim_param = "rows"
    return made


def _rename(graph: Any, old: str, new: str, taken: set[str]) -> None:
    """Give the tensor *old* the name *new*; a tensor that has it already makes way."""
    swap = {old: new, new: old} if new in taken else {old: new}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [swap.get(name, name) for name in names]


ROUTES: Mapping[str, Callable[[Fitted], Conversion]] = {"inferd": own, "skl2onnx": by_skl2onnx}
"""In the order in which they are tried."""
