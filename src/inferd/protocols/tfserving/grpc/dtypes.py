"""TensorFlow's datatypes: their numbers, their names in texts, and the fields of TensorProto that
hold their values. (types.proto, tensor.proto)"""

from typing import NamedTuple

from inferd.tensors import TABLE


class Values(NamedTuple):
    """The field of TensorProto that holds the values of a datatype."""

    name: str
    number: int


NUMBERS: dict[str, int] = {
    "FP32": 1,
    "FP64": 2,
    "INT32": 3,
    "UINT8": 4,
    "INT16": 5,
    "INT8": 6,
    "BYTES": 7,
    "INT64": 9,
    "BOOL": 10,
    "UINT16": 17,
    "FP16": 19,
    "UINT32": 22,
    "UINT64": 23,
}
"""By the name of our datatype."""

BY_TENSORFLOW = {row.tensorflow: NUMBERS[row.name] for row in TABLE}
"""By the name of TensorFlow's."""

_INT = Values("int_val", 7)
VALUES: dict[str, Values] = {
    "FP32": Values("float_val", 5),
    "FP64": Values("double_val", 6),
    "INT32": _INT,
    "INT16": _INT,
    "INT8": _INT,
    "UINT8": _INT,
    "UINT16": _INT,
    "BYTES": Values("string_val", 8),
    "INT64": Values("int64_val", 10),
    "BOOL": Values("bool_val", 11),
    "FP16": Values("half_val", 13),
    "UINT32": Values("uint32_val", 16),
    "UINT64": Values("uint64_val", 17),
}

_FOREIGN = {
    8: "complex64",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    15: "qint16",
    16: "quint16",
    18: "complex128",
    20: "resource",
    21: "variant",
}
"""What no model of ours takes."""
_TEXTS = {NUMBERS[row.name]: row.tensorflow.removeprefix("DT_").lower() for row in TABLE} | _FOREIGN


def dtype_text(number: int) -> str:
    """TensorFlow's name for the datatype *number* in texts: ``float``, ``int64``, ``string``."""
    return _TEXTS.get(number, f"unknown dtype enum ({number})")


def is_dtype(number: int) -> bool:
    """Whether there is such a datatype of values (and not of references, or none at all)."""
    return 0 < number < FIRST_REFERENCE


FIRST_REFERENCE = 101
