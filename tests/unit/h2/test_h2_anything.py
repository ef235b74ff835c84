"""wire/h2: any bytes at all, and an independent client (the ``h2`` package), split anywhere."""

from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.connection import Connection
from inferd.wire.h2.headers import encode_fields
from inferd.wire.h2.streams import Stream
from tests.unit.h2.speaking import POST, START, Client, frame

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example here is a whole conversation: shrinking one would take minutes."""
SMALL = Limits(streams=4, header_bytes=2000, frame_bytes=16_384, window=65_535, resets=20)
FRAMES = st.builds(
    frame,
    st.integers(0, 11),
    st.one_of(st.sampled_from([0, 1, 4, 5, 8, 13, 32, 37]), st.integers(0, 255)),
    st.one_of(st.integers(0, 9), st.integers(0, 2**31 - 1)),
    st.one_of(
        st.just(POST),
        st.binary(max_size=40),
        st.sampled_from([bytes(8), b"\0\0\0\1", b"\0\x04\0\0\0\0", b"\0\4\0\1\0\0", bytes(9000)]),
    ),
)


class Replying(Client):
    """Answers each request with more than the first window holds."""

    def data(self, stream: Stream, data: bytes, ended: bool) -> None:
        self.connection.consumed(stream, len(data))
        if ended:
            self.connection.reply(stream, b"\x88", bytes(30_000), b"\x88")

    def request(self, stream: Stream, fields: list[tuple[bytes, bytes]], ended: bool) -> None:
        super().request(stream, fields, ended)
        if ended:
            self.data(stream, b"", True)


def hold_bounds(connection: Connection) -> None:
    assert connection.held_bytes <= SMALL.frame_bytes + 9 + SMALL.header_bytes
    assert len(connection.streams) <= SMALL.streams
    assert 0 <= connection.queued_bytes <= SMALL.streams * 30_000
    assert connection.queued_bytes == sum(
        stream.queue.size for stream in connection.streams.values() if stream.queue
    )
    assert len(connection._ready) <= len(connection.streams)
    assert connection.backlog < SMALL.backlog


@given(st.lists(st.one_of(FRAMES, st.binary(max_size=60)), max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_bytes_raise_nothing_and_what_is_held_is_bounded(pieces: list[bytes]) -> None:
    """After the preface, and before it."""
    for start in (START, b""):
        client = Replying(SMALL, start)
        for piece in pieces:
            client.connection.receive(piece)
            hold_bounds(client.connection)
            client.hears()
        client.connection.lost()
        assert client.connection.streams == {}
        assert client.connection.queued_bytes == 0


@given(st.lists(FRAMES, max_size=30), st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_frames_mean_the_same_however_they_are_split(pieces: list[bytes], size: int) -> None:
    """In one piece, or in many: the sink is told the same, and the peer hears the same."""
    data = START + b"".join(pieces)
    whole, split = Replying(SMALL, data), Replying(SMALL, b"")
    found = list(split.first)
    for at in range(0, len(data), size):
        found += split.says(data[at : at + size])
    assert found == whole.first
    assert split.told == whole.told


class Echo:
    """Answers with the request's body, in the way that its path asks for."""

    def __init__(self, limits: Limits) -> None:
        self.connection = Connection(self, limits, lambda: 0.0)
        self.bodies: dict[int, bytearray] = {}
        self.rest: dict[int, list[bytes]] = {}
        self.connection.start()

    def request(self, stream: Stream, fields: list[tuple[bytes, bytes]], ended: bool) -> None:
        stream.user = dict(fields)
        self.bodies[stream.id] = bytearray()
        if ended:
            self.data(stream, b"", True)

    def data(self, stream: Stream, data: bytes, ended: bool) -> None:
        body = self.bodies[stream.id]
        body += data
        self.connection.consumed(stream, len(data))
        if not ended:
            return
        head = encode_fields([(b":status", b"200"), (b"x-echo", stream.user[b"x"])])
        trailers = encode_fields([(b"grpc-status", b"0")])
        if stream.user[b":path"] == b"/whole":
            self.connection.reply(stream, head, bytes(body), trailers)
        else:
            self.connection.send_headers(stream, head)
            self.rest[stream.id] = [bytes(body[at : at + 5000]) for at in range(0, len(body), 5000)]
            self.room(stream)

    def room(self, stream: Stream) -> None:
        rest = self.rest[stream.id]
        while rest:
            if not self.connection.send_data(stream, rest.pop(0)):
                return
        if stream.state:
            self.connection.send_data(stream, b"", end=True)

    def cut(self, stream: Stream, code: int) -> None:
        raise AssertionError(code)


