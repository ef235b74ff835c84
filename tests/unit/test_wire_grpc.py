"""wire/grpc: messages come out of DATA as they went in, however it is cut; limits hold before
anything is kept; times and texts are gRPC's."""

import gzip
import zlib
from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.errors import Code, InferdError, MalformedRequest, PayloadTooLarge, Unsupported
from inferd.wire import grpc
from inferd.wire.grpc import Messages, framed, packed, percent, timeout, whole

MOST = 1 << 20
CODED = [b"gzip", b"deflate"]

bodies = st.lists(st.binary(max_size=300), max_size=8)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """*data*, cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def fed(messages: Messages, parts: Sequence[bytes]) -> list[bytes]:
    """All messages of a stream that comes in *parts*, and ends."""
    got = [message for part in parts for message in messages.feed(part)]
    messages.end()
    return got


@given(bodies, st.lists(st.integers(0), max_size=20))
def test_any_split_gives_the_messages_back(sent: list[bytes], cuts: list[int]) -> None:
    """Messages that are not packed come back in their order, wherever DATA is cut."""
    data = b"".join(map(framed, sent))
    assert fed(Messages(MOST), pieces(data, cuts)) == sent


@given(
    st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 3), st.booleans()), max_size=8),
    st.lists(st.integers(0), max_size=20),
    st.sampled_from(CODED),
)
def test_any_split_of_packed_messages(
    sent: list[tuple[bytes, int, bool]], cuts: list[int], coding: bytes
) -> None:
    """Packed and plain messages may follow each other in one stream."""
    sent = [(body * 3**times, times, pack) for body, times, pack in sent]
    data = b"".join([packed(b, coding) if pack else framed(b) for b, _, pack in sent])
    assert fed(Messages(MOST, coding), pieces(data, cuts)) == [body for body, _, _ in sent]


@given(st.binary(max_size=300))
def test_whole_is_the_quick_way(message: bytes) -> None:
    """One plain message is read whole; a byte more or less, or one too large, is not."""
    body = framed(message)
    assert whole(body, len(message)) == message
    assert whole(body + b"\0", MOST) is None
    assert whole(body[:-1], MOST) is None
    assert whole(body, len(message) - 1) is None
    assert whole(b"\1" + body[1:], MOST) is None


@given(st.binary(max_size=64), st.lists(st.integers(0), max_size=6))
def test_any_bytes_are_messages_or_refused(data: bytes, cuts: list[int]) -> None:
    """Whatever comes raises nothing but errors of ours, and no more of it is kept than came."""
    for coding in (b"identity", *CODED):
        messages = Messages(100, coding)
        try:
            for part in pieces(data, cuts):
                messages.feed(part)
                assert messages.held <= len(data)
            messages.end()
        except InferdError:
            pass


@pytest.mark.parametrize("flag", [0, 1])
def test_a_prefix_that_announces_too_much_is_refused_at_once(flag: int) -> None:
    """Four gigabytes are refused by their five bytes, before one byte more is waited for."""
    messages = Messages(MOST, b"gzip")
    assert messages.feed(bytes([flag, 255, 255, 255])) == []
    with pytest.raises(PayloadTooLarge) as told:
        messages.feed(b"\xff")
    assert told.value.got == "4294967295 bytes"
    assert told.value.expected == f"at most {MOST}"
    assert messages.held <= 5


def test_the_largest_message_is_taken_and_one_byte_more_is_not() -> None:
    """The limit is the largest message itself, without its prefix."""
    assert Messages(10).feed(framed(b"x" * 10)) == [b"x" * 10]
    with pytest.raises(PayloadTooLarge):
        Messages(10).feed(framed(b"x" * 11))


def test_what_an_announced_message_holds_is_what_came() -> None:
    """A large message that is only announced costs the bytes that came of it."""
    messages = Messages(1 << 30)
    assert messages.feed(b"\0\x3f\xff\xff\xff" + b"x" * 10) == []
    assert messages.held == 15


@pytest.mark.parametrize("coding", CODED)
def test_a_bomb_is_refused(coding: bytes) -> None:
    """What unpacks to more than the limit, or to many times its size, is refused, not unpacked."""
    pack = gzip.compress if coding == b"gzip" else zlib.compress

    def fed_packed(size: int, most: int) -> list[bytes]:
        body = pack(bytes(size))
        return Messages(most, coding).feed(b"\1" + len(body).to_bytes(4, "big") + body)

    assert fed_packed(1001, 1001) == [bytes(1001)]
    for size, most in ((1001, 1000), (1 << 24, 1 << 30)):
        with pytest.raises(PayloadTooLarge):
            fed_packed(size, most)


def test_a_byte_at_a_time_is_linear_in_memory_and_gives_the_message() -> None:
    """A message that comes in single bytes is held once, and given once."""
    message = bytes(range(256)) * 40
    messages = Messages(MOST)
    got = []
    for at, byte in enumerate(framed(message)):
        got += messages.feed(bytes([byte]))
        assert messages.held == (at + 1 if at + 1 < len(message) + 5 else 0)
    assert got == [message]


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("body", [b"", b"nonsense", gzip.compress(b"x" * 99)[:-3]])
def test_what_is_not_in_its_coding_is_malformed(coding: bytes, body: bytes) -> None:
    """Empty, damaged and cut off messages are the caller's fault."""
    with pytest.raises(MalformedRequest):
        Messages(MOST, coding).feed(b"\1" + len(body).to_bytes(4, "big") + body)


