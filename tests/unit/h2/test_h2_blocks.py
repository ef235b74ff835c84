"""wire/h2: HPACK (RFC 7541), and what is remembered of header blocks."""

from contextlib import suppress

import pytest
from hpack import Decoder as TheirDecoder
from hpack import Encoder, NeverIndexedHeaderTuple
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.wire.h2.decoding import Decoder
from inferd.wire.h2.frames import COMPRESSION_ERROR, BrokenConnectionError
from inferd.wire.h2.headers import MOST_REMEMBERED, MOST_VALID, Heads, encode_fields, literal
from tests.unit.h2.speaking import FIELDS, POST, field_of

MOST = 1 << 16
NAMES = st.sampled_from([b":path", b"te", b"x", b"content-type", b"y" * 300])
LISTS = st.lists(
    st.lists(st.tuples(NAMES, st.binary(max_size=400), st.booleans()), max_size=8), max_size=8
)


@given(LISTS, st.booleans(), st.lists(st.integers(0, 4096), max_size=8))
@settings(max_examples=300, deadline=None)
def test_blocks_mean_what_another_implementation_wrote(
    lists: list[list[tuple[bytes, bytes, bool]]], huffman: bool, sizes: list[int]
) -> None:
    """Literals, indexes, the table's evictions and its sizes, as the hpack package writes them."""
    encoder, decoder = Encoder(), Decoder()
    for at, fields in enumerate(lists):
        if at < len(sizes):
            encoder.header_table_size = sizes[at]
        written = encoder.encode(
            [NeverIndexedHeaderTuple(n, v) if secret else (n, v) for n, v, secret in fields],
            huffman=huffman,
        )
        assert decoder.decode(written, MOST) == [(name, value) for name, value, _ in fields]
        assert decoder.size == encoder.header_table._current_size


@given(st.lists(st.tuples(NAMES, st.text("ab\xff", max_size=300)), max_size=8))
@settings(deadline=None)
def test_blocks_that_we_write_mean_the_same_to_another(fields: list[tuple[bytes, str]]) -> None:
    """`encode_fields`: without indexing, so their table stays empty."""
    decoder = TheirDecoder()
    given = [(name, value.encode("latin-1")) for name, value in fields]
    assert [tuple(field) for field in decoder.decode(encode_fields(given), raw=True)] == given
    assert not decoder.header_table.dynamic_entries


def test_common_fields_are_written_short() -> None:
    """By the static table: a whole field is a byte, a name one or two."""
    assert literal(b":status", b"200") == b"\x88"
    assert literal(b":status", b"418") == b"\x08\x03418"
    assert literal(b"content-type", b"application/grpc") == b"\x0f\x10\x10application/grpc"
    assert literal(b"grpc-status", b"0") == b"\x00\x0bgrpc-status\x010"
    assert literal(b"x", b"y" * 300)[3:6] == b"\x7f\xad\x01"


@pytest.mark.parametrize(
    "field", [(b"X", b""), (b"", b""), (b"x", b"a\r\nb: c"), (b"x", b" a"), (b"a b", b"")]
)
def test_fields_that_cannot_be_carried_are_not_written(field: tuple[bytes, bytes]) -> None:
    """8.2.1: what we send is as valid as what we take."""
    with pytest.raises(ValueError, match="a field that HTTP/2 cannot carry: got"):
        encode_fields([field])


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\xff",
        b"\xff\xff\xff\xff\xff\xff\x00",
        b"\xff\x80\x80\x80\x80\x00",
        b"\x00",
        b"\x00\x01",
        b"\x00\x01x",
        b"\x00\x01x\x02y",
        b"\x00\x01x\x81\xff\xff",
        b"\x00\x01x\x81\x00",
        b"\x7e\x00",
        b"\x3f\xe2\x1f",
        b"\x82\x20",
        b"\x20" * 3 + b"\x82\x20",
    ],
)
def test_blocks_that_mean_nothing_are_an_error_of_the_connection(block: bytes) -> None:
    """Index 0 or of no entry, numbers and strings cut off or too long, wrong Huffman codes, a table
    larger than ours (4097), a size behind a field."""
    with pytest.raises(BrokenConnectionError) as caught:
        Decoder().decode(block, MOST)
    assert caught.value.code == COMPRESSION_ERROR


