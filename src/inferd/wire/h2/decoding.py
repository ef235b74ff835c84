"""HPACK, read without IO (RFC 7541): a header block's bytes in, its fields out.

The Huffman code and the static table are those of the ``hpack`` package. Its own decoder copies
the rest of a block for every literal in it, so that 64 KiB of them cost a third of a second, and
gives up the connection where a header list is too large; this one takes time by the byte, and
reads such a list to its end without keeping it, so that only its stream is refused.
"""

import re
from collections import deque
from typing import Final, TypeAlias

from hpack import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from inferd.wire.h2.frames import COMPRESSION_ERROR, BrokenConnectionError

Field: TypeAlias = tuple[bytes, bytes]

STATIC: Final[tuple[Field, ...]] = HeaderTable.STATIC_TABLE
FIRST_DYNAMIC: Final = len(STATIC) + 1
TABLE_BYTES: Final = 4096
"""Most bytes of the dynamic table: what a peer may use where SETTINGS say nothing of it."""
ENTRY_BYTES: Final = 32
"""What a field weighs beside its name and value (RFC 7541, section 4.1; RFC 9113, 6.5.2)."""
_INDEXES: Final = re.compile(rb"[\x81-\xfe]+")
LONGEST_INTEGER: Final = 4
"""Bytes after the prefix: 28 bits, more than any length or index here can mean."""


class Decoder:
    """One connection's dynamic table, and the reader of header blocks that change it."""

    __slots__ = ("_entries", "_most", "_size", "changes")

    def __init__(self) -> None:
        self._entries: deque[Field] = deque()
        self._size, self._most = 0, TABLE_BYTES
        self.changes = 0
        """How often the table was changed, by an insert, which may evict, or by a new size."""

    @property
    def size(self) -> int:
        """Bytes of the table, as RFC 7541 counts them."""
        return self._size

    def decode(self, block: bytes, most: int) -> list[Field] | None:
        """The fields of *block*; None where they weigh more than *most*. The table is up to date
        then, too."""
        fields: list[Field] = []
        at, end, weight, is_first = 0, len(block), 0, True
        try:
            while at < end:
                first = block[at]
                if first & 0xE0 == 0x20:
                    at = self._resize(block, at, is_first)
                    continue
                is_first = False
                if 0x80 < first < 0xFF:  # a field of the tables whose index is in its first byte
                    at += 1
                    field = self._field(first - 0x80)
                elif first & 0x80:
                    index, at = _integer(block, at, 0x7F)
                    field = self._field(index)
                else:
                    field, at = self._literal(block, at, first)
                weight += ENTRY_BYTES + len(field[0]) + len(field[1])
                if weight <= most:
                    fields.append(field)
                elif first > 0x80:
                    at = self._skip(block, at)
        except (IndexError, HPACKDecodingError) as error:
            raise _broken("a header block that is cut off or holds what is none") from error
        return fields if weight <= most else None

    def _literal(self, block: bytes, at: int, first: int) -> tuple[Field, int]:
        """A field that is written out, its name perhaps by an index (section 6.2)."""
        index, at = _integer(block, at, 0x3F if first & 0x40 else 0x0F)
        if index:
            name = self._field(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        field = (name, value)
        if first & 0x40:
            self._insert(field)
        return field, at

    def _field(self, index: int) -> Field:
        if index >= FIRST_DYNAMIC:
            return self._entries[index - FIRST_DYNAMIC]
        if index:
            return STATIC[index - 1]
        raise _broken("index 0 in a header block")

    def _skip(self, block: bytes, at: int) -> int:
        """Past the fields of the tables at *at*, of a list that is too large already: each is one
        byte, which may stand for 4 KB. They must be in the tables all the same."""
        run = _INDEXES.match(block, at)
        if run is None:
            return at
        self._field(max(run[0]) - 0x80)
        return run.end()

    def _insert(self, field: Field) -> None:
        """Section 4.4: what is larger than the whole table empties it."""
        self.changes += 1
        size = ENTRY_BYTES + len(field[0]) + len(field[1])
        self._evict(self._most - size)
        if size <= self._most:
            self._entries.appendleft(field)
            self._size += size

    def _resize(self, block: bytes, at: int, is_first: bool) -> int:
        """Section 6.3: a new size stands before all fields and is at most ours."""
        most, at = _integer(block, at, 0x1F)
        if not is_first:
            raise _broken("a table size after a field")
        if most > TABLE_BYTES:
            raise _broken("a table size above the one that was offered")
        self.changes += 1
        self._most = most
        self._evict(most)
        return at

    def _evict(self, most: int) -> None:
        entries = self._entries
        while entries and self._size > most:
            name, value = entries.pop()
            self._size -= ENTRY_BYTES + len(name) + len(value)


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """The number at *at*, whose first byte has it in the bits of *mask*, and where it ends
    (section 5.1)."""
    number = block[at] & mask
    at += 1
    if number < mask:
        return number, at
    for shift in range(0, 7 * LONGEST_INTEGER, 7):
        byte = block[at]
        at += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise _broken("a number of too many bytes in a header block")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """The string at *at*, and where it ends (section 5.2)."""
    first = block[at]
    is_coded = first & 0x80
    if first & 0x7F < 0x7F:  # nearly always; _integer would say the same
        length, at = first & 0x7F, at + 1
    else:
        length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise _broken("a header block that is cut off")
    text = block[at:end]
    return (decode_huffman(text) if is_coded else text), end


def _broken(why: str) -> BrokenConnectionError:
    return BrokenConnectionError(COMPRESSION_ERROR, why)
