"""Instances to a request, and its answer to ``{"predictions": [...]}``."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import orjson

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, MalformedRequest
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.kserve.instances import rows_of
from inferd.rows import predicted, row_of
from inferd.tensors import Array, json_values
from inferd.wire import rows_schema
from inferd.wire.json import decode
from inferd.wire.json_large import LARGE, SLICE, cut


class Document(msgspec.Struct):
    """What a client sends: ``inputs`` are read as ``instances`` are, and go before them."""

    instances: list[Any] | msgspec.UnsetType = msgspec.UNSET
    inputs: list[Any] | msgspec.UnsetType = msgspec.UNSET


class CutDocument(msgspec.Struct):
    """The same with its long list taken out."""

    instances: list[Any] | int | msgspec.UnsetType = msgspec.UNSET
    inputs: list[Any] | int | msgspec.UnsetType = msgspec.UNSET


_DOCUMENT, _CUT_DOCUMENT = msgspec.json.Decoder(Document), msgspec.json.Decoder(CutDocument)
NO_PARAMETERS: dict[str, Any] = {}
DEPTH = 2  # {"instances": [
EXPECTED = '{"instances": [[...], ...]}'


class Predict(Operation):
    """``POST /v1/models/{model}:predict``."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        handle = lookup(message.path["model"])  # KServe, too, looks for the model first
        if len(message.body) > LARGE:
            return _decode_large(message.body, handle)
        document = decode(message.body, _DOCUMENT)
        instances = document.instances if document.inputs is msgspec.UNSET else document.inputs
        if isinstance(instances, msgspec.UnsetType):
            raise _no_instances()
        if len(instances) == 1 and _is_row(only := instances[0]):
            return _request(handle, handle.reader.one(only), 1)
        return _read(handle, instances)

    def encode(self, call: Call, response: Any) -> Payload:
        values = predicted(response.outputs, response.request.handle.roles)
        return Payload(b'{"predictions":[' + _written(values) + b"]}")

    def document(self, handle: Handle | None) -> Documentation | None:
        if handle is None:
            return None
        (prediction,) = [
            spec for spec in handle.signature.outputs if spec.name == handle.roles.prediction
        ]
        return Documentation(
            f"Predict with {handle.model}: what the model itself calls its prediction, one a row.",
            response={
                "type": "object",
                "properties": {"predictions": rows_schema.predictions(prediction)},
                "required": ["predictions"],
            },
            request={
                "type": "object",
                "properties": {"instances": rows_schema.rows(handle)},
                "required": ["instances"],
            },
            example={"instances": [row_of(handle.example)]},
        )


def _is_row(instance: Any) -> bool:
    """Whether *instance* is a list of values, not of records."""
    return type(instance) is list and bool(instance) and type(instance[0]) is not dict


def _read(handle: Handle, instances: list[Any]) -> InferRequest:
    rows = rows_of(instances) if instances else instances
    if not rows:
        raise _no_instance()
    return _request(handle, handle.reader.many(rows), len(rows))


def _request(handle: Handle, inputs: dict[str, Array], rows: int) -> InferRequest:
    return InferRequest(handle, inputs, handle.role_outputs[:1], rows, NO_PARAMETERS)


def _no_instance() -> InvalidInput:
    return InvalidInput("there is no instance", expected=EXPECTED)


def _no_instances() -> MalformedRequest:
    return MalformedRequest("the body has no 'instances'", expected=EXPECTED)


def _decode_large(body: bytes, handle: Handle) -> InferRequest:
    """As ``decode``, some thousand instances at a time."""
    parted = cut(body, DEPTH)
    document = decode(parted.skeleton, _CUT_DOCUMENT)
    instances = document.instances if document.inputs is msgspec.UNSET else document.inputs
    if isinstance(instances, msgspec.UnsetType):
        raise _no_instances()
    if not parted.arrays and not isinstance(instances, int):
        return _read(handle, instances)
    both = [document.instances, document.inputs]
    if len(parted.arrays) != 1 or instances != 0 or both.count(0) != 1:
        raise MalformedRequest("a large body must be one long list of rows", expected=EXPECTED)
    return _read_long(handle, iter(parted.arrays[0]))


def _read_long(handle: Handle, pieces: Iterator[list[Any]]) -> InferRequest:
    parts, count = [], 0
    for piece in pieces:
        rows = rows_of(piece) if piece else piece
        if rows:
            parts.append(handle.reader.many(rows, count))
            count += len(rows)
    if not parts:
        raise _no_instance()
    inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _request(handle, inputs, count)


def _written(values: Array) -> bytes:
    """*values*, some thousand at a time. What is not a number is null, as in KServe, which writes
    with orjson, too."""
    if values.size <= SLICE:
        return orjson.dumps(json_values(values))[1:-1]
    step = max(1, SLICE // max(1, values[:1].size))
    slices = (values[at : at + step] for at in range(0, len(values), step))
    return b",".join(orjson.dumps(json_values(part))[1:-1] for part in slices)
