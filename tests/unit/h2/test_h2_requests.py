"""wire/h2: what makes a request valid (RFC 9113, section 8)."""

import pytest

from inferd.wire.h2.budgets import Limits
from tests.unit.h2.speaking import (
    DATA,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FIELDS,
    PROTOCOL_ERROR,
    Client,
    field_of,
    frame,
    request,
)

METHOD, SCHEME, PATH = (field_of(*field) for field in FIELDS)


def block(*fields: tuple[bytes, bytes]) -> bytes:
    return METHOD + SCHEME + PATH + b"".join(field_of(*field) for field in fields)


VALID = {
    "authority": ((b":authority", b"localhost:8001"),),
    "authority and host": ((b":authority", b"Localhost"), (b"host", b"localhost")),
    "host alone": ((b"host", b"localhost"),),
    "te": ((b"te", b"trailers"), (b"te", b"Trailers")),
    "empty value": ((b"x", b""),),
    "binary metadata": ((b"trace-bin", b"AAA="), (b"trace-bin", b"AAA=")),
    "odd characters": ((b"x!#$%&'*+.^_`|~1", b"\x01 \t\xff"),),
    "length": ((b"content-length", b"0"),),
}


@pytest.mark.parametrize("name", list(VALID))
def test_valid_requests_are_told(name: str) -> None:
    """8.2 and 8.3: every field comes as it was sent, in its order; the second time as the first."""
    client = Client()
    client.says(request(1, block=block(*VALID[name])), request(3, block=block(*VALID[name])))
    fields = [*FIELDS, *VALID[name]]
    assert client.told == [("request", 1, fields, True), ("request", 3, fields, True)]


