"""An inference of the Open Inference Protocol in JSON, both ways."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, MalformedRequest, WrongCount
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.document import document_infer
from inferd.signature import Layout, Shape
from inferd.tensors import (
    Array,
    Datatype,
    array_from_values,
    flat_array,
    flatten,
    json_values,
    shaped,
)
from inferd.wire.json import decode, encode
from inferd.wire.json_large import LARGE, SLICE, Cut, cut, write_values

ONE_SOURCE = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. "
)
FOREIGN_INPUT = frozenset({"binary_data_size", "shared_memory_region"})
FOREIGN_OUTPUT = frozenset({"classification", "shared_memory_region"})


class Input(msgspec.Struct):
    """A tensor of a request."""

    name: str
    shape: Shape
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class CutInput(msgspec.Struct):
    """The same, its data taken out."""

    name: str
    shape: Shape
    datatype: str
    data: list[Any] | int | None = None
    parameters: dict[str, Any] | None = None


class Wanted(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class Document(msgspec.Struct):
    """A whole request."""

    inputs: list[Input]
    id: str = ""
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] | None = None


class CutDocument(msgspec.Struct):
    """A whole request, the data of its tensors taken out."""

    inputs: list[CutInput]
    id: str = ""
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] | None = None


_DOCUMENT, _CUT_DOCUMENT = msgspec.json.Decoder(Document), msgspec.json.Decoder(CutDocument)
NO_PARAMETERS: dict[str, Any] = {}
DEPTH = 4  # {"inputs": [{"data": [


class Infer(Operation):
    """``POST /v2/models/{model}/infer``."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        headers = message.headers
        if b"inference-header-content-length" in headers:
            raise InvalidInput(
                "the binary tensor extension is not spoken", expected="tensors as JSON 'data'"
            )
        if len(message.body) > LARGE:
            return _decode_large(message, lookup)
        document = decode(message.body, _DOCUMENT)
        handle = lookup(message.path["model"], message.path.get("version"))
        admitted = handle.checker.admit(_layout(document.inputs))
        inputs = {}
        for sent, (datatype, count) in zip(document.inputs, admitted.inputs):  # noqa: B905
            if sent.data is None:
                raise _no_data(sent)
            if sent.parameters:
                _refuse_second_source(sent)
            inputs[sent.name] = array_from_values(sent.name, sent.data, datatype, sent.shape, count)
        return _request(handle, document, inputs, admitted.rows)

    def encode(self, call: Call, response: Any) -> Payload:
        request: InferRequest = response.request
        handle = request.handle
        answer: dict[str, Any] = {"id": request.id} if request.id else {}
        answer["model_name"] = handle.model
        answer["model_version"] = handle.version
        if response.size() > SLICE:
            return Payload(_encode_large(answer, response.outputs, handle))
        datatypes, answer["outputs"] = handle.checker.output_datatypes, (outputs := [])
        for name, array in response.outputs.items():
            datatype = datatypes[name]
            values = array.ravel().tolist() if datatype != "BYTES" else json_values(array.ravel())
            outputs.append(
                {"name": name, "datatype": datatype, "shape": array.shape, "data": values}
            )
        return Payload(encode(answer))

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_infer(handle) if handle else None


def _layout(inputs: Sequence[Input | CutInput]) -> Layout:
    if len(inputs) == 1:
        only = inputs[0]
        return ((only.name, only.datatype, only.shape),)
    return tuple([(each.name, each.datatype, each.shape) for each in inputs])


def _no_data(tensor: Input | CutInput) -> InvalidInput:
    """What is wrong with a tensor without ``data``."""
    if FOREIGN_INPUT.isdisjoint(tensor.parameters or ()):
        return InvalidInput(ONE_SOURCE + "But no field is set")
    return InvalidInput("only JSON tensors are read", expected=f"'data' in input {tensor.name!r}")


def _refuse_second_source(tensor: Input | CutInput) -> None:
    """Raise InvalidInput where the elements of a tensor with ``data`` are said to be elsewhere."""
    elsewhere = FOREIGN_INPUT.intersection(tensor.parameters or ())
    if elsewhere:
        raise InvalidInput(ONE_SOURCE + f"But set 'data' '{min(elsewhere)}'")


def _request(
    handle: Handle, document: Document | CutDocument, inputs: dict[str, Array], rows: int
) -> InferRequest:
    outputs = _wanted(handle, document.outputs) if document.outputs else handle.checker.output_names
    return InferRequest(
        handle, inputs, outputs, rows, document.parameters or NO_PARAMETERS, document.id
    )


def _wanted(handle: Handle, outputs: Sequence[Wanted]) -> tuple[str, ...]:
    """What was asked for, in the model's order."""
    for output in outputs:
        if output.parameters and not FOREIGN_OUTPUT.isdisjoint(output.parameters):
            raise InvalidInput("only whole JSON tensors are given", expected="no such parameter")
    names = [output.name for output in outputs]
    handle.checker.check_outputs(names)
    return tuple(name for name in handle.checker.output_names if name in names)


def _decode_large(message: Message, lookup: Lookup) -> InferRequest:
    """As ``decode``, some thousand values at a time."""
    pieces = cut(message.body, DEPTH)
    document = decode(pieces.skeleton, _CUT_DOCUMENT)
    handle = lookup(message.path["model"], message.path.get("version"))
    admitted = handle.checker.admit(_layout(document.inputs))
    if [each.data for each in document.inputs if isinstance(each.data, int)] != list(
        range(len(pieces.arrays))
    ):
        raise MalformedRequest(
            "the JSON does not fit: 'data' is no list, or a long list stands elsewhere"
        )
    inputs = {
        sent.name: _long_array(sent, pieces, datatype, count)
        for sent, (datatype, count) in zip(document.inputs, admitted.inputs, strict=True)
    }
    return _request(handle, document, inputs, admitted.rows)


def _long_array(tensor: CutInput, pieces: Cut, datatype: Datatype, count: int) -> Array:
    if tensor.data is None:
        raise _no_data(tensor)
    _refuse_second_source(tensor)
    if isinstance(tensor.data, list):
        return array_from_values(tensor.name, tensor.data, datatype, tensor.shape, count)
    parts, found = [], 0
    for values in pieces.arrays[tensor.data]:
        part = flat_array(tensor.name, flatten(values), datatype)
        parts.append(part)
        found += part.size
        if found > count:
            break
    if found != count:
        raise WrongCount(tensor.name, found, count)
    return shaped(tensor.name, np.concatenate(parts), tensor.shape)


def _encode_large(answer: dict[str, Any], outputs: dict[str, Array], handle: Handle) -> bytes:
    """As ``encode``, some thousand values at a time."""
    written = []
    for name, array in outputs.items():
        head = encode(
            {"name": name, "datatype": handle.checker.output_datatypes[name], "shape": array.shape}
        )
        written.append(head[:-1] + b',"data":[' + write_values(array.ravel()) + b"]}")
    return b"".join([encode(answer)[:-1], b',"outputs":[', b",".join(written), b"]}"])
