"""How requests are told apart and read: RFC 9112, sections 2 to 7."""

import pytest

from inferd.server.embedded import Server
from tests.conftest import ROW
from tests.lanes.client import document, predict, request
from tests.lanes.conftest import Connect

BODY = b'{"features":[5.1,3.5,1.4,0.2]}'
CHUNKED = "transfer-encoding: chunked\r\n"


def test_2_1_message_format_one_byte_at_a_time(server: Server, connect: Connect) -> None:
    """A request that arrives byte by byte is the same request."""
    client = connect(server.url)
    for at in range(len(data := predict(ROW))):
        client.send(data[at : at + 1])
    assert document(client.answer())["prediction"] == 0


def test_2_2_empty_line_before_the_request_line(server: Server, connect: Connect) -> None:
    """An empty line before a request line is ignored, as old clients send one after a body."""
    client = connect(server.url).send(b"\r\n" + predict(ROW))
    assert client.answer().status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the start of a TLS handshake
        b"GET /health HTTP/1.1\r\nbad header line\r\n\r\n",
        b"GET /health HTTP/1.1\r\n: no name\r\n\r\n",
        b"GET /health HTTP/1.1\r\nna me: x\r\n\r\n",
    ],
)
def test_3_request_line_and_5_fields_malformed(
    server: Server, connect: Connect, data: bytes
) -> None:
    """What is not HTTP is answered with 400 and an end of the connection."""
    client = connect(server.url).send(data)
    answer = client.answer()
    assert (answer.status, answer.header("connection")) == (400, "close")
    assert "error" in document(answer)
    assert client.is_closed()


def test_3_2_2_absolute_form(server: Server, connect: Connect) -> None:
    """A server must accept the absolute form of a target, which clients of proxies send."""
    client = connect(server.url)
    assert client.send(request("GET", "http://example.org/health")).answer().status == 200
    assert client.send(request("GET", "http://example.org/docs")).answer().status == 200


@pytest.mark.parametrize("target", ["*", "example.org:443"])
def test_3_2_3_other_forms_end_or_answer(server: Server, connect: Connect, target: str) -> None:
    """The asterisk and authority forms, which mean nothing here, are told so at once."""
    method = "OPTIONS" if target == "*" else "CONNECT"
    answer = connect(server.url).send(request(method, target)).answer()
    assert 400 <= answer.status < 500


def test_5_1_field_names_in_any_case(server: Server, connect: Connect) -> None:
    """Header names mean the same in capitals."""
    data = b"POST /predict HTTP/1.1\r\nHOST: x\r\nCONTENT-LENGTH: %d\r\n\r\n" % len(BODY)
    assert connect(server.url).send(data + BODY).answer().status == 200


def test_6_1_chunked_and_content_length_together(server: Server, connect: Connect) -> None:
    """A message with both is how requests are smuggled: it is refused, and all after it."""
    data = request("POST", "/predict", b"0\r\n\r\n", CHUNKED)
    client = connect(server.url).send(data + request("GET", "/health"))
    assert client.answer().status == 400
    assert client.is_closed()


@pytest.mark.parametrize(
    "lines",
    [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 5, 5\r\n",
        "content-length: five\r\n",
        "content-length: 99999999999999999999999\r\n",
    ],
)
def test_6_2_content_length_invalid(server: Server, connect: Connect, lines: str) -> None:
    """A length that is no length is refused."""
    client = connect(server.url).send(request("POST", "/predict", headers=lines) + b"{}   ")
    assert client.answer().status in (400, 413)
    assert client.is_closed()


def test_6_3_body_of_a_get_is_read_over(server: Server, connect: Connect) -> None:
    """A GET with a body is answered, and its body is not taken for the next request."""
    client = connect(server.url).send(request("GET", "/health", b"GET /nothing HTTP/1.1\r\n\r\n"))
    assert client.answer().status == 200
    assert client.lives()


def test_7_1_chunked_bodies(server: Server, connect: Connect) -> None:
    """A body in chunks, of any sizes and with extensions, is the body."""
    head = request("POST", "/predict", headers=CHUNKED)
    one_each = b"".join(b"1\r\n%b\r\n" % BODY[at : at + 1] for at in range(len(BODY)))
    extended = b"%x;name=value\r\n%b\r\n" % (len(BODY), BODY)
    client = connect(server.url)
    for chunks in (one_each, extended):
        assert document(client.send(head + chunks + b"0\r\n\r\n").answer())["prediction"] == 0


def test_7_1_2_trailers_are_ignored(server: Server, connect: Connect) -> None:
    """Fields after the last chunk are no headers: one that would change the meaning does not."""
    chunk = b"%x\r\n%b\r\n" % (len(BODY), BODY)
    trailers = b"0\r\ncontent-encoding: gzip\r\nexpect: 100-continue\r\n\r\n"
    client = connect(server.url)
    client.send(request("POST", "/predict", headers=CHUNKED) + chunk + trailers)
    assert client.answer().status == 200
    assert client.lives()


def test_7_1_chunk_size_invalid(server: Server, connect: Connect) -> None:
    """A chunk size that is no number is refused."""
    client = connect(server.url)
    client.send(request("POST", "/predict", headers=CHUNKED) + b"zz\r\n{}\r\n0\r\n\r\n")
    assert client.answer().status == 400
    assert client.is_closed()
