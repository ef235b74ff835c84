"""The files that hold an ONNX model's weights: its own, and those beside it that it names.

Only the names are looked for, so the file is not parsed but walked through, by the numbers that the
fields have in onnx.proto; what is large in it is stepped over.
"""

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # the wire types of protobuf

WITHIN = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Which fields of which message may lead to a name."""
KEY, VALUE = 1, 2
LOCATION = b"location"


class Span(NamedTuple):
    """Where a field's content lies."""

    number: int
    start: int
    end: int


def weight_files(path: Path) -> list[Path]:
    """*path*, and what it names as the files of its weights, in alphabetical order.

    Of a damaged file as many as were found; whoever opens it will say what is wrong.
    """
    names = set[str]()
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        contextlib.suppress(IndexError, ValueError),
    ):
        names.update(_names(data, "model", 0, len(data)))
    return [path, *(path.parent / name for name in sorted(names))]


def _names(data: mmap.mmap, kind: str, start: int, end: int) -> Iterator[str]:
    if kind == "entry":
        entry = {field.number: data[field.start : field.end] for field in _fields(data, start, end)}
        if entry.get(KEY) == LOCATION:
            yield entry.get(VALUE, b"").decode()
        return
    within = WITHIN[kind]
    for field in _fields(data, start, end):
        if field.number in within:
            yield from _names(data, within[field.number], field.start, field.end)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[Span]:
    """The fields that have a length. Raises IndexError or ValueError where they are none."""
    at = start
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == BYTES:
            length, at = _varint(data, at)
            if at + length > end:
                raise ValueError("a field is longer than what it lies in")
            yield Span(tag >> 3, at, at + length)
            at += length
        elif kind == VARINT:
            _, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"no wire type: {kind}")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
