"""A tensor's elements as typed fields of a message, to an array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.errors import InvalidInput, short
from inferd.protocols.oip.binary import not_text, size_mismatch
from inferd.signature import Shape
from inferd.tensors import BY_NAME, Array, Datatype, flat_array, shaped

_TAKEN: Mapping[str, tuple[str, ...]] = {
    "bool_contents": ("BOOL",),
    "int_contents": ("INT32", "INT8", "INT16"),
    "int64_contents": ("INT64",),
    "uint_contents": ("UINT32", "UINT8", "UINT16"),
    "uint64_contents": ("UINT64",),
    "fp32_contents": ("FP32",),
    "fp64_contents": ("FP64",),
    "bytes_contents": ("BYTES",),
}
"""Each field, and the datatypes whose elements it may hold; the first is its own."""
_FIELDS = {datatype: name for name, datatypes in _TAKEN.items() for datatype in datatypes}
_FP16, _BYTES = BY_NAME["FP16"], BY_NAME["BYTES"]
_AS_MEMORY = frozenset({"BOOL", "FP32", "FP64"})
"""What lies on the wire as it does in memory."""


def check_contents(sent: Any, model: str, *, strict: bool) -> None:
    """Raise InvalidInput where a field of *sent*, an input, is not for the datatype it tells.

    FP16 is read from ``fp32_contents``, as REST reads it from numbers, but where *strict*.
    """
    for descriptor, _ in sent.contents.ListFields():
        taken = _TAKEN[descriptor.name]
        if sent.datatype in taken or (
            not strict and sent.datatype == "FP16" and taken == ("FP32",)
        ):
            continue
        expected = sent.datatype if sent.datatype in (*BY_NAME, "BF16") else "<invalid>"
        raise InvalidInput(
            f"unexpected explicit tensor data for input tensor '{short(sent.name)}' for model "
            f"'{model}' of type '{taken[0]}', expected datatype '{expected}'"
        )


def read_contents(sent: Any, datatype: Datatype, count: int, shape: Shape, model: str) -> Array:
    """The tensor that ``check_contents`` let through, of *count* elements.

    Raises InvalidInput, before anything of the size that was told is allocated.
    """
    name = sent.name
    if datatype is _BYTES:
        return shaped(name, _strings(sent, count, model), shape)
    values = getattr(sent.contents, _FIELDS.get(datatype.name, "fp32_contents"))
    if len(values) != count:
        size = datatype.numpy.itemsize
        raise size_mismatch(name, model, count * size, len(values) * size)
    if datatype.name in _AS_MEMORY and count:
        sent.contents.DiscardUnknownFields()  # else they would stand in it
        packed = sent.contents.SerializeToString()
        start = len(packed) - count * datatype.numpy.itemsize
        flat = np.frombuffer(packed[start:], datatype.numpy)
    else:
        flat = _numbers(name, values, datatype, count)
    return shaped(name, flat, shape)


def _numbers(name: str, values: Any, datatype: Datatype, count: int) -> Array:
    if datatype is not _FP16:
        try:
            return np.fromiter(values, datatype.numpy, count)  # without a list of them between
        except OverflowError:
            pass  # told below
    return flat_array(name, list(values), datatype)


def _strings(sent: Any, count: int, model: str) -> Array:
    values = sent.contents.bytes_contents
    if len(values) != count:
        of_input = f"for inference input '{sent.name}' for model '{model}'"
        raise InvalidInput(
            f"unexpected number of string elements {len(values)} {of_input}, expecting {count}"
            if len(values) > count
            else f"expected {count} string elements {of_input}, got {len(values)}"
        )
    try:
        return np.array([str(value, "utf-8") for value in values], np.object_)
    except UnicodeDecodeError:
        raise not_text(sent.name) from None
