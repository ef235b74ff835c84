"""Reads HTTP/1.1 answers, strictly: what no client should have to guess is an error."""

import re
from typing import NamedTuple


class Malformed(Exception):
    """These bytes are no answer."""


class Answer(NamedTuple):
    """One answer."""

    version: str
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of a header; None where it is absent."""
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            raise Malformed(f"{name} was sent {len(values)} times")
        return values[0] if values else None


class Cut(NamedTuple):
    """Where one answer ends in the bytes that were received."""

    answer: Answer
    end: int


STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) (\d{3}) ([\t -~]*)")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)")
BODILESS = (204, 304)


def read_answer(data: bytes, at: int, method: str, *, ended: bool) -> Cut | None:
    """The answer that starts at *at*, to a request by *method*; None where it is not whole yet.

    *ended* says that no more bytes will come. Raises Malformed.
    """
    blank = data.find(b"\r\n\r\n", at)
    if blank < 0:
        if len(data) - at > 65536:
            raise Malformed("a head without an end")
        return None
    status_line, *lines = data[at:blank].split(b"\r\n")
    version, status, reason = _status(status_line)
    headers = tuple(_field(line) for line in lines)
    answer = Answer(version, status, reason, headers, b"")
    start = blank + 4
    if method == "HEAD" or status in BODILESS or status < 200:
        return Cut(answer, start)
    found = _body(data, start, answer, ended=ended)
    return Cut(answer._replace(body=found[0]), found[1]) if found else None


def _body(data: bytes, start: int, answer: Answer, *, ended: bool) -> tuple[bytes, int] | None:
    length, coding = answer.header("content-length"), answer.header("transfer-encoding")
    if length is not None and coding is not None:
        raise Malformed("both content-length and transfer-encoding")
    if coding is not None:
        if coding != "chunked":
            raise Malformed(f"transfer-encoding {coding}")
        return _chunked(data, start)
    if length is None:
        return (data[start:], len(data)) if ended else None
    if not length.isdigit():
        raise Malformed(f"content-length {length}")
    end = start + int(length)
    return (data[start:end], end) if len(data) >= end else None


def _status(line: bytes) -> tuple[str, int, str]:
    found = STATUS_LINE.fullmatch(line)
    if not found:
        raise Malformed(f"status line {line[:200]!r}")
    return found[1].decode(), int(found[2]), found[3].decode()


def _field(line: bytes) -> tuple[str, str]:
    found = FIELD.fullmatch(line)
    if not found:
        raise Malformed(f"header {line[:200]!r}")
    return found[1].decode().lower(), found[2].decode("latin-1").strip()


def _chunked(data: bytes, at: int) -> tuple[bytes, int] | None:
    parts = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(data[at:end], 16)
        except ValueError:
            raise Malformed(f"chunk size {data[at:end][:50]!r}") from None
        at = end + 2
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise Malformed("a chunk that does not end with CRLF")
        parts.append(data[at : at + size])
        at += size + 2
        if size == 0:
            return b"".join(parts), at
