"""``POST /invocations``: one of MLflow's forms to a request, and its answer to ``{"predictions":
...}``."""

import re
from typing import Any, TypeAlias

import msgspec

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, MalformedRequest, short
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.mlflow.columns import read_columns
from inferd.protocols.mlflow.csv_table import read_csv
from inferd.protocols.mlflow.document import document_invocations
from inferd.protocols.mlflow.frames import read_records, read_split
from inferd.protocols.mlflow.media import Media, media
from inferd.protocols.mlflow.read import Pieces, Table, read_rows, wrapped
from inferd.rows import predicted
from inferd.tensors import Array, json_values
from inferd.wire.json import decode, encode
from inferd.wire.json_large import LARGE, SLICE, LongArray, cut, write_values

UNSET = msgspec.UNSET
Name: TypeAlias = str | int | float | bool | None


class Split(msgspec.Struct, forbid_unknown_fields=True):
    """A data frame: pandas' ``to_dict(orient="split")``. A number stands for a long list."""

    data: list[Any] | int
    columns: list[Name] | int | None = None
    index: list[Any] | int | None = None


class Document(msgspec.Struct):
    """What a client sends: one of the first four. A number stands for a long list."""

    dataframe_split: Split | msgspec.UnsetType = UNSET
    dataframe_records: list[Any] | int | msgspec.UnsetType = UNSET
    instances: list[Any] | dict[str, Any] | int | msgspec.UnsetType = UNSET
    inputs: list[Any] | dict[str, Any] | int | msgspec.UnsetType = UNSET
    params: dict[str, Any] | None = None

    def only_row(self) -> list[Any] | None:
        """The values of the one row of ``inputs``; None where something else was sent."""
        rows = self.inputs
        if type(rows) is not list or len(rows) != 1 or type(rows[0]) is not list:
            return None
        alone = self.instances is self.dataframe_split is self.dataframe_records is UNSET
        return rows[0] if alone else None


class FrameRequest(InferRequest, eq=False):
    """An InferRequest that remembers whether it was a data frame."""

    frame: bool = False


FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
REQUIRED = "The input must be a JSON dictionary with exactly one of the input fields " + ", ".join(
    FORMS
)
_DOCUMENT = msgspec.json.Decoder(Document)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
NO_PARAMETERS: dict[str, Any] = {}
LISTS_DEPTH, COLUMNS_DEPTH = 2, 3  # {"inputs": [    and {"inputs": {"age": [
_COLUMNS = re.compile(rb'\s*\{\s*"(?:dataframe_split|instances|inputs)"\s*:\s*\{')


