"""JSON values to arrays, by the datatype of a signature and without any coercion, in TensorFlow
Serving's words. (json_tensor.cc)"""

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from inferd.errors import InvalidInput
from inferd.signature import Shape
from inferd.tensors import Array, Datatype
from inferd.wire.json_tfserving import dump

MAX_RANK = 32  # numpy's is 64; deeper nesting is an attack or a mistake
B64 = "b64"
_LIST = frozenset({list})


def shape_of(value: Any) -> Shape:
    """The shape of a nested list by the first element at every level; () for anything else."""
    shape = []
    while type(value) is list:
        shape.append(len(value))
        if not value:
            break
        if len(shape) > MAX_RANK:
            raise InvalidInput(
                "The lists are nested too deep", expected=f"at most {MAX_RANK} levels"
            )
        value = value[0]
    return tuple(shape)


def uniform(value: list[Any], shape: Shape, datatype: Datatype) -> list[Any] | None:
    """The leaves of *value* in row-major order, if it is of *shape* all through and every one is a
    plain JSON value of *datatype*; None where anything is not so."""
    level = value
    for width in shape[1:]:
        if not _LIST.issuperset(map(type, level)) or {*map(len, level)} - {width}:
            return None
        level = list(chain.from_iterable(level))
    return level if datatype.values.issuperset(map(type, level)) else None


def leaves(value: Any, shape: Shape, datatype: Datatype) -> list[Any]:
    """The leaves of *value*, one by one. Raises InvalidInput for the first that is unfit."""
    found: list[Any] = []
    _fill(value, 0, shape, datatype, found)
    return found


def _fill(value: Any, level: int, shape: Shape, datatype: Datatype, found: list[Any]) -> None:
    rank = len(shape)
    if type(value) is not list:
        if level != rank:
            raise InvalidInput(
                f"JSON Value: {dump(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {rank}"
            )
        found.append(element(value, datatype))
        return
    if level >= rank:
        raise InvalidInput(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise InvalidInput(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for each in value:
        _fill(each, level + 1, shape, datatype, found)


def element(value: Any, datatype: Datatype) -> Any:
    """One value of *datatype*. Raises InvalidInput."""
    if type(value) in datatype.values and _in_range(value, datatype):
        return value
    if type(value) is dict and datatype.name == "BYTES":
        if not is_b64(value):
            raise InvalidInput(f"JSON Value: {dump(value)} not formatted correctly for base64 data")
        return b64_text(value[B64])
    raise mismatch(value, datatype)


def _in_range(value: Any, datatype: Datatype) -> bool:
    if datatype.numpy.kind not in "iu":
        return True
    limits = np.iinfo(datatype.numpy)
    return bool(limits.min <= value <= limits.max)


def mismatch(value: Any, datatype: Datatype) -> InvalidInput:
    """The error of a value that is not of *datatype*."""
    return InvalidInput(
        f"JSON Value: {dump(value)} Type: {kind_of(value)} is not of expected type: "
        f"{type_name(datatype)}"
    )


def type_name(datatype: Datatype) -> str:
    """TensorFlow's name for *datatype* in texts: ``float``, ``int64``, ``string``."""
    return datatype.tensorflow.removeprefix("DT_").lower()


def kind_of(value: Any) -> str:
    """RapidJSON's name for the kind of a JSON value."""
    if isinstance(value, bool):
        return str(value)
    return _KINDS.get(type(value), "Null")


_KINDS: dict[type, str] = {
    str: "String",
    int: "Number",
    float: "Number",
    list: "Array",
    dict: "Object",
}


def is_b64(value: Any) -> bool:
    """Whether *value* is an object that stands for bytes."""
    return type(value) is dict and len(value) == 1 and type(value.get(B64)) is str


def b64_text(encoded: str) -> str:
    """What base64 says, which must be text: no runtime takes other bytes for a string."""
    compact = "".join(encoded.split())
    try:
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("Unable to base64 decode") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(
            "the base64 data is not text", expected="UTF-8: models take strings of text only"
        ) from None


def vector(values: Sequence[Any], datatype: Datatype) -> Array:
    """An array of *values*, each a JSON value of *datatype*. Raises InvalidInput where an integer
    is out of range; a floating-point number becomes an infinity."""
    try:
        return np.array(values, datatype.numpy)
    except OverflowError:
        if datatype.numpy.kind != "f":
            wrong = next(value for value in values if not _in_range(value, datatype))
            raise mismatch(wrong, datatype) from None
        values = [_real(value) for value in values]  # an integer is beyond every float64
    except RuntimeWarning:  # raised where warnings are errors; silencing it always takes 1.1 us
        pass
    with np.errstate(over="ignore"):
        return np.array(values, datatype.numpy)


def _real(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
