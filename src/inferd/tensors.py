"""The datatypes: one table between the protocols' names, numpy, TensorFlow and ONNX; and JSON
values to arrays."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from inferd.errors import InvalidInput, WrongCount, WrongValue

Array: TypeAlias = npt.NDArray[Any]


class Datatype(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    """As the Open Inference Protocol spells it, and as inferd does throughout."""
    numpy: np.dtype[Any]
    tensorflow: str
    onnx: str
    values: frozenset[type]
    """The Python types that a JSON document may hold for an element: nothing is coerced between
    JSON kinds."""


_INTEGER, _REAL = frozenset({int}), frozenset({int, float})
_TEXT, _TRUTH = frozenset({str}), frozenset({bool})

# BF16 is absent: numpy has no such dtype, and ONNX Runtime takes none from numpy.
TABLE: tuple[Datatype, ...] = (
    Datatype("BOOL", np.dtype(np.bool_), "DT_BOOL", "tensor(bool)", _TRUTH),
    Datatype("UINT8", np.dtype(np.uint8), "DT_UINT8", "tensor(uint8)", _INTEGER),
    Datatype("UINT16", np.dtype(np.uint16), "DT_UINT16", "tensor(uint16)", _INTEGER),
    Datatype("UINT32", np.dtype(np.uint32), "DT_UINT32", "tensor(uint32)", _INTEGER),
    Datatype("UINT64", np.dtype(np.uint64), "DT_UINT64", "tensor(uint64)", _INTEGER),
    Datatype("INT8", np.dtype(np.int8), "DT_INT8", "tensor(int8)", _INTEGER),
    Datatype("INT16", np.dtype(np.int16), "DT_INT16", "tensor(int16)", _INTEGER),
    Datatype("INT32", np.dtype(np.int32), "DT_INT32", "tensor(int32)", _INTEGER),
    Datatype("INT64", np.dtype(np.int64), "DT_INT64", "tensor(int64)", _INTEGER),
    Datatype("FP16", np.dtype(np.float16), "DT_HALF", "tensor(float16)", _REAL),
    Datatype("FP32", np.dtype(np.float32), "DT_FLOAT", "tensor(float)", _REAL),
    Datatype("FP64", np.dtype(np.float64), "DT_DOUBLE", "tensor(double)", _REAL),
    Datatype("BYTES", np.dtype(np.object_), "DT_STRING", "tensor(string)", _TEXT),
)
BF16 = Datatype("BF16", np.dtype(np.uint16), "DT_BFLOAT16", "tensor(bfloat16)", frozenset())
"""The upper half of an FP32: only ever read to be widened to one."""
BY_NAME = {row.name: row for row in TABLE}
BY_ONNX = {row.onnx: row for row in TABLE}
_BY_NUMPY = {row.numpy: row for row in TABLE}


def datatype_of(array: Array) -> Datatype:
    """The datatype of *array*; numpy's fixed-width strings count as BYTES.

    Raises KeyError for a dtype that no protocol can carry.
    """
    return BY_NAME["BYTES"] if array.dtype.kind in "US" else _BY_NUMPY[array.dtype]


def holds(wide: Datatype, narrow: Datatype) -> bool:
    """Whether each value of *narrow* is a value of *wide*, which is another number datatype."""
    if narrow is BF16:
        return wide.name in ("FP32", "FP64")
    if not (narrow.values | wide.values) <= _REAL:
        return False
    counts_so_far = wide.values == _INTEGER or narrow.numpy.kind == "f"
    # numpy calls 64-bit integers safe in a double, which has 53 bits.
    return np.can_cast(narrow.numpy, wide.numpy) and (counts_so_far or narrow.numpy.itemsize < 8)


def widened(array: Array, narrow: Datatype, wide: Datatype) -> Array:
    """*array* of *narrow* as *wide*, which ``holds`` it."""
    if narrow is BF16:
        bits = array.ravel().astype(np.uint32) << 16
        array = bits.view(np.float32).reshape(array.shape)
    with np.errstate(invalid="ignore"):  # what the processor says of a signalling NaN
        return array.astype(wide.numpy)


def array_from_values(
    name: str, values: list[Any], datatype: Datatype, shape: Sequence[int], count: int
) -> Array:
    """A C-contiguous array of *shape*, of *count* elements, from the flat or nested JSON list
    *values*.

    Nesting is not compared with the shape, as in Triton; the number of elements is.
    Raises InvalidInput, before anything of the shape's size is allocated.
    """
    if len(values) == count and datatype.values.issuperset(map(type, values)):
        try:
            return np.array(values, datatype.numpy).reshape(shape)
        except (OverflowError, ValueError, RuntimeWarning):
            pass  # told, or done without a warning, below
    flat = flatten(values)
    if len(flat) != count:
        raise WrongCount(name, len(flat), count)
    return shaped(name, flat_array(name, flat, datatype), shape)


def shaped(name: str, flat: Array, shape: Sequence[int]) -> Array:
    """*flat* as *shape*, of as many elements; InvalidInput for one that no array can have."""
    try:
        return flat.reshape(shape)
    except ValueError:  # a dimension beyond 2**63, beside one of 0
        raise InvalidInput(f"no tensor can have the shape of {name!r}") from None


def flat_array(name: str, values: list[Any], datatype: Datatype) -> Array:
    """A one-dimensional array of *values*, each of which must be a JSON value of *datatype*.

    A number beyond the range of a floating-point datatype becomes an infinity, as in TensorFlow
    Serving; an integer beyond the range of an integer one is refused.
    """
    if not datatype.values.issuperset(map(type, values)):
        raise WrongValue(name, _first_misfit(values, datatype), _VALUE_NAMES[datatype.values])
    try:
        return np.array(values, datatype.numpy)
    except OverflowError:
        raise WrongValue(name, "an integer out of range", datatype.name) from None
    except RuntimeWarning:  # raised where warnings are errors; silencing it always takes 1.1 us
        with np.errstate(over="ignore"):
            return np.array(values, datatype.numpy)


def flatten(values: list[Any]) -> list[Any]:
    """The leaves of nested lists, in row-major order.

    Raises InvalidInput if lists and values stand side by side, or deeper than MAX_NESTING.
    """
    for _ in range(MAX_NESTING):
        kinds = set(map(type, values))
        if list not in kinds:
            return values
        if len(kinds) > 1:
            raise InvalidInput(
                "lists and values stand side by side", expected="lists of equal depth"
            )
        values = [leaf for inner in values for leaf in inner]
    raise InvalidInput(TOO_DEEP, expected=f"lists of at most {MAX_NESTING} levels")


def json_schema(datatype: Datatype) -> dict[str, Any]:
    """The JSON schema of one element."""
    return {"type": _SCHEMA_TYPES[datatype.values]}


def json_values(array: Array) -> Any:
    """*array* as nested lists of JSON values; bytes are read as UTF-8."""
    values = array.tolist()
    return _texts(values) if array.dtype.kind in "OS" else values


def shown_values(array: Array) -> Any:
    """As ``json_values``, with as few digits as tell the number apart in its own precision."""
    if array.dtype not in (np.float16, np.float32):
        return json_values(array)
    return np.array([float(str(v)) for v in array.ravel()]).reshape(array.shape).tolist()


def _texts(values: Any) -> Any:
    if isinstance(values, list):
        return [_texts(value) for value in values]
    return values.decode("utf-8", "replace") if isinstance(values, bytes) else values


MAX_NESTING = 97  # Triton reads documents of 100 levels, three of which stand around the values
TOO_DEEP = "the JSON is nested too deep"

_VALUE_NAMES = {
    _INTEGER: "integers",
    _REAL: "numbers",
    _TEXT: "strings",
    _TRUTH: "true or false",
}
_SCHEMA_TYPES = {_INTEGER: "integer", _REAL: "number", _TEXT: "string", _TRUTH: "boolean"}
_JSON_NAMES: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    float: "a fraction",
    int: "an integer",
    list: "a list",
    dict: "an object",
}


def _first_misfit(values: list[Any], datatype: Datatype) -> str:
    """Where the first value of a wrong kind stands, and its kind; never the value itself."""
    at, kind = next((i, type(v)) for i, v in enumerate(values) if type(v) not in datatype.values)
    return f"{_JSON_NAMES.get(kind, 'null')} at position {at}"
