"""A fitted model as an ONNX graph with the model's own signature."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from inferd.compiling import tree_ensemble
from inferd.compiling.converters.base import MANY, CannotConvert, Context
from inferd.compiling.graph import Value
from inferd.estimators.fitted import Fitted
from inferd.signature import TensorSpec
from inferd.tensors import Array


class Conversion(NamedTuple):
    """What the converters made of a model."""

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


def convert(fitted: Fitted) -> Conversion:
    """Write *fitted* by the converters of its parts' libraries, and read its trees back.

    Raises CannotConvert, with the reason.
    """
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
