"""The plain protocol by WebSocket: a handshake, then one document a message."""

import json

from hypothesis import strategies as st

from fuzz import frames
from fuzz.dialects.base import Dialect, Known
from fuzz.dialects.plain import ROW, SCORES, predictions
from fuzz.frames import BINARY, CLOSE, PING, PONG, TEXT, frame
from fuzz.material import MODELS, NAMES
from fuzz.request import Request

UPGRADE = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
ODD_FIELDS = (
    ("sec-websocket-version", "12"),
    ("sec-websocket-version", ""),
    ("sec-websocket-key", "short"),
    ("sec-websocket-key", ""),
    ("sec-websocket-protocol", "a, b"),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
    ("sec-websocket-extensions", "permessage-deflate;;=,"),
    ("upgrade", "WebSocket"),
    ("upgrade", "h2c, websocket"),
    ("connection", "keep-alive, upgrade"),
    ("origin", "http://elsewhere"),
    ("content-length", "0"),
)
CODES = st.integers(0, 5000) | st.sampled_from([1000, 1001, 1005, 1006, 1015, 65535])
CONTROLS = (
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=130))
    | st.builds(frames.close, CODES, st.binary(max_size=130))
    | st.builds(frame, st.just(CLOSE), st.binary(max_size=1))
    | st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=20),
        final=st.booleans(),
        rsv=st.integers(0, 7),
    )
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One document, in one frame or in pieces with control frames in between."""
    body = draw(predictions()).body or b""
    opcode = draw(st.sampled_from([TEXT, TEXT, BINARY]))
    pieces = draw(st.integers(1, 3))
    size = -(-len(body) // pieces) or 1
    parts = []
    for at in range(pieces):
        piece = body[at * size : (at + 1) * size]
        parts.append(frame(opcode if at == 0 else 0, piece, final=at == pieces - 1))
        if draw(st.integers(0, 9)) == 0:
            parts.append(draw(CONTROLS))
    return b"".join(parts)


@st.composite
def sessions(draw: st.DrawFn) -> Request:
    """A handshake and what follows it."""
    name = draw(st.sampled_from(sorted(MODELS)) | NAMES)
    target = draw(st.just(f"/v1/stream/{name}") | st.sampled_from(["/v1/stream", "/v1/stream/"]))
    fields = dict(UPGRADE)
    if draw(st.integers(0, 3)) == 0:
        key, value = draw(st.sampled_from(ODD_FIELDS))
        fields[key] = value
    if draw(st.integers(0, 9)) == 0:
        del fields[draw(st.sampled_from(sorted(fields)))]
    body = b"".join(draw(st.lists(messages() | messages() | CONTROLS, max_size=4)))
    ending = frames.close() if draw(st.integers(0, 3)) else b""
    clean = target.encode("ascii", "ignore").decode()
    return Request("GET", clean, tuple(fields.items()), after=body + ending)


def _known() -> Known:
    """Three messages, of which the second is in pieces, and a ping: each has its answer."""
    text = json.dumps(ROW).encode()
    sent = [
        frame(TEXT, text),
        frame(TEXT, text[:5], final=False),
        frame(PING, b"a ping"),
        frame(0, text[5:]),
        frame(BINARY, text),
        frames.close(),
    ]
    request = Request("GET", "/v1/stream/linear", UPGRADE, after=b"".join(sent))
    return Known(request, [SCORES] * 3, 101)


dialect = Dialect("websocket", sessions(), (_known(),), upgrades=True)