MALFORMED = {
    "8.2.1 upper case": block((b"X", b"y")),
    "8.2.1 space in a name": block((b"x y", b"y")),
    "8.2.1 control in a name": block((b"x\x7f", b"y")),
    "8.2.1 high byte in a name": block((b"x\xe4", b"y")),
    "8.2.1 colon in a name": block((b"x:", b"y")),
    "8.2.1 empty name": block((b"", b"y")),
    "8.2.1 CR": block((b"x", b"a\rb")),
    "8.2.1 LF": block((b"x", b"a\nb")),
    "8.2.1 NUL": block((b"x", b"a\0b")),
    "8.2.1 space before": block((b"x", b" a")),
    "8.2.1 tab behind": block((b"x", b"a\t")),
    "8.2.2 connection": block((b"connection", b"close")),
    "8.2.2 proxy-connection": block((b"proxy-connection", b"close")),
    "8.2.2 keep-alive": block((b"keep-alive", b"1")),
    "8.2.2 transfer-encoding": block((b"transfer-encoding", b"chunked")),
    "8.2.2 upgrade": block((b"upgrade", b"h2c")),
    "8.2.2 te": block((b"te", b"trailers, deflate")),
    "8.3 unknown": METHOD + SCHEME + PATH + field_of(b":protocol", b"x"),
    "8.3 of an answer": METHOD + SCHEME + PATH + b"\x88",
    "8.3 behind a field": METHOD + SCHEME + field_of(b"x", b"y") + PATH,
    "8.3.1 no method": SCHEME + PATH,
    "8.3.1 no scheme": METHOD + PATH,
    "8.3.1 no path": METHOD + SCHEME,
    "8.3.1 two methods": METHOD + METHOD + SCHEME + PATH,
    "8.3.1 two schemes": METHOD + SCHEME + SCHEME + PATH,
    "8.3.1 two paths": METHOD + SCHEME + PATH + PATH,
    "8.3.1 two authorities": block((b":authority", b"a"), (b":authority", b"a")),
    "8.3.1 empty path": METHOD + SCHEME + field_of(b":path", b""),
    "8.3.1 path without a slash": METHOD + SCHEME + field_of(b":path", b"a.B/C"),
    "8.3.1 asterisk": METHOD + SCHEME + field_of(b":path", b"*"),
    "8.3.1 space in a path": METHOD + SCHEME + field_of(b":path", b"/a b"),
    "8.3.1 LF in a method": field_of(b":method", b"GET\n") + SCHEME + PATH,
    "8.3.1 user in the authority": block((b":authority", b"me@localhost")),
    "8.3.1 host is another": block((b":authority", b"a"), (b"host", b"b")),
    "8.5 connect": field_of(b":method", b"CONNECT") + field_of(b":authority", b"a:1"),
    "8.5 connect with all": field_of(b":method", b"CONNECT") + SCHEME + PATH,
    "two hosts": block((b"host", b"a"), (b"host", b"a")),
    "8.1.1 length of no body": block((b"content-length", b"1")),
    "8.1.1 length is no number": block((b"content-length", b"-1")),
    "8.1.1 length is too large": block((b"content-length", b"1" * 19)),
    "8.1.1 two lengths": block((b"content-length", b"0"), (b"content-length", b"0")),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", list(MALFORMED))
def test_malformed_requests_are_a_stream_error(name: str) -> None:
    """8.1.1: PROTOCOL_ERROR of the stream, and nobody is told; each time, remembered or not."""
    client = Client()
    for stream in (1, 3):
        client.breaks(stream, PROTOCOL_ERROR, request(stream, block=MALFORMED[name]))
    assert client.told == []


def test_asking_for_options_of_the_server_is_valid() -> None:
    """8.3.1: OPTIONS has an asterisk for its path."""
    client = Client()
    method, path = field_of(b":method", b"OPTIONS"), field_of(b":path", b"*")
    client.says(request(1, block=method + SCHEME + path))
    assert client.told[0][0] == "request"


def test_what_was_valid_once_does_not_hide_a_fault() -> None:
    """Fields that are remembered as valid still end the pseudo-headers."""
    client = Client()
    client.says(request(1, block=block((b"x", b"y"))))
    late = METHOD + SCHEME + field_of(b"x", b"y") + PATH
    client.breaks(3, PROTOCOL_ERROR, request(3, block=late))


@pytest.mark.parametrize("pieces", [(b"12345",), (b"12", b"345"), (b"12345", b""), (b"", b"12345")])
def test_a_body_as_long_as_content_length_says_is_told(pieces: tuple[bytes, ...]) -> None:
    """8.1.1: in any number of frames; the last may be empty."""
    client = Client()
    client.says(request(1, end=False, block=block((b"content-length", b"5"))))
    for piece in pieces[:-1]:
        client.says(frame(DATA, 0, 1, piece))
    client.says(frame(DATA, END_STREAM, 1, pieces[-1]))
    assert b"".join(told[2] for told in client.told[1:]) == b"12345"
    assert client.told[-1][3] is True


@pytest.mark.parametrize(
    "frames",
    [
        frame(DATA, END_STREAM, 1, b"1234"),
        frame(DATA, END_STREAM, 1, b"123456"),
        frame(DATA, 0, 1, b"123456"),
        frame(DATA, 0, 1, b"12345") + frame(DATA, END_STREAM, 1, b"6"),
        frame(DATA, 0, 1, b"12345") + frame(DATA, 0, 1, b"6"),
        frame(DATA, 0, 1, b"1234") + request(1, block=field_of(b"x", b"y")),
    ],
)
def test_a_body_of_another_length_is_malformed(frames: bytes) -> None:
    """8.1.1: less or more data than content-length says is a stream error PROTOCOL_ERROR."""
    client = Client()
    client.says(request(1, end=False, block=block((b"content-length", b"5"))))
    client.breaks(1, PROTOCOL_ERROR, frames)
    assert client.told[-1] == ("cut", 1, PROTOCOL_ERROR)


def test_trailers_end_the_request() -> None:
    """8.1: they are told as the end of its data, and dropped."""
    client = Client()
    client.says(request(1, end=False), frame(DATA, 0, 1, b"body"))
    client.says(request(1, block=field_of(b"x", b"y")))
    assert client.told[1:] == [("data", 1, b"body", False), ("data", 1, b"", True)]


def test_trailers_after_a_body_as_long_as_content_length_says_end_the_request() -> None:
    """8.1.1: nothing is missing."""
    client = Client()
    client.says(request(1, end=False, block=block((b"content-length", b"4"))))
    client.says(frame(DATA, 0, 1, b"body"), request(1, block=field_of(b"x", b"y")))
    assert client.told[1:] == [("data", 1, b"body", False), ("data", 1, b"", True)]


@pytest.mark.parametrize(
    "trailers",
    [
        request(1, end=False, block=field_of(b"x", b"y")),
        request(1, block=PATH),
        request(1, block=field_of(b"X", b"y")),
        request(1, block=field_of(b"connection", b"close")),
    ],
)
def test_trailers_that_are_malformed_are_a_stream_error(trailers: bytes) -> None:
    """8.1: they end the stream, and have no pseudo-headers; PROTOCOL_ERROR."""
    client = Client()
    client.says(request(1, end=False))
    client.breaks(1, PROTOCOL_ERROR, trailers)
    assert client.told[1:] == [("cut", 1, PROTOCOL_ERROR)]


def test_a_header_list_larger_than_is_taken_refuses_its_stream_alone() -> None:
    """10.5.1: ENHANCE_YOUR_CALM, of trailers as well; the table is up to date for the next."""
    client = Client(Limits(header_bytes=400))
    bomb = b"\x40\x01x\x40" + b"y" * 64 + b"\xbe" * 100
    assert len(bomb) < 400
    client.breaks(1, ENHANCE_YOUR_CALM, request(1, block=METHOD + SCHEME + PATH + bomb))
    client.says(request(3, end=False, block=METHOD + SCHEME + PATH + b"\xbe"))
    assert client.told == [("request", 3, [*FIELDS, (b"x", b"y" * 64)], False)]
    client.breaks(3, ENHANCE_YOUR_CALM, request(3, block=b"\xbe" * 100))
