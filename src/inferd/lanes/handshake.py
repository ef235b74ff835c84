"""Whether a request may become a WebSocket, and how it is answered: RFC 6455, section 4.2."""

import base64
import hashlib
from binascii import Error as NotBase64
from collections.abc import Sequence
from typing import NamedTuple

from inferd.errors import InferdError, MalformedRequest, NotReady, RequestError
from inferd.lanes.request_ids import request_id_field
from inferd.lanes.routing import Match
from inferd.lanes.service import Service
from inferd.lanes.turn import error_answer
from inferd.protocols.base import Message

Fields = Sequence[tuple[bytes, bytes]]

VERSION = b"13"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3: no other protocol answers with it
PORTS = {b"http": b":80", b"https": b":443"}  # a URL may say them or not


class Shaken(NamedTuple):
    """How an opening handshake ended."""

    answer: bytes
    """The whole head, and the body of a refusal."""
    message: Message | None
    """What all messages of the connection have in common; None where it was refused."""


class Refusal(NamedTuple):
    """Why a handshake failed."""

    status: bytes
    text: str
    got: bytes = b""
    expected: str = ""
    field: bytes = b""


def shake(service: Service, match: Match, fields: Fields) -> Shaken:
    """Answer the opening handshake with these headers, whose names are in lower case."""
    message = Message(b"", match.path, dict(fields), match.query)
    try:
        message.principal = service.door(message.headers)
        if service.parting:
            raise NotReady("the server is stopping")
    except InferdError as error:
        head, body = error_answer(match.dialect, error, message, message.headers, service)
        return Shaken(head + b"connection: close\r\n\r\n" + body, None)
    refusal = refuse(fields)
    if refusal is not None:
        return Shaken(_refused(service, match, message, refusal), None)
    (key,) = _values(fields, b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    return Shaken(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %b\r\n%b\r\n" % (accept, request_id_field(message.headers)),
        message,
    )


def refuse(fields: Fields) -> Refusal | None:  # noqa: PLR0911 - a list of faults
    """What is wrong with an opening handshake with these headers; None: nothing."""
    hosts = _values(fields, b"host")
    if len(hosts) != 1:
        return _bad("a request names its host once")
    if b"websocket" not in _tokens(fields, b"upgrade"):
        return _bad("the header 'Upgrade' must be 'websocket'")
    if b"upgrade" not in _tokens(fields, b"connection"):
        return _bad("the header 'Connection' must hold 'Upgrade'")
    if _values(fields, b"transfer-encoding") or set(_values(fields, b"content-length")) - {b"0"}:
        return _bad("an opening handshake has no body")  # it would be read as frames
    versions = _values(fields, b"sec-websocket-version")
    if not versions:
        return _bad("the header 'Sec-WebSocket-Version' is missing")
    if versions != [VERSION]:  # section 4.4
        field = b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        text = "this version of the WebSocket protocol is not spoken"
        return Refusal(b"426 Upgrade Required", text, b", ".join(versions), "13", field)
    if not _is_key(_values(fields, b"sec-websocket-key")):
        return _bad("the header 'Sec-WebSocket-Key' must be 16 bytes in base64, once")
    return _foreign(_values(fields, b"origin"), hosts[0])


def _foreign(origins: Sequence[bytes], host: bytes) -> Refusal | None:
    """Keep pages of other origins out (section 10.2): a browser lets every page open a WebSocket to
    anywhere, with the user's network and cookies. Who sends no Origin is no browser."""
    if all(_is_same(origin.lower(), host.lower()) for origin in origins):
        return None
    return Refusal(
        b"403 Forbidden",
        "a page of another origin may not connect",
        b", ".join(origins),
        f"the host {host.decode('latin-1')}",
    )


def _is_same(origin: bytes, host: bytes) -> bool:
    scheme, _, place = origin.partition(b"://")
    port = PORTS.get(scheme, b"")
    return bool(place) and place.removesuffix(port) == host.removesuffix(port)


def _is_key(keys: Sequence[bytes]) -> bool:
    try:
        return len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16
    except NotBase64:
        return False


def _bad(text: str) -> Refusal:
    return Refusal(b"400 Bad Request", f"this opens no WebSocket: {text}")


def _refused(service: Service, match: Match, message: Message, refusal: Refusal) -> bytes:
    kind = MalformedRequest if refusal.status.startswith(b"400") else RequestError
    got = repr(refusal.got[:100].decode("latin-1")) if refusal.got else ""
    error = kind(refusal.text, got=got, expected=refusal.expected[:100])
    payload = match.dialect.encode_error(error, message)
    return (
        b"HTTP/1.1 %b\r\n%bcontent-type: %b\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (
            refusal.status,
            service.date,
            payload.content_type,
            refusal.field,
            len(payload.body),
            payload.body,
        )
    )


def _values(fields: Fields, name: bytes) -> list[bytes]:
    return [value.strip() for each, value in fields if each == name]


def _tokens(fields: Fields, name: bytes) -> set[bytes]:
    """The elements of a list, which may be told in several fields (RFC 9110, section 5.3)."""
    listed = b",".join(_values(fields, name))
    return {token.strip().lower() for token in listed.split(b",")}
