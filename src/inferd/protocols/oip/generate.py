"""Triton's generate extension: tensors as plain fields of an object, and an answer that may come
part by part, as server-sent events.

(server 2.73dev, docs/protocol/extension_generate.md; src/http_server.cc GenerateRequestClass)
"""

from collections.abc import Mapping
from math import prod
from typing import Any, TypeAlias

import msgspec
import numpy as np

from inferd.calls import Call, Handle, InferRequest, InferResponse, Lookup
from inferd.errors import InferdError, InvalidInput, MalformedRequest, WrongCount
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.parameters import request_parameters, take_turn
from inferd.protocols.oip.schemas import OBJECT, TEXT
from inferd.protocols.oip.texts import triton_text
from inferd.signature import Shape, TensorSpec
from inferd.tensors import (
    TOO_DEEP,
    Array,
    flat_array,
    flatten,
    json_schema,
    json_values,
    shaped,
    shown_values,
)
from inferd.wire.json import decode, encode
from inferd.wire.json_large import LARGE, SLICE, LongArray, cut, write_values

EVENTS = b"text/event-stream; charset=utf-8"
_DOCUMENT = msgspec.json.Decoder(dict[str, Any])
Fields: TypeAlias = dict[str, Any]
DEPTH = 2  # {"X": [


class Generate(Operation):
    """``POST /v2/models/{model}/generate``: one answer, whole."""

    call = InferRequest

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def decode(self, message: Message, lookup: Lookup) -> Call:
        fields = _read(message.body)
        handle = lookup(message.path["model"], message.path.get("version"))
        sent, others, request_id = _sorted(fields, handle)
        signature = handle.signature
        specs = [spec for spec in signature.inputs if spec.name in sent]
        if self._strict:
            _refuse_halves(handle)
        flat = {spec.name: _elements(spec, sent[spec.name]) for spec in specs}
        batched = signature.batch_axis is not None
        shapes = {spec.name: deduced(spec, flat[spec.name].size, batched) for spec in specs}
        layout = tuple((spec.name, spec.datatype, shapes[spec.name]) for spec in specs)
        rows = handle.checker.admit(layout).rows
        inputs = {name: shaped(name, flat[name], shape) for name, shape in shapes.items()}
        parameters = request_parameters(others)
        names = handle.checker.output_names
        request = InferRequest(handle, inputs, names, rows, parameters, request_id)
        take_turn(request)
        return request

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(_written(response))

    def document(self, handle: Handle | None) -> Documentation | None:
        return _document(handle, "answer whole") if handle else None


class GenerateStream(Generate):
    """``POST /v2/models/{model}/generate_stream``: every part of an answer as it comes."""

    streams = True
    content_type = EVENTS

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(_event(_written(response)), EVENTS)

    def encode_failure(self, call: Call, error: InferdError) -> bytes | None:
        model = call.handle.model  # type: ignore[attr-defined]  # decode makes nothing else
        return _event(encode({"error": triton_text(error, model)}))

    def document(self, handle: Handle | None) -> Documentation | None:
        return _document(handle, "answer in parts, as server-sent events") if handle else None


def deduced(spec: TensorSpec, count: int, batched: bool) -> Shape:
    """The shape of *count* elements: one row; the innermost free dimension has what the fixed ones
    leave, every other one is 1. Raises InvalidInput where that does not come out even."""
    shape = [1 if size < 0 else size for size in spec.shape]
    fixed = prod(shape)
    inner = [at for at, size in enumerate(spec.shape) if size < 0 and (at or not batched)]
    if inner and fixed:
        if count % fixed:
            raise InvalidInput(
                f"{spec.name!r} has the wrong number of values",
                got=str(count),
                expected=f"a multiple of {fixed}",
            )
        shape[inner[-1]] = count // fixed
    elif count != fixed:
        raise WrongCount(spec.name, count, fixed)
    return tuple(shape)


