"""Spoils requests: small, blind changes to their bytes, and telling ones to their tokens."""

import random
import re
from collections.abc import Callable

Mutation = Callable[[random.Random, bytes], bytes]

TOKEN = re.compile(rb'-?\d[\d.eE+-]*|"[^"]*"|true|false|null|[\[\]{},:]')
NUMBER = re.compile(rb"-?\d[\d.eE+-]*")
SHORT_NUMBERS = (
    b"0 -0 -1 1e400 -1e400 1e-400 1e308 1.7976931348623157e309 3.5e38 NaN Infinity -Infinity nan"
    b" inf 9223372036854775807 9223372036854775808 -9223372036854775809 18446744073709551616 256"
    b' -129 4294967296 0.1 1E5 01 1. .5 +1 0x10 1e 2147483648 65536 1e9999999999 null true "1"'
).split()
NUMBERS = (*SHORT_NUMBERS, b"1" * 400, b"9" * 5000, b"0." + b"3" * 2000)
WORDS = (
    b"features inputs outputs name shape datatype data parameters id binary_data_size"
    b" shared_memory_region FP32 INT64 BYTES BOOL UINT8 FP64 linear words mixed cube prediction"
    b" instances signature_name serving_default examples context b64 dataframe_split columns index"
    b" dataframe_records params classification binary_data_output NaN Infinity"
).split()
BROKEN_TEXT = (
    b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\x00",
    b"\\ud800", b"\\u0000", b"\\udc00\\ud800", b"\\x", b"\\", b'"', b"\xe2\x80\xa8", b"\x7f", b"\n",
)  # fmt: skip
DEPTH = 3000


def flip(rng: random.Random, data: bytes) -> bytes:
    """One bit another way."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """One byte by any other."""
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def truncate(rng: random.Random, data: bytes) -> bytes:
    """The beginning alone."""
    return data[: rng.randrange(len(data))]


def cut_out(rng: random.Random, data: bytes) -> bytes:
    """All but a piece."""
    start, size = rng.randrange(len(data)), rng.randrange(1, 20)
    return data[:start] + data[start + size :]


def duplicate(rng: random.Random, data: bytes) -> bytes:
    """A piece several times."""
    start, size = rng.randrange(len(data)), rng.randrange(1, 40)
    piece = data[start : start + size]
    return data[:start] + piece * rng.choice((2, 2, 3, 50)) + data[start + size :]


def swap_tokens(rng: random.Random, data: bytes) -> bytes:
    """Two tokens in each other's place."""
    found = list(TOKEN.finditer(data))
    if len(found) < 2:
        return flip(rng, data)
    first, second = sorted(rng.sample(found, 2), key=lambda token: token.start())
    between = data[first.end() : second.start()]
    return data[: first.start()] + second[0] + between + first[0] + data[second.end() :]


def replace_token(rng: random.Random, data: bytes) -> bytes:
    """A token by one of another kind."""
    return _put(rng, data, TOKEN, rng.choice((*NUMBERS, b"[]", b"{}", b"null", b'""', b"[", b"}")))


def extreme_number(rng: random.Random, data: bytes) -> bytes:
    """A number by one at an edge, or by none at all."""
    return _put(rng, data, NUMBER, rng.choice(NUMBERS))


def insert_word(rng: random.Random, data: bytes) -> bytes:
    """A word of the protocols where it may not belong."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(WORDS) + data[at:]


def rename(rng: random.Random, data: bytes) -> bytes:
    """One word of the protocols by another."""
    old = rng.choice(WORDS)
    return data.replace(old, rng.choice(WORDS), rng.choice((1, -1)))


def nest(rng: random.Random, data: bytes) -> bytes:
    """A token many brackets deep."""
    depth = rng.choice((1, 2, 5, 100, DEPTH))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")))
    found = list(TOKEN.finditer(data))
    if not found:
        return opening * depth
    token = rng.choice(found)
    middle = opening * depth + token[0] + closing * depth
    return data[: token.start()] + middle + data[token.end() :]


def break_text(rng: random.Random, data: bytes) -> bytes:
    """What is no UTF-8, or no JSON string, in between."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(BROKEN_TEXT) + data[at:]