@given(st.binary(max_size=300))
@settings(max_examples=500)
def test_any_bytes_are_a_block_or_an_error(block: bytes) -> None:
    """Nothing else is raised, and the table stays in its bounds."""
    decoder = Decoder()
    with suppress(BrokenConnectionError):
        decoder.decode(block, MOST)
    assert 0 <= decoder.size <= 4096
    assert decoder.size == sum(32 + len(n) + len(v) for n, v in decoder._entries)


def test_a_list_larger_than_is_taken_is_not_kept() -> None:
    """A HPACK bomb: a large entry, then a byte for each time that it is said again. What is beyond
    the limit is counted and forgotten, and the table is right after it."""
    decoder = Decoder()
    bomb = b"\x40\x01x\x7f\x81\x1e" + b"y" * 3968 + b"\xbe" * 60_000
    assert decoder.decode(bomb, MOST) is None
    assert decoder.decode(b"\xbe", MOST) == [(b"x", b"y" * 3968)]
    assert decoder.size == 32 + 1 + 3968


def test_an_entry_larger_than_the_table_empties_it() -> None:
    """RFC 7541, 4.4: it is a field all the same."""
    decoder = Decoder()
    decoder.decode(b"\x40\x01x\x01y", MOST)
    large = b"\x40\x01x\x7f\x81\x1f" + b"y" * 4096
    assert decoder.decode(large, MOST) == [(b"x", b"y" * 4096)]
    assert decoder.size == 0


def test_entries_that_fill_the_table_exactly_stay() -> None:
    """RFC 7541, 4.4: an entry is evicted for a byte too much, and not before; nor by a new size."""
    decoder = Decoder()
    decoder.decode(b"\x40\x01x\x01y", MOST)
    decoder.decode(b"\x40\x01x\x7f\xbe\x1e" + b"y" * 4029, MOST)
    assert decoder.size == 4096
    assert decoder.decode(b"\x3f\xe1\x1f\xbf", MOST) == [(b"x", b"y")]
    assert decoder.decode(b"\x3f\xe0\x1f\xbe", MOST) == [(b"x", b"y" * 4029)]
    assert decoder.size == 4096 - 34


INSERT = b"\x40\x01x\x01"


def test_a_block_that_changes_nothing_is_remembered() -> None:
    """The same bytes are the same object, which nobody decodes again."""
    heads = Heads(MOST)
    head = heads.read(POST)
    assert heads.known == {POST: head}
    assert heads.read(POST) is head
    assert head.fields == FIELDS


def test_what_was_remembered_is_forgotten_with_any_change_of_the_table() -> None:
    """An insert, though it evicts another and the table's length stays; and a new size."""
    heads = Heads(MOST)
    last = POST + b"\xbe"
    for value in (b"1", b"2"):
        heads.read(INSERT + value)
        assert heads.known == {}
        assert heads.read(last).fields == [*FIELDS, (b"x", value)]
        assert heads.read(last) is heads.known[last]
    fills = [b"\x40\x01x\x7f\xe0\x1e" + value * 4063 for value in (b"a", b"b")]
    for fill in fills:
        heads.read(fill)
        assert len(heads._decoder._entries) == 1
        assert heads.read(last).fields[3][1] == fill[-4063:]
    heads.read(b"\x20" + POST)
    assert heads.known == {}
    with pytest.raises(BrokenConnectionError):
        heads.read(last)


def test_what_is_remembered_is_bounded() -> None:
    """So many blocks and fields, of such a size, however many there are that change no table."""
    heads = Heads(MOST)
    for value in range(1000):
        assert heads.read(POST + field_of(b"x", b"%d" % value)).fields[3] == (b"x", b"%d" % value)
        assert len(heads.known) <= MOST_REMEMBERED
        assert len(heads._valid) <= MOST_VALID
    heads = Heads(MOST)
    heads.read(POST + b"\x00\x01x\x7f\xf0\x0f" + b"y" * 2159)
    heads.read(POST + b"\x90" * 100)
    assert heads.known == {}


def test_a_malformed_block_is_remembered_as_that() -> None:
    """The length and the fault belong to what is remembered."""
    heads = Heads(MOST)
    assert heads.read(b"\x82").code == 1
    assert heads.read(b"\x82") is heads.known[b"\x82"]
    assert heads.read(POST + field_of(b"content-length", b"12")).length == 12
