"""Rows or records to a request, and its answer to ``{"prediction": ..., "probability": [...]}``."""

from itertools import chain
from typing import Any, TypeAlias

import msgspec
import numpy as np

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, MalformedRequest
from inferd.protocols.base import Documentation, Message, Operation, Payload, refuse_encoded
from inferd.protocols.plain.document import document_predict
from inferd.rows import predictions
from inferd.tensors import Array, json_values
from inferd.wire.json import decode, encode
from inferd.wire.json_large import LARGE, Cut, cut, write_values

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


class Predict(Operation):
    """One row or many."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        if b"content-encoding" in message.headers:
            refuse_encoded(message.headers)
        if len(message.body) > LARGE:
            return _decode_large(message, lookup)
        document = decode(message.body, _DOCUMENT)
        if type(document) is list:
            features: Any = document
        else:
            features = document.features  # type: ignore[union-attr] - type() narrows, mypy does not
        ...

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


def _decode_large(message: Message, lookup: Lookup) -> PredictRequest:
    """As ``decode``, some thousand rows at a time."""
    document = cut(message.body, DEPTH)
    features = decode(document.skeleton, _CUT_DOCUMENT).features
    handle = lookup(message.path.get("model"))
    if len(document.arrays) != 1 or features != 0:
        raise MalformedRequest(
            "a large body must be one long list of rows", expected='{"features": [[...], ...]}'
        )
    pieces = iter(document.arrays[0])
    first = next(pieces)
    if first and not isinstance(first[0], list | dict):
        row = [*first, *chain.from_iterable(pieces)]
        return PredictRequest(
            handle, handle.reader.one(row), handle.role_outputs, 1, NO_PARAMETERS, one_row=True
        )
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