@dataclass
class Ask:
    path: str
    value: str
    size: int
    cut: int
    padding: int | None
    trailers: bool
    sent: int = 0
    heard: bytearray = field(default_factory=bytearray, repr=False)
    fields: dict[Any, Any] = field(default_factory=dict, repr=False)
    ended: bool = False

    @property
    def body(self) -> bytes:
        return (bytes(range(251)) * (self.size // 251 + 1))[: self.size]


ASKS = st.builds(
    Ask,
    st.sampled_from(["/whole", "/pieces"]),
    st.text("abcdefghij", max_size=40),
    st.integers(0, 40_000),
    st.integers(1, 20_000),
    st.one_of(st.none(), st.integers(0, 255)),
    st.booleans(),
)


class Asking:
    """The ``h2`` package's client, which sends as its windows allow."""

    def __init__(self, asks: list[Ask], window: int, frame_size: int, table: int) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.HEADER_TABLE_SIZE: table,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
                h2.settings.SettingCodes.MAX_FRAME_SIZE: frame_size,
            },
        )
        self.h2.max_inbound_frame_size = frame_size
        self.h2.decoder.max_allowed_table_size = table
        self.h2.initiate_connection()
        self.asks = {2 * at + 1: ask for at, ask in enumerate(asks)}
        for stream, ask in self.asks.items():
            fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", ask.path),
                (":authority", "x"),
                ("x", ask.value),
            ]
            self.h2.send_headers(stream, fields)

    def go_on(self) -> None:
        for stream, ask in self.asks.items():
            body, padding = ask.body, ask.padding
            while ask.sent < ask.size:
                most = self.h2.local_flow_control_window(stream) - (padding or 0) - 1
                size = min(ask.cut, most, self.h2.max_outbound_frame_size - 256)
                if size <= 0:
                    break
                self.h2.send_data(stream, body[ask.sent :][:size], pad_length=padding)
                ask.sent += size
            if ask.sent >= ask.size and not ask.ended:
                ask.ended = True
                if ask.trailers:
                    self.h2.send_headers(stream, [("t", "1")], end_stream=True)
                else:
                    self.h2.end_stream(stream)

    def hears(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                self.asks[event.stream_id].fields.update(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.asks[event.stream_id].heard += event.data
                size = event.flow_controlled_length
                if size:
                    self.h2.acknowledge_received_data(size, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.asks[event.stream_id].fields["ended"] = True
            else:
                assert not isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated)


@given(
    st.lists(ASKS, min_size=1, max_size=6),
    st.sampled_from([1, 7, 1000, 100_000]),
    st.sampled_from([1, 100, 65_535, 1_000_000]),
    st.sampled_from([16_384, 100_000]),
    st.sampled_from([0, 100, 4096, 100_000]),
)
@settings(max_examples=40, deadline=None, phases=NO_SHRINKING)
def test_another_implementations_client_is_answered(
    asks: list[Ask], size: int, window: int, frame_size: int, table: int
) -> None:
    """Bodies, padding and trailers of any size, up and down, through any windows; in any pieces,
    and whatever the other settings are."""
    most = 500 if size < 1000 else min(40_000, 10 * window)
    for ask in asks:
        ask.size = min(ask.size, most)
        ask.cut = max(ask.cut, ask.size // 20)
    limits = Limits(window=65_535, connection_window=70_000, control_frames=100_000)  # window 1
    server = Echo(limits)
    client = Asking(asks, window, frame_size, table)
    while True:
        client.go_on()
        sent = client.h2.data_to_send()
        for at in range(0, len(sent), size):
            server.connection.receive(sent[at : at + size])
        assert not server.connection.ended, server.connection.fault
        if not server.connection.has_output:
            break
        out = server.connection.take()
        client.hears(out if isinstance(out, bytes) else b"".join(out))
    for ask in asks:
        assert ask.heard == ask.body
        assert ask.fields[b":status"] == b"200"
        assert ask.fields[b"x-echo"] == ask.value.encode()
        assert ask.fields["ended"]
    assert server.connection.completed == len(asks)
    assert server.connection.streams == {}
    assert server.connection.queued_bytes == 0