def _read(body: bytes) -> Fields:
    """The fields of a request. The long lists of a large one are left as text."""
    if len(body) <= LARGE:
        return decode(body, _DOCUMENT)
    pieces = cut(body, DEPTH, marker=b' {"long list":%d} ', flat=True)
    fields = decode(pieces.skeleton, _DOCUMENT)
    cuts = {
        name: value["long list"]
        for name, value in fields.items()
        if type(value) is dict and type(value.get("long list")) is int and len(value) == 1
    }
    if list(cuts.values()) != list(range(len(pieces.arrays))):
        raise MalformedRequest("the JSON does not fit: a long list's field is there twice")
    return fields | {name: pieces.arrays[at] for name, at in cuts.items()}


def _sorted(fields: Fields, handle: Handle) -> tuple[Fields, Fields, str]:
    """The inputs, the parameters, and the request's id: a field is an input where one has its
    name, and so is a field of the object ``parameters``."""
    names = set(handle.signature.input_names)
    sent = {name: fields.pop(name) for name in names & fields.keys()}
    request_id = fields.pop("id", "")
    if type(request_id) is not str:
        raise MalformedRequest("Unable to parse 'id'", expected="a string")
    nested = fields.pop("parameters", {})
    if type(nested) is not dict:
        raise MalformedRequest("Unable to parse 'parameters'", expected="an object")
    sent |= {name: nested.pop(name) for name in names & nested.keys()}
    return sent, fields | nested, request_id


def _elements(spec: TensorSpec, value: Any) -> Array:
    """The elements of an input: of a list, however nested, or of one value."""
    name, datatype = spec.name, spec.type
    try:
        if type(value) is LongArray:
            return np.concatenate([flat_array(name, flatten(part), datatype) for part in value])
        return flat_array(name, flatten(value if type(value) is list else [value]), datatype)
    except InvalidInput as error:
        if error.message == TOO_DEEP:
            raise
        raise MalformedRequest(f"Unable to parse JSON: {error.text}") from None


def _refuse_halves(handle: Handle) -> None:
    """Raise InvalidInput where a tensor is FP16, which Triton neither reads nor writes as JSON."""
    signature = handle.signature
    for doing, side, specs in (
        ("receiving", "input", signature.inputs),
        ("sending", "output", signature.outputs),
    ):
        for spec in specs:
            if spec.datatype == "FP16":
                raise InvalidInput(
                    f"{doing} FP16 data via JSON is not supported. Please use the binary data "
                    f"format for {side} {spec.name}"
                )


def _written(response: InferResponse) -> bytes:
    """A part of an answer, its fields by name, as there; one element is told without a list."""
    request = response.request
    handle = request.handle
    fields: dict[str, Any] = {"model_name": handle.model, "model_version": handle.version}
    if request.id:
        fields["id"] = request.id
    written = {name: encode(value) for name, value in fields.items()}
    written |= {name: _values(array.ravel()) for name, array in response.outputs.items()}
    pieces = [encode(name) + b":" + written[name] for name in sorted(written)]
    return b"{" + b",".join(pieces) + b"}"


def _values(flat: Array) -> bytes:
    if flat.size > SLICE:
        return b"[" + write_values(flat) + b"]"
    values = json_values(flat)
    return encode(values[0] if len(values) == 1 else values)


def _event(document: bytes) -> bytes:
    return b"data: " + document + b"\n\n"


def _document(handle: Handle, how: str) -> Documentation:
    signature = handle.signature
    answer = {"model_name": TEXT, "model_version": TEXT, "id": TEXT}
    return Documentation(
        f"Ask {handle.model} with plain fields, and get the {how}: {signature}",
        response=_fields(signature.outputs, answer),
        request=_fields(signature.inputs, {"id": TEXT, "parameters": OBJECT}),
        example={spec.name: _shown(handle.example[spec.name]) for spec in signature.inputs},
    )


def _fields(specs: tuple[TensorSpec, ...], beside: Mapping[str, Any]) -> dict[str, Any]:
    properties = {**beside, **{spec.name: _tensor(spec) for spec in specs}}
    return {"type": "object", "properties": properties, "required": [s.name for s in specs]}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    element = json_schema(spec.type)
    return {"title": str(spec), "anyOf": [element, {"type": "array", "items": element}]}


def _shown(array: Array) -> Any:
    values = shown_values(array.ravel())
    return values[0] if len(values) == 1 else values
