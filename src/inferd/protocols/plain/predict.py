"""Rows or records to a request, and its answer to ``{"prediction": ..., "probability": [...]}``."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias

import msgspec
import numpy as np

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, MalformedRequest
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.plain.document import document_predict
from inferd.rows import FEATURES, predictions
from inferd.tensors import Array, json_values
from inferd.wire.json import decode, encode
from inferd.wire.json_large import LARGE, cut, write_values

Features: TypeAlias = list[Any] | dict[str, Any]
"""One row, one record, or a list of either."""


class Document(msgspec.Struct):
    """What a client sends, unless it sends the features bare."""

    features: Features | msgspec.UnsetType = msgspec.UNSET


class CutDocument(msgspec.Struct):
    """The same with its long list taken out."""

    features: Features | int | msgspec.UnsetType = msgspec.UNSET


class PredictRequest(InferRequest, eq=False):
    """An InferRequest that remembers whether it was one bare row."""

    one_row: bool = False


_DOCUMENT = msgspec.json.Decoder(Document | list[Any])
_CUT_DOCUMENT = msgspec.json.Decoder(CutDocument | list[Any] | int)
_RECORD = msgspec.json.Decoder(dict[str, Any])
NO_PARAMETERS: dict[str, Any] = {}
DEPTH = 2  # {"features": [
BARE_DEPTH = 1  # [
_BARE = re.compile(rb"[ \t\r\n]*\[")
ROWS = (list, dict)  # what a list of rows holds


class Predict(Operation):
    """One row or many."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        if len(message.body) > LARGE:
            return _decode_large(message, lookup)
        document = decode(message.body, _DOCUMENT)
        features: Any = document.features if type(document) is Document else document
        handle = lookup(message.path.get("model"))
        kind = type(features[0]) if type(features) is list and features else list
        if kind is not list and kind is not dict:  # one row, the commonest, at once
            inputs = handle.reader.one(features)
            outputs = handle.role_outputs
            return PredictRequest(handle, inputs, outputs, 1, NO_PARAMETERS, one_row=True)
        return _request(handle, features, message.body)

    def encode(self, call: Call, response: Any) -> Payload:
        request = response.request
        handle: Handle = request.handle
        prediction, probability = predictions(response.outputs, handle.roles)
        if not request.one_row:
            return Payload(_encode_rows(prediction, probability, handle.version))
        answer: dict[str, Any] = {"prediction": json_values(prediction)[0]}
        if probability is not None:
            answer["probability"] = probability.tolist()[0]
        answer["model_version"] = handle.version
        return Payload(encode(answer))

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_predict(handle) if handle else None


def _request(handle: Handle, features: Features | msgspec.UnsetType, body: bytes) -> PredictRequest:
    """What *features* ask for; where there are none, *body* as a whole is a record."""
    if isinstance(features, msgspec.UnsetType):
        if not handle.reader.names:
            raise MalformedRequest(f"the body has no {FEATURES!r}", expected='{"features": [...]}')
        features = decode(body, _RECORD)
    if isinstance(features, dict):
        return _one(handle, handle.reader.record(features))
    if not features:
        raise InvalidInput(
            f"{FEATURES!r} is empty", expected="a row of values, or a list of rows or records"
        )
    if type(features[0]) not in ROWS:
        return _one(handle, handle.reader.one(features))
    inputs = handle.reader.many(features)
    return PredictRequest(handle, inputs, handle.role_outputs, len(features), NO_PARAMETERS)


def _one(handle: Handle, inputs: dict[str, Array]) -> PredictRequest:
    return PredictRequest(handle, inputs, handle.role_outputs, 1, NO_PARAMETERS, one_row=True)


def _decode_large(message: Message, lookup: Lookup) -> PredictRequest:
    """As ``decode``, some thousand rows at a time."""
    parted = cut(message.body, BARE_DEPTH if _BARE.match(message.body) else DEPTH)
    document = decode(parted.skeleton, _CUT_DOCUMENT)
    features = document.features if isinstance(document, CutDocument) else document
    handle = lookup(message.path.get("model"))
    if not parted.arrays and not isinstance(features, int):
        return _request(handle, features, message.body)
    if len(parted.arrays) != 1 or features != 0:
        raise MalformedRequest(
            "a large body must be one long list of rows",
            expected='{"features": [[...], ...]} or the list alone',
        )
    return _read_long(handle, iter(parted.arrays[0]))


def _read_long(handle: Handle, pieces: Iterator[list[Any]]) -> PredictRequest:
    """One long list, which comes in *pieces*: one row, or many."""
    first = next(pieces)
    if not first or type(first[0]) not in ROWS:
        return _request(handle, [*first, *chain.from_iterable(pieces)], b"")
    parts, rows = [], 0
    for piece in chain([first], pieces):
        parts.append(handle.reader.many(piece, rows))
        rows += len(piece)
    inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return PredictRequest(handle, inputs, handle.role_outputs, rows, NO_PARAMETERS)


def _encode_rows(prediction: Array, probability: Array | None, version: str) -> bytes:
    """All rows' answers, some thousand values at a time."""
    parts = [b'{"predictions":[', write_values(prediction)]
    if probability is not None:
        parts += [b'],"probabilities":[', write_values(probability)]
    return b"".join([*parts, b'],"model_version":', encode(version), b"}"])