class Invocations(Operation):
    """See the file."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        kind = media(message.headers.get(b"content-type", b""))
        handle = lookup(None)
        body = message.body
        if kind is Media.CSV:
            return _request(handle, read_csv(handle, body), frame=True)
        if len(body) > LARGE:
            return _decode_large(handle, body)
        document = decode(body, _DOCUMENT)
        row = document.only_row()
        if row is not None:  # the commonest, at once
            inputs, params = handle.reader.one(row), document.params or NO_PARAMETERS
            return FrameRequest(handle, inputs, wanted(handle), 1, params)
        return _decode(handle, document, body, ())

    def encode(self, call: Call, response: Any) -> Payload:
        request, outputs = response.request, response.outputs
        if len(request.outputs) == 1:
            values = predicted(outputs, request.handle.roles)
            if values.size <= SLICE:
                return Payload(b'{"predictions":' + encode(json_values(values)) + b"}")
            return Payload(b'{"predictions":[' + write_values(values) + b"]}")
        if request.frame and all(array.size == request.rows for array in outputs.values()):
            return Payload(b'{"predictions":[' + _records(outputs, request.rows) + b"]}")
        named = [encode(name) + b":" + _listed(array) for name, array in outputs.items()]
        return Payload(b'{"predictions":{' + b",".join(named) + b"}}")

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_invocations(handle) if handle else None


def _request(
    handle: Handle, table: Table, params: dict[str, Any] | None = None, *, frame: bool = False
) -> FrameRequest:
    return FrameRequest(
        handle, table.inputs, wanted(handle), table.rows, params or NO_PARAMETERS, frame=frame
    )


def wanted(handle: Handle) -> tuple[str, ...]:
    """The prediction; all outputs of a model of several none of which is known as that."""
    if handle.roles.probability is None and len(handle.checker.output_names) > 1:
        return handle.checker.output_names
    return handle.role_outputs[:1]


def _decode(
    handle: Handle, document: Document, body: bytes, long: tuple[LongArray, ...]
) -> FrameRequest:
    split, records = document.dataframe_split, document.dataframe_records
    instances, inputs = document.instances, document.inputs
    if (split is UNSET) + (records is UNSET) + (instances is UNSET) + (inputs is UNSET) != 3:
        raise _no_form(body)
    if isinstance(split, Split):
        table = _read_split(handle, split, long)
    elif not isinstance(records, msgspec.UnsetType):
        table = read_records(handle, _pieces(records, long))
    else:
        sent = inputs if instances is UNSET else instances
        return _request(handle, _read_tensor(handle, sent, long), document.params)
    return _request(handle, table, document.params, frame=True)


def _read_split(handle: Handle, split: Split, long: tuple[LongArray, ...]) -> Table:
    columns = None if split.columns is None else _whole(split.columns, long)
    index = None if split.index is None else _whole(split.index, long)
    table = read_split(handle, columns, _pieces(split.data, long))
    if index is not None and len(index) != table.rows:
        raise InvalidInput(
            "'index' has not one value for each row",
            got=str(len(index)),
            expected=str(table.rows),
        )
    return table


def _read_tensor(handle: Handle, sent: Any, long: tuple[LongArray, ...]) -> Table:
    """``instances`` and ``inputs``: rows, records, or columns by name."""
    if isinstance(sent, dict):
        values = sent.items()
        columns = {
            name: _pieces(value, long)
            if isinstance(value, list) or (long and type(value) is int)
            else [[value]]
            for name, value in values
        }
        return read_columns(handle, columns)
    if isinstance(sent, list) and len(sent) == 1 and type(sent[0]) is list:  # the commonest
        return Table(handle.reader.one(sent[0]), 1)
    pieces = _pieces(sent, long)
    if isinstance(sent, list) and sent and type(sent[0]) is dict:
        return read_records(handle, pieces)
    return read_rows(handle, pieces, lambda piece, _: wrapped(handle, piece))


def _pieces(value: Any, long: tuple[LongArray, ...]) -> Pieces:
    """The list that *value* is, or whose number it is."""
    if isinstance(value, list):
        return (value,)
    if not 0 <= value < len(long):
        raise _unfit()
    array: Pieces = long[value]
    return array


def _whole(value: Any, long: tuple[LongArray, ...]) -> list[Any]:
    return [element for piece in _pieces(value, long) for element in piece]


def _unfit() -> MalformedRequest:
    return MalformedRequest("the JSON does not fit: there is no list where one is needed")


def _no_form(body: bytes) -> MalformedRequest:
    found = [short(name) for name in decode(body, _KEYS)][:10]
    return MalformedRequest(REQUIRED, got=", ".join(found) or "none")


def _decode_large(handle: Handle, body: bytes) -> FrameRequest:
    """As ``decode``, some thousand rows at a time."""
    depths = (LISTS_DEPTH, COLUMNS_DEPTH)
    parted = cut(body, *(reversed(depths) if _COLUMNS.match(body) else depths))
    document = decode(parted.skeleton, _DOCUMENT)
    found = list(_numbers(document))
    if parted.arrays and sorted(found) != list(range(len(parted.arrays))):
        raise _unfit()
    return _decode(handle, document, parted.skeleton, parted.arrays)


def _numbers(document: Document) -> Any:
    """The numbers that stand where a list may."""
    values: list[Any] = [document.dataframe_records, document.instances, document.inputs]
    split = document.dataframe_split
    if isinstance(split, Split):
        values += [split.data, split.columns, split.index]
    for value in values:
        inner = value.values() if isinstance(value, dict) else (value,)
        yield from [each for each in inner if type(each) is int]


def _records(outputs: dict[str, Array], rows: int) -> bytes:
    """One object a row, as a data frame is answered with one, some thousand values at a time."""
    step = max(1, SLICE // len(outputs))
    parts = []
    for at in range(0, rows, step):
        columns = [json_values(array.reshape(-1)[at : at + step]) for array in outputs.values()]
        records = [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]
        parts.append(encode(records)[1:-1])
    return b",".join(parts)


def _listed(array: Array) -> bytes:
    return b"[" + write_values(array) + b"]" if array.ndim else encode(json_values(array))
