"""The binary tensor extension: raw memory behind the JSON document, to arrays and back.

Elements lie little-endian and in C order, as they do in the arrays of the machines that inferd runs
on; so numbers are neither copied nor looked at. A string is its length (four bytes) and its UTF-8.
"""

import struct
from typing import Any

import numpy as np

from inferd.errors import InvalidInput, short
from inferd.protocols.oip.request import CutInput, Input, misplaced
from inferd.tensors import BY_NAME, Array, Datatype, shaped

HEADER_LENGTH = b"inference-header-content-length"
OCTETS = b"application/octet-stream"
SMALL = 1 << 14  # bytes; up to here a copy is cheaper than a view that the lane must keep
_DIGITS = 18  # fewer than an int64 has, and more than any length
_LENGTH = struct.Struct("<I")
_BOOL, _BYTES = BY_NAME["BOOL"], BY_NAME["BYTES"]


def header_length(value: bytes, size: int) -> int:
    """How many bytes of a body of *size* are the document, as the header's *value* says."""
    if value.isdigit() and len(value) <= _DIGITS and (length := int(value)) <= size:
        return length
    digits = value[1:] if value[:1] == b"-" else value
    if not digits.isdigit():
        raise InvalidInput(
            f"Unable to parse Inference-Header-Content-Length, got: {_shown(value)}",
            expected=f"a number from 0 to {size}",
        )
    raise InvalidInput(
        f"inference header size should be in range (0, {size}), got: {_shown(value)}"
    )


def _shown(value: bytes) -> str:
    return short(value.decode("ascii", "replace"))


class Blobs:
    """The bytes of a body from *start* on, taken tensor by tensor."""

    def __init__(self, body: bytes, start: int, model: str) -> None:
        self._body, self._at, self._model = body, start, model

    def take(self, sent: Input | CutInput, datatype: Datatype, count: int) -> Array:
        """The next tensor, of *count* elements: a view of the body wherever that can be, which is
        not to be written to.

        Raises InvalidInput, before anything of the size that was told is allocated.
        """
        told = sent.parameters
        if told is None or told.binary_data_size is None or told.shared_memory_region is not None:
            raise misplaced(sent)
        size, start = told.binary_data_size, self._at
        missing = start + size - len(self._body)
        if missing > 0:
            raise InvalidInput(
                f"unexpected size for input '{sent.name}', expecting {missing} additional bytes for"
                f" model '{self._model}'"
            )
        self._at = start + size
        if datatype is _BYTES:
            return shaped(sent.name, self._strings(sent.name, start, count), sent.shape)
        expected = count * datatype.numpy.itemsize
        if size != expected:
            raise size_mismatch(sent.name, self._model, expected, size)
        if not count:  # numpy makes no view of nothing
            return shaped(sent.name, np.empty(0, datatype.numpy), sent.shape)
        return view(self._body, datatype, count, start).reshape(sent.shape)

    def end(self) -> None:
        """Raise InvalidInput unless all bytes were taken."""
        if self._at != len(self._body):
            raise InvalidInput(f"unexpected additional input data for model '{self._model}'")

    def _strings(self, name: str, at: int, count: int) -> Array:
        body, end = self._body, self._at
        texts: list[str] = []
        while at < end:
            if len(texts) == count:
                raise InvalidInput(
                    f"unexpected number of string elements {count + 1} for inference input '{name}'"
                    f" for model '{self._model}', expecting {count}"
                )
            start = at + _LENGTH.size
            if start > end:
                raise self._incomplete(name, "length indicator", _LENGTH.size, end - at)
            at = start + _LENGTH.unpack_from(body, at)[0]
            if at > end:
                raise self._incomplete(name, "data", at - start, end - start)
            texts.append(self.text(name, start, at))
        if len(texts) != count:
            raise InvalidInput(
                f"expected {count} string elements for inference input '{name}' for model "
                f"'{self._model}', got {len(texts)}"
            )
        return np.array(texts, np.object_)

    def text(self, name: str, start: int, end: int) -> str:
        """The string that lies there."""
        try:
            return str(self._body[start:end], "utf-8")
        except UnicodeDecodeError:
            raise not_text(name) from None

    def _incomplete(self, name: str, what: str, expected: int, got: int) -> InvalidInput:
        unit = f"{expected} bytes" if what != "data" else f"string of length {expected}"
        return InvalidInput(
            f"incomplete string {what} for inference input '{name}' for model '{self._model}', "
            f"expecting {unit} but only {got} bytes available"
        )


def view(body: bytes, datatype: Datatype, count: int, start: int) -> Array:
    """The *count* numbers in *body* from *start* on, where they lie if they can stay there; not to
    be written to."""
    array: Array = np.frombuffer(body, datatype.numpy, count, start)
    if datatype is _BOOL:  # any byte but 0 is true; numpy and the models expect 1
        return np.not_equal(array.view(np.uint8), 0)
    flags = array.flags
    if not flags.aligned:
        # numpy copes; compiled loops may not: compilers take elements to be where the C standard
        # has them. A large one is copied as bytes, which is one block.
        if array.nbytes <= SMALL:
            return array.copy()
        size = count * datatype.numpy.itemsize
        return np.frombuffer(body, np.uint8, size, start).copy().view(datatype.numpy)
    if flags.writeable:  # a large body is a bytearray
        flags.writeable = False
    return array


def size_mismatch(name: str, model: str, expected: int, got: int) -> InvalidInput:
    """What is wrong with an input of *got* bytes, whose shape says *expected*."""
    return InvalidInput(
        f"input byte size mismatch for input '{name}' for model '{model}'. "
        f"Expected {expected}, got {got}"
    )


def not_text(name: str) -> InvalidInput:
    """What is wrong with an input one of whose strings is none."""
    return InvalidInput(
        f"a string element of inference input '{name}' is not UTF-8", expected="text"
    )


def pack(array: Array) -> bytes | memoryview:
    """The memory of *array*, in C order; of a large one without copying it."""
    if array.dtype.kind in "OUS":
        return _pack_strings(array.ravel().tolist())
    if array.nbytes <= SMALL:
        return array.tobytes()
    view: memoryview = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return view


def _pack_strings(values: list[Any]) -> bytes:
    pieces: list[bytes] = []
    for value in values:
        text = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        pieces += (_LENGTH.pack(len(text)), text)
    return b"".join(pieces)
