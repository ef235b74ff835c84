"""What the converters of transformers share: tables of one datatype, sparse ones, codes, refusals.

A transformer's result is one tensor with the datatype that the library's own array would have.
Whether the library would hold it as a sparse matrix is remembered, since some steps compute a
sparse matrix in another way (a scaler multiplies by the reciprocal instead of dividing).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import UNKNOWN, CannotConvert, Context, Frame
from inferd.compiling.graph import Value
from inferd.tensors import Array

DOUBLE = np.dtype(np.float64)
INFINITE = (float("inf"), float("-inf"))
FAR = 2**40
"""An index beyond any table. ONNX has no way to raise, but ONNX Runtime fails a run whose Gather
reaches outside its table: so a request fails where the library would raise."""


def require(holds: Any, reason: str) -> None:
    """Refuse the model, with *reason*, unless *holds*."""
    if not holds:
        raise CannotConvert(reason)


def joined(context: Context, frame: Frame) -> Value:
    """All columns side by side, in the datatype that numpy gives them together.

    All strings, or all numbers; CannotConvert for a mixture.
    """
    kinds = {part.dtype for part in frame.parts}
    if np.dtype(object) not in kinds:
        return context.matrix(frame, np.result_type(*kinds))
    require(len(kinds) == 1, "strings and numbers in one table")
    if len(frame.parts) == 1:
        return frame.parts[0]
    name = context.graph.node("Concat", *frame.parts, axis=1)
    return Value(name, frame.width, np.dtype(object))


def doubles(context: Context, frame: Frame) -> Value:
    """All columns as float64, where that is what the library computes in.

    It keeps float32 where all columns are, and converts whole numbers and truth values to float64.
    """
    kinds = {part.dtype for part in frame.parts if part.dtype != object}
    require(not kinds or np.result_type(*kinds) != np.float32, "it computes in float32")
    return context.matrix(frame)


def doubles_only(context: Context, frame: Frame) -> Value:
    """All columns, where the library's own table of them is one of float64."""
    value = joined(context, frame)
    require(value.dtype == DOUBLE, f"a table of {value.dtype}")
    return value


def as_sparse(context: Context, value: Value) -> Value:
    """*value*, remembered as what the library holds as a sparse matrix."""
    # Nothing else writes Identity nodes, so no dense table has this name.
    marked = value._replace(name=context.graph.node("Identity", value))
    context.graph.once(("sparse", marked.name), lambda: True)
    context.graph.once(("stripped", marked.name), lambda: value)
    return marked


def as_dense(context: Context, value: Value) -> Value:
    """*value*, no longer remembered as a sparse matrix."""
    return context.graph.once(("stripped", value.name), lambda: value)


def is_sparse(context: Context, frame: Frame) -> bool:
    """Whether the library holds any part of *frame* as a sparse matrix."""
    return any(context.graph.once(("sparse", part.name), lambda: False) for part in frame.parts)


def dense(context: Context, frame: Frame, name: str) -> None:
    """Refuse where the library would hand *name* a sparse matrix."""
    require(not is_sparse(context, frame), f"{name} of a sparse matrix")


def one(context: Context, frame: Frame, column: int) -> Value:
    """One column of *frame*: [N, 1]."""
    return context.select(frame, [column]).parts[0]


def beside(context: Context, values: Sequence[Value]) -> Value:
    """Tables of one datatype side by side."""
    if len(values) == 1:
        return values[0]
    name = context.graph.node("Concat", *values, axis=1)
    return Value(name, sum(value.width for value in values), values[0].dtype)


def fail_where(context: Context, bad: str, value: Value) -> Value:
    """*value*, in a run that fails if *bad* ([N, 1], truth values) holds for any row."""
    node = context.graph.node
    reach = node("Mul", node("Cast", bad, to=INT64), np.int64(FAR))
    if value.dtype == bool:
        return value._replace(name=node("And", value, node("Gather", np.array([True]), reach)))
    # Adding -0.0 changes no number, not even a zero.
    nothing = node("Gather", np.array([-0.0]).astype(value.dtype), reach)
    return value._replace(name=node("Add", value, nothing))


def fail_at(context: Context, value: Value, refused: Sequence[float]) -> Value:
    """*value* (float32 or float64), in a run that fails if any element is one of *refused*.

    Three nodes, and no number changes, not even a zero.
    """
    keys = np.array(refused, value.dtype)
    # 1 is already outside a table of one element.
    at = _look_up(context, value, keys, np.ones(len(keys), np.int64), np.zeros(1, np.int64))
    nothing = context.graph.node("Gather", np.array([-0.0], value.dtype), at)
    return context.anew(value, context.graph.node("Add", value, nothing))


INT64 = 7
"""onnx.TensorProto.INT64"""


def remember(context: Context, part: Value, values: Array) -> None:
    """Have the numbers *values* probed, where *part* is one column of the model's own input."""
    columns = context.own(part)
    if len(columns) == 1 and columns[0] != UNKNOWN:
        context.points.setdefault(columns[0], []).append(np.asarray(values))


def coded(
    context: Context, part: Value, categories: Array, values: Array, unknown: Any = None
) -> Value:
    """The member of *values* for each row's category: [N, 1], float64 or int64 as *values* are.

    *unknown* for a row of none of the *categories*; where that is None, the run fails.
    """
    keys, reached = _keys(part, categories)
    if part.dtype != object:
        remember(context, part, keys)
    kept = np.asarray(values)[reached]
    if unknown is not None:
        return _look_up(context, part, keys, kept, np.asarray([unknown], kept.dtype))
    at = _look_up(context, part, keys, np.arange(len(keys)), np.array([FAR]))
    return Value(context.graph.node("Gather", kept, at, axis=0), 1, kept.dtype)


def _look_up(context: Context, part: Value, keys: Array, values: Array, default: Array) -> Value:
    """ONNX's LabelEncoder: NaN is a key like any other, and zeros of both signs are one."""
    from onnx import numpy_helper

    column = part if part.dtype == object else context.graph.cast(part, keys.dtype)
    tensors = {"keys_tensor": keys, "values_tensor": values, "default_tensor": default}
    attributes = {name: numpy_helper.from_array(array) for name, array in tensors.items()}
    name = context.graph.node("LabelEncoder", column, domain="ai.onnx.ml", **attributes)
    return Value(name, 1, values.dtype)


def _keys(part: Value, categories: Array) -> tuple[Array, list[int]]:
    """The categories that a value of *part* can be, and their numbers.

    Strings are never NaN or None, so that a category which is one is not among them.
    """
    listed = np.asarray(categories).tolist()
    if part.dtype == object:
        reached = [at for at, each in enumerate(listed) if isinstance(each, str)]
        rest = [each for each in listed if not isinstance(each, str)]
        require(all(each is None or each != each for each in rest), "categories of mixed types")
        keys = np.array([listed[at] for at in reached], object)
    else:
        numbers = all(isinstance(each, int | float) for each in listed)
        require(numbers, "categories that are no numbers, in a column of numbers")
        reached = list(range(len(listed)))
        keys = np.array(listed, float)
        whole = part.dtype.kind in "iu" and bool((np.abs(keys) >= 2.0**53).any())
        require(not whole and len(np.unique(keys)) == len(keys), "categories beyond 2^53")
    require(len(keys), "a column without categories")
    return keys, reached
