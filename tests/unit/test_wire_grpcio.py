"""wire/grpc against gRPC's own library: its client is read, and reads what is sent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from inferd.wire.grpc import CODING_NAMES, Messages, packed, percent, timeout

grpc = pytest.importorskip("grpc", reason="needs grpcio")
h2_connection = pytest.importorskip("h2.connection", reason="needs h2")

TEXT = "50% of \u00e9 \u20ac\n\U0001f600 ~"
SENT = [b"", b"a" * 3000, bytes(range(256)), b"b" * 50_000, b""]
FRAME = 1000  # bytes of DATA in a frame
CODINGS = {"identity": 0, "deflate": 1, "gzip": 2}


class Peer:
    """A server of one connection, by another HTTP/2: answers each stream with the messages that
    came on it, in the same coding. ``/Fail`` ends with the error TEXT."""

    def __init__(self) -> None:
        from h2.config import H2Configuration

        self._h2 = h2_connection.H2Connection(
            H2Configuration(client_side=False, header_encoding=None)
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port: int = self._listener.getsockname()[1]
        self.head: dict[bytes, bytes] = {}
        """What the newest stream began with."""
        self._messages: dict[int, Messages] = {}
        self._got: dict[int, list[bytes]] = {}
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """After the client has gone."""
        self._thread.join(10)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        with self._listener.accept()[0] as connected:
            self._h2.initiate_connection()
            connected.sendall(self._h2.data_to_send())
            while data := connected.recv(1 << 16):
                for event in self._h2.receive_data(data):
                    self._on(event)
                connected.sendall(self._h2.data_to_send())

    def _on(self, event: Any) -> None:
        from h2 import events

        if isinstance(event, events.RequestReceived):
            self.head = dict(event.headers)
            coding = self.head.get(b"grpc-encoding", b"identity")
            self._messages[event.stream_id], self._got[event.stream_id] = (
                Messages(1 << 20, coding),
                [],
            )
        elif isinstance(event, events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._got[event.stream_id] += self._messages[event.stream_id].feed(event.data)
        elif isinstance(event, events.StreamEnded):
            self._messages.pop(event.stream_id).end()
            self._answer(event.stream_id, self._got.pop(event.stream_id))

    def _answer(self, stream: int, messages: list[bytes]) -> None:
        coding = self.head.get(b"grpc-encoding", b"identity")
        told = [(b":status", b"200"), (b"content-type", b"application/grpc")]
        self._h2.send_headers(stream, [*told, (b"grpc-encoding", coding)])
        data = b"".join([packed(message, coding) for message in messages])
        for at in range(0, len(data), FRAME):
            self._h2.send_data(stream, data[at : at + FRAME])
        status = [(b"grpc-status", b"0")]
        if self.head[b":path"] == b"/Fail":
            status = [(b"grpc-status", b"3"), (b"grpc-message", percent(TEXT))]
        self._h2.send_headers(stream, status, end_stream=True)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """It ends when the test has closed its channel."""
    with closing(Peer()) as server:
        yield server


@pytest.mark.parametrize("coding", CODINGS)
def test_messages_both_ways(peer: Peer, coding: str) -> None:
    """Several messages of a stream, plain and packed, are read by both sides."""
    compression = grpc.Compression(CODINGS[coding])
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}", compression=compression) as channel:
        answers = list(channel.stream_stream("/Echo")(iter(SENT), timeout=10))
    assert answers == SENT
    assert peer.head.get(b"grpc-encoding", b"identity") == coding.encode()


def test_a_text_and_a_timeout(peer: Peer) -> None:
    """The client reads the text of an error as it was, and its timeout is what was given."""
    with (
        grpc.insecure_channel(f"127.0.0.1:{peer.port}") as channel,
        pytest.raises(grpc.RpcError) as told,
    ):
        channel.unary_unary("/Fail")(b"", timeout=10)
    assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told.value.details() == TEXT
    assert 5 < timeout(peer.head[b"grpc-timeout"]) <= 10.1


def test_the_client_speaks_the_same_codings(peer: Peer) -> None:
    """What inferd offers in grpc-accept-encoding, the client offers, too."""
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}") as channel:
        assert channel.unary_unary("/Echo")(b"x", timeout=10) == b"x"
    offered = peer.head[b"grpc-accept-encoding"].decode().replace(" ", "").split(",")
    assert sorted(offered) == sorted(CODING_NAMES)
