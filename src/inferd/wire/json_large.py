"""Large JSON documents, in pieces, so that no step holds the interpreter lock for more than a few
milliseconds.

A parser in C keeps every other thread waiting until it is done: half a second for 64 MB. Here the
long arrays of a document are found first, by numpy over bounded windows; the document without them
is parsed as usual, and then each array piece by piece. To be run in a thread.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from inferd.errors import MalformedRequest
from inferd.tensors import Array, json_values
from inferd.wire.json import decode, encode

LARGE = 1 << 20  # bytes; below this a parser is done within about ten milliseconds
WINDOW = 1 << 20  # bytes looked at in one step of the search
PIECE = 1 << 17  # bytes parsed in one step: 10,000 numbers of full precision, about a millisecond
SLICE = 1 << 14  # elements written in one step

Mask: TypeAlias = npt.NDArray[np.bool_]
Positions: TypeAlias = npt.NDArray[np.intp]


class LongArray(NamedTuple):
    """The text of one long array, cut between elements."""

    pieces: tuple[bytes, ...]

    def __iter__(self) -> Iterator[Any]:
        """The array's elements as lists, one a piece. Raises MalformedRequest."""
        for piece in self.pieces:
            values = decode(b"[" + piece + b"]", _LIST)
            if not values and len(self.pieces) > 1:  # two commas in a row, or one at an end
                raise MalformedRequest("the body is not JSON: an array's element is missing")
            yield values


_LIST = msgspec.json.Decoder(list[Any])


class Cut(NamedTuple):
    """A document whose long arrays were replaced by their number in ``arrays``."""

    skeleton: bytes
    arrays: tuple[LongArray, ...]


def cut(document: bytes, depth: int, marker: bytes = b" %d ") -> Cut:
    """Take the long arrays that open *depth* brackets deep out of *document*.

    In the place of each stands *marker*, with its number. A malformed document gives a malformed
    skeleton or a malformed piece, never a right one of another meaning.
    """
    opens, closes, commas = _landmarks(document, depth)
    skeleton: list[bytes] = []
    arrays: list[LongArray] = []
    done = 0
    for start, end in _long_spans(document, opens, closes):
        # Between spaces, so that it cannot grow together with what stands beside it.
        skeleton += [document[done:start], marker % len(arrays)]
        inside = commas[np.searchsorted(commas, start) : np.searchsorted(commas, end)]
        edges = [start, *inside.tolist(), end]
        arrays.append(LongArray(tuple(document[a + 1 : b] for a, b in pairwise(edges))))
        done = end + 1
    skeleton.append(document[done:])
    if arrays and sum(map(len, skeleton)) > LARGE:
        raise MalformedRequest("the JSON holds too much beside its long arrays")
    return Cut(b"".join(skeleton), tuple(arrays))


def write_values(array: Array) -> bytes:
    """The elements of *array* along its first axis as JSON, with commas and without the outer
    brackets."""
    step = max(1, SLICE // max(1, array[:1].size))
    slices = (array[at : at + step] for at in range(0, len(array), step))
    return b",".join(encode(json_values(part))[1:-1] for part in slices)


def _long_spans(document: bytes, opens: Positions, closes: Positions) -> Sequence[tuple[int, int]]:
    """The first and last positions of the arrays worth cutting."""
    if len(opens) != len(closes):
        return ()  # brackets do not match: the parser will say where
    spans = np.stack([opens, closes], axis=1)[closes - opens > PIECE].tolist()
    return [(a, b) for a, b in spans if document[a : a + 1] == b"[" and document[b : b + 1] == b"]"]


def _landmarks(document: bytes, depth: int) -> tuple[Positions, Positions, Positions]:
    """Where arrays and objects open and close at *depth*, and about one comma a PIECE between their
    elements."""
    found: list[tuple[Positions, Positions, Positions]] = []
    level, quoted, start = 0, False, 0
    while start < len(document):
        window = _window(document, start)
        codes = np.frombuffer(_ESCAPE.sub(b"__", window) if b"\\" in window else window, np.uint8)
        outside, quoted = _outside_strings(codes, quoted)
        opens, closes = _is_any(codes, b"[{") & outside, _is_any(codes, b"]}") & outside
        levels = level + np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32)
        commas = np.flatnonzero((codes == ord(",")) & outside & (levels == depth)) + start
        found.append(
            (
                np.flatnonzero(opens & (levels == depth)) + start,
                np.flatnonzero(closes & (levels == depth - 1)) + start,
                commas[np.unique(commas // PIECE, return_index=True)[1]],
            )
        )
        level, start = int(levels[-1]), start + len(window)
    opened, closed, cuts = (np.concatenate(kind) for kind in zip(*found, strict=True))
    return opened, closed, cuts


_ESCAPE = re.compile(rb"\\.", re.DOTALL)


def _window(document: bytes, start: int) -> bytes:
    """The next window, never ending between a backslash and what it escapes."""
    end = start + WINDOW
    while document[end - 1 : end] == b"\\":
        end += 1
    return document[start:end]


def _outside_strings(codes: npt.NDArray[np.uint8], quoted: bool) -> tuple[Mask, bool]:
    """Which bytes stand outside strings (a closing quote counts as outside), and whether a string
    goes on."""
    parity = np.bitwise_xor.accumulate((codes == ord('"')).view(np.uint8)) ^ np.uint8(quoted)
    return parity == 0, bool(parity[-1])


def _is_any(codes: npt.NDArray[np.uint8], characters: bytes) -> Mask:
    either: Mask = (codes == characters[0]) | (codes == characters[1])
    return either