def test_a_packed_message_without_a_coding_is_internal() -> None:
    """gRPC's compression.md: the flag without grpc-encoding is the status INTERNAL."""
    with pytest.raises(MalformedRequest, match="grpc-encoding") as told:
        Messages(MOST).feed(b"\1\0\0\0\1x")
    assert told.value.code is Code.INTERNAL


@pytest.mark.parametrize("coding", [b"br", b"", b"GZIP", b"zip", b"x-gzip", b"gzip,gzip"])
def test_an_unknown_coding_is_unimplemented(coding: bytes) -> None:
    """gRPC's compression.md: UNIMPLEMENTED, and the text says which are spoken."""
    with pytest.raises(Unsupported, match="identity, deflate, gzip") as told:
        Messages(MOST, coding)
    assert told.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize("flag", [2, 128, 255])
def test_a_flag_that_is_none_is_malformed(flag: int) -> None:
    """The first byte of a prefix is 0 or 1."""
    with pytest.raises(MalformedRequest, match="0 or 1"):
        Messages(MOST, b"gzip").feed(bytes([flag]) + b"\0\0\0\1x")


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\0", b"\0\0\0\0\2x"])
def test_a_stream_that_ends_in_a_message_is_malformed(data: bytes) -> None:
    """The end of the stream tells how many bytes of the last message there were."""
    messages = Messages(MOST)
    assert messages.feed(data) == []
    with pytest.raises(MalformedRequest, match=f"{len(data)} bytes"):
        messages.end()


def test_cut_leaves_the_unpacking_to_others() -> None:
    """Messages as they came, with whether they are packed; ``unpack`` does the rest."""
    messages = Messages(MOST, b"gzip")
    first, second = messages.cut(framed(b"a") + packed(b"b" * 99, b"gzip"))
    assert first == (b"a", False)
    assert second.packed
    assert messages.unpack(second.body) == b"b" * 99


def test_packing_that_does_not_pay_is_left_out() -> None:
    """What is shorter unpacked is sent so, and so is everything without a coding."""
    assert packed(b"a", b"gzip") == framed(b"a")
    assert packed(b"a" * 99, b"identity") == framed(b"a" * 99)
    assert packed(b"a" * 99, b"deflate")[0] == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"2H", 7200),
        (b"3M", 180),
        (b"5S", 5),
        (b"250m", 0.25),
        (b"99999999u", 99.999999),
        (b"1n", 1e-9),
        (b"0S", 0),
        (b"00000001S", 1),
        (b"99999999H", 99999999 * 3600),
    ],
)
def test_a_timeout(value: bytes, seconds: float) -> None:
    """Every unit, and both ends of eight digits."""
    assert timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [b"", b"S", b"5", b"5s", b"123456789S", b"-1S", b"1.5S", b" 1S", b"1S\n", b"1S,1S", b"1 S",
     "\u0661S".encode(), b"9" * 9999],
)  # fmt: skip
def test_what_is_no_timeout(value: bytes) -> None:
    """Anything else is refused, with a short text."""
    with pytest.raises(MalformedRequest, match="no grpc-timeout") as told:
        timeout(value)
    assert len(told.value.text) < 300


@given(st.text())
def test_a_text_is_percent_encoded(text: str) -> None:
    """Only printable ASCII is sent, and a client that decodes it reads the text."""
    sent = percent(text)
    assert all(0x20 <= byte <= 0x7E for byte in sent)
    assert sent == sent.strip()
    assert unquote_to_bytes(sent) == text.encode("utf-8", "replace")


def test_what_of_a_text_is_encoded() -> None:
    """From space to tilde, all but the percent sign stand for themselves."""
    printable = "".join(map(chr, range(0x20, 0x7F)))
    assert percent(f"a{printable}b") == f"a{printable}b".replace("%", "%25").encode()
    assert percent("  a b  ") == b"%20 a b %20"  # RFC 9113, 8.2.1: no value begins or ends so
    assert percent("a\nb\x7f\u00e9\0") == b"a%0Ab%7F%C3%A9%00"
    assert percent("half of a pair: \ud800") == b"half of a pair: ?"


@settings(max_examples=30)
@given(st.integers(0, 12), st.sampled_from(["a", "%", " ", "\u00e9", "\u20ac", "\U0001f600"]))
def test_a_long_text_is_cut_between_characters(shift: int, char: str) -> None:
    """What is sent of it is of bounded size, ends in dots, and is whole characters."""
    text = "x" * shift + char * 9999
    sent = percent(text)
    assert grpc.MESSAGE_BYTES - 16 < len(sent) <= grpc.MESSAGE_BYTES
    assert sent.endswith(b"...")
    assert text.startswith(unquote_to_bytes(sent[:-3]).decode())


def test_a_text_of_just_the_size_is_whole() -> None:
    """Only what is longer is cut."""
    assert percent("x" * grpc.MESSAGE_BYTES) == b"x" * grpc.MESSAGE_BYTES
    assert percent("x" * (grpc.MESSAGE_BYTES + 1)).endswith(b"xxx...")
