"""Tensors as JSON: values to arrays, at once or in pieces, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from inferd.errors import InvalidInput, MalformedRequest, WrongCount
from inferd.protocols.oip.request import CutInput, Input, misplaced
from inferd.tensors import (
    BF16,
    BY_NAME,
    TOO_DEEP,
    Array,
    Datatype,
    array_from_values,
    flat_array,
    flatten,
    json_values,
    shaped,
)
from inferd.wire.json import encode
from inferd.wire.json_large import LongArray, write_values

FP16 = BY_NAME["FP16"]


def array_of(sent: Input | CutInput, data: list[Any], datatype: Datatype, count: int) -> Array:
    """The elements of *sent*, which are *data*. Raises MalformedRequest, as Triton does."""
    try:
        return array_from_values(sent.name, data, datatype, sent.shape, count)
    except InvalidInput as error:
        raise unparsable(error) from None


def long_array_of(sent: CutInput, data: LongArray, datatype: Datatype, count: int) -> Array:
    """The same of *data* that was cut out of the document."""
    parts, found = [], 0
    try:
        for values in data:
            part = flat_array(sent.name, flatten(values), datatype)
            parts.append(part)
            found += part.size
            if found > count:
                break
        if found != count:
            raise WrongCount(sent.name, found, count)
        return shaped(sent.name, np.concatenate(parts), sent.shape)
    except InvalidInput as error:
        raise unparsable(error) from None


def unparsable(error: InvalidInput) -> InvalidInput | MalformedRequest:
    """*error* about the values of a tensor, as a fault of the document."""
    if error.message == TOO_DEEP:
        return error
    fault = COUNT if isinstance(error, WrongCount) else ""
    return MalformedRequest(f"Unable to parse 'data': {fault}{error.text}")


COUNT = "Shape does not match true shape of 'data' field: "


def check_read(sent: Input | CutInput, datatype: Datatype, *, strict: bool) -> None:
    """Raise InvalidInput where the elements of a tensor with ``data`` are said to be elsewhere
    besides, or the datatype does not come as JSON: BF16, and, where *strict*, FP16."""
    told = sent.parameters
    if told and not (told.binary_data_size is None and told.shared_memory_region is None):
        raise misplaced(sent)
    if datatype is BF16 or (strict and datatype is FP16):
        raise InvalidInput(
            f"receiving {datatype.name} data via JSON is not supported. Please use the binary data "
            f"format for input {sent.name}"
        )


def check_written(names: Iterable[str], datatypes: Mapping[str, str]) -> None:
    """Raise InvalidInput where one of the outputs *names*, to be told as JSON, is FP16."""
    if any(datatypes[name] == "FP16" for name in names):
        raise InvalidInput(
            "sending FP16 data via JSON is not supported. Please use the binary data format for "
            "output"
        )


def outputs_of(arrays: Mapping[str, Array], datatypes: Mapping[str, str]) -> list[dict[str, Any]]:
    """*arrays* as the outputs of an answer."""
    outputs = []
    for name, array in arrays.items():
        datatype = datatypes[name]
        values = array.ravel().tolist() if datatype != "BYTES" else json_values(array.ravel())
        outputs.append({"name": name, "datatype": datatype, "shape": array.shape, "data": values})
    return outputs


def write_output(described: dict[str, Any], array: Array) -> bytes:
    """The output *described*, with its data, some thousand values at a time."""
    return encode(described)[:-1] + b',"data":[' + write_values(array.ravel()) + b"]}"