def lengthen(rng: random.Random, data: bytes) -> bytes:
    """A list with many more elements."""
    found = list(re.finditer(rb"\d,", data))
    if not found:
        return duplicate(rng, data)
    at = rng.choice(found).end()
    return data[:at] + b"1," * rng.choice((1, 10, 1000)) + data[at:]


def _put(rng: random.Random, data: bytes, pattern: re.Pattern[bytes], new: bytes) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data + new
    token = rng.choice(found)
    return data[: token.start()] + new + data[token.end() :]


BLIND: tuple[Mutation, ...] = (flip, overwrite, truncate, cut_out, duplicate)
TELLING: tuple[Mutation, ...] = (
    swap_tokens, replace_token, replace_token, extreme_number, extreme_number, insert_word, rename,
    nest, break_text, lengthen,
)  # fmt: skip


def mutate_body(rng: random.Random, body: bytes) -> bytes:
    """*body* with a few changes, mostly telling ones; sometimes with none."""
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3))):
        if body:
            body = rng.choice(TELLING if rng.random() < 0.7 else BLIND)(rng, body)
    return body


def mutate_blindly(rng: random.Random, data: bytes) -> bytes:
    """*data* with a few changes that know nothing of it; mostly with none."""
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        if data:
            data = rng.choice(BLIND)(rng, data)
    return data


LINES = (
    b"content-length: 5", b"content-length: -1", b"content-length: 99999999999999999999",
    b"content-length: 0x5", b"transfer-encoding: chunked", b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: xchunked", b"connection: close", b"connection: keep-alive",
    b"connection: upgrade", b"upgrade: h2c", b"upgrade: websocket", b"expect: 100-continue",
    b"expect: something", b"content-encoding: br", b"host: other", b"x: " + b"y" * 70_000,
    b" folded", b"no colon", b": no name", b"na me: x", b"x:\x00", b"x: \xff", b"x: a\rb",
    b"x\t: y",
    b"content-length : 5", b"inference-header-content-length: abc",
    b"content-length: 5\r\ntransfer-encoding: chunked", b"content-encoding: gzip",
    b"content-encoding: deflate, br", b"accept-encoding: " + b"gzip," * 5000,
    b"sec-websocket-key: x\r\nconnection: upgrade\r\nupgrade: websocket",
)  # fmt: skip
STARTS = (
    b"GET /health HTTP/1.0", b"POST /predict HTTP/1.0", b"GET http://x/health HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"CONNECT x:1 HTTP/1.1", b"GET /health", b"PRI * HTTP/2.0",
    b"GET /\xff\xfe HTTP/1.1", b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"get /health HTTP/1.1",
    b"GET /health HTTP/2", b"GET  /health  HTTP/1.1", b"\x16\x03\x01\x02\x00",
    b"M-SEARCH * HTTP/1.1",
    b"GET http:///health HTTP/1.1", b"GET https://u:p@x:99999/health?a#b HTTP/1.1",
    b"POST /v1/models/linear:predict:predict HTTP/1.1", b"POST /v2/models//infer HTTP/1.1",
    b"GET /v1/stream/linear HTTP/1.1", b"POST /v1/models/%2f%3a:predict HTTP/1.1",
    b"GET /%zz HTTP/1.1", b"POST /v1/predict/%ff HTTP/1.1", b"SOURCE / ICE/1.0", b"",
)  # fmt: skip
BREAKS = (b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b"\n\n", b"\x00", b"")


def mutate_head(rng: random.Random, request: bytes) -> bytes:
    """*request* with its head spoilt, so that nothing is known of where it ends."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        head, blank, body = request.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        match rng.randrange(6):
            case 0:
                lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(LINES))
            case 1:
                lines[0] = rng.choice(STARTS)
            case 2:
                del lines[rng.randrange(len(lines))]
            case 3 if head:
                lines = [rng.choice(BLIND)(rng, head)]
            case 4:
                at = rng.randrange(len(lines))
                lines[at] += rng.choice(BREAKS)
            case _ if body:
                body = rng.choice(BLIND)(rng, body)
        request = b"\r\n".join(lines) + blank + body
    return request
