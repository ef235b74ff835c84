"""Large JSON documents, in pieces, so that no step holds the interpreter lock for more than a few
milliseconds.

A parser in C keeps every other thread waiting until it is done: half a second for 64 MB. Here the
long arrays of a document are found first, by numpy over bounded windows; the document without them
is parsed as usual, and then each array piece by piece. To be run in a thread.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from inferd.errors import MalformedRequest, PayloadTooLarge
from inferd.tensors import Array, json_values
from inferd.wire.json import decode, encode

LARGE = 1 << 20  # bytes; below this a parser is done within about ten milliseconds
WINDOW = 1 << 20  # bytes looked at in one step of the search
PIECE = 1 << 17  # bytes parsed in one step: 10,000 numbers of full precision, about a millisecond
SLICE = 1 << 14  # elements written in one step
LONG_PIECE = 32 * PIECE  # bytes; a longer one, of few elements, is weighed before it is parsed
HEAVIEST = 1 << 23  # a piece's commas, and its lists and objects as LIST each: half a second
LIST = 4

Mask: TypeAlias = npt.NDArray[np.bool_]
Positions: TypeAlias = npt.NDArray[np.intp]


class LongArray(NamedTuple):
    """The text of one long array, cut between elements."""

    pieces: tuple[bytes, ...]
    levels: tuple[int, ...] = ()
    """How many arrays within this one are open before each piece and after the last; empty where
    it was cut between its own elements alone."""

    def __iter__(self) -> Iterator[Any]:
        """The array's elements as lists, one a piece. Raises MalformedRequest, or PayloadTooLarge
        for a piece that is too heavy."""
        edges = pairwise(self.levels) if self.levels else repeat((0, 0))
        for piece, (before, after) in zip(self.pieces, edges, strict=False):
            check_weight(piece)
            values = decode(b"[" * (before + 1) + piece + b"]" * (after + 1), _LIST)
            if len(self.pieces) > 1 and not (values and _cut_well(piece, before, after)):
                raise MalformedRequest("the body is not JSON: an array's element is missing")
            yield values


def _cut_well(piece: bytes, before: int, after: int) -> bool:
    """Whether elements stand at those edges of *piece* that are within arrays."""
    opened, closed = after and piece.rstrip()[-1:], before and piece.lstrip()[:1]
    return opened not in (b"", b"[") and closed not in (b"", b"]")


def check_weight(text: bytes) -> None:
    """Raise PayloadTooLarge where to parse *text* at once would keep all else waiting for long.

    It is the number of values that counts, however long their texts are. Commas and brackets within
    strings are not told from others: only a text of little else is ever too heavy for them.
    """
    if len(text) <= LONG_PIECE:
        return
    weight = 0
    for start in range(0, len(text), WINDOW):
        codes = np.frombuffer(text[start : start + WINDOW], np.uint8)
        weight += int(np.count_nonzero(codes == ord(",")))
        weight += LIST * int(np.count_nonzero(_is_any(codes, b"[{")))
        if weight > HEAVIEST:
            raise PayloadTooLarge(
                "one element of the JSON holds too many values",
                expected=f"at most {HEAVIEST} in one row or tensor, each list counting as {LIST}",
                cure="Send it as a flat list or as binary data, as the Open Inference Protocol "
                "has them, or in smaller requests.",
            )


_LIST = msgspec.json.Decoder(list[Any])


class Cut(NamedTuple):
    """A document whose long arrays were replaced by their number in ``arrays``."""

    skeleton: bytes
    arrays: tuple[LongArray, ...]


def cut(document: bytes, *depths: int, marker: bytes = b" %d ", flat: bool = False) -> Cut:
    """Take the long arrays that open so many brackets deep out of *document*: at the first of
    *depths* that has one.

    In the place of each stands *marker*, with its number. Where *flat*, they are cut within inner
    arrays, too: the leaves of all pieces are those of the array. A malformed document gives a
    malformed skeleton or a malformed piece, never a right one of another meaning. Raises
    PayloadTooLarge where what is left is too heavy.
    """
    found = next((c for d in depths if (c := _cut(document, d, marker, flat)).arrays), None)
    if found is None:
        check_weight(document)
        return Cut(bytes(document), ())
    return found


def _cut(document: bytes, depth: int, marker: bytes, flat: bool) -> Cut:
    opens, closes, commas, levels = _landmarks(document, depth, flat)
    skeleton: list[bytes] = []
    arrays: list[LongArray] = []
    done = 0
    for start, end in _long_spans(document, opens, closes):
        # Between spaces, so that it cannot grow together with what stands beside it.
        skeleton += [document[done:start], marker % len(arrays)]
        inside = slice(*np.searchsorted(commas, (start, end)))
        edges = pairwise([start, *commas[inside].tolist(), end])
        pieces = tuple(document[a + 1 : b] for a, b in edges)
        arrays.append(LongArray(pieces, (0, *levels[inside].tolist(), 0) if flat else ()))
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


def _landmarks(document: bytes, depth: int, flat: bool) -> tuple[Positions, ...]:
    """Where arrays and objects open and close at *depth*; about one comma a PIECE between their
    elements, or, where *flat*, deeper; and how much deeper each is."""
    found: list[tuple[Positions, ...]] = []
    level, quoted, start = 0, False, 0
    while start < len(document):
        window = _window(document, start)
        unescaped = window.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        codes = np.frombuffer(unescaped, np.uint8)
        outside, quoted = _outside_strings(codes, quoted)
        opens, closes = _is_any(codes, b"[{") & outside, _is_any(codes, b"]}") & outside
        levels = level + np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32)
        within = levels >= depth if flat else levels == depth
        commas = np.flatnonzero((codes == ord(",")) & outside & within)
        commas = commas[np.unique((commas + start) // PIECE, return_index=True)[1]]
        found.append(
            (
                np.flatnonzero(opens & (levels == depth)) + start,
                np.flatnonzero(closes & (levels == depth - 1)) + start,
                commas + start,
                levels[commas].astype(np.intp) - depth,
            )
        )
        level, start = int(levels[-1]), start + len(window)
    return tuple(np.concatenate(kind) for kind in zip(*found, strict=True))


def _window(document: bytes, start: int) -> bytes:
    """The next window, never ending between a backslash and what it escapes."""
    window = document[start : start + WINDOW]
    odd = (len(window) - len(window.rstrip(b"\\"))) % 2
    return document[start : start + WINDOW + 1] if odd else window


def _outside_strings(codes: npt.NDArray[np.uint8], quoted: bool) -> tuple[Mask, bool]:
    """Which bytes stand outside strings (a closing quote counts as outside), and whether a string
    goes on."""
    parity = np.bitwise_xor.accumulate((codes == ord('"')).view(np.uint8)) ^ np.uint8(quoted)
    return parity == 0, bool(parity[-1])


def _is_any(codes: npt.NDArray[np.uint8], characters: bytes) -> Mask:
    either: Mask = (codes == characters[0]) | (codes == characters[1])
    return either
