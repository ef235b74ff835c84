"""Tests of the clients and the ceiling of gRPC, over real sockets."""

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import pytest

from bench import asking
from bench.dialects import GRPC_TYPE, Question
from bench.errors import BenchError
from bench.grpc_line import GrpcLine
from bench.messages import framed
from bench.process import free_port
from bench.servers import grpc_floor
from bench.servers.grpc_floor import GrpcFloor, Oip
from inferd.lanes import rpc_call
from inferd.wire.proto import message

LARGE = 3 << 20
SMALL_WINDOW = struct.pack(">HI", 4, 100_000)  # of each stream; the large tensor needs more
Answer = Callable[[bytes], bytes]


class Codec:
    """In place of a model's."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Creditor(GrpcFloor):
    """The ceiling with a small window, which it credits."""

    def on_frame(self, kind: int, flags: int, stream: int, data: bytes, out: list[bytes]) -> None:
        super().on_frame(kind, flags, stream, data, out)
        if kind == grpc_floor.DATA and not flags & 1:
            size = len(data).to_bytes(4, "big")
            out.append(grpc_floor.frame(grpc_floor.WINDOW_UPDATE, 0, stream, size))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], int]]:
    """Run a ceiling whose model is a function, in a thread; its port."""
    monkeypatch.setattr(grpc_floor, "GREETING", SMALL_WINDOW)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers, lines = [], []

    def connect(answer: Answer) -> Creditor:
        lines.append(Creditor(cast("Oip", Codec(answer))))
        return lines[-1]

    def start(answer: Answer) -> int:
        opening = loop.create_server(partial(connect, answer), "127.0.0.1", 0)
        servers.append(asyncio.run_coroutine_threadsafe(opening, loop).result(5))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    async def close() -> None:
        for server in servers:
            server.close()
        for line in lines:
            line.transport.abort()
        await asyncio.sleep(0)

    yield start
    asyncio.run_coroutine_threadsafe(close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def hand_on(body: bytes) -> bytes:
    """What the model of tensors does: the whole tensor, or its first value."""
    request: Any = message("inference.ModelInferRequest").FromString(body)
    raw = request.raw_input_contents[0]
    kept = raw if request.outputs[0].name == "copy" else raw[:4]
    response = message("inference.ModelInferResponse")(raw_output_contents=[kept])
    return bytes(response.SerializeToString())


def ask(port: int, body: bytes) -> tuple[str, bytes]:
    url = f"http://127.0.0.1:{port}/a/B"
    return asking.ask("grpc", url, Question(framed(body), GRPC_TYPE))


def test_the_ceiling_answers_grpcs_own_client(serve: Callable[[Answer], int]) -> None:
    """Whatever the message: the client's frames are read and the answer's are right."""
    port = serve(lambda body: body[::-1])
    assert ask(port, b"abc") == ("OK", b"cba")
    assert ask(port, bytes(20_000)) == ("OK", bytes(20_000))


def test_the_ceiling_writes_the_heads_of_inferds_answers() -> None:
    """A shorter head would be no ceiling of what inferd writes, a longer one no ceiling at all."""
    assert (grpc_floor.BEGIN, grpc_floor.END) == (rpc_call.BEGIN, rpc_call.END)


def test_nobody_who_listens_is_told_from_a_wrong_answer() -> None:
    """A server that starts is waited for; one that answers wrong is not."""
    with pytest.raises(asking.Unreachable):
        ask(free_port(), b"")


@pytest.mark.parametrize("size", [1024, LARGE])
@pytest.mark.parametrize("echo", [True, False], ids=["echo", "upload"])
def test_a_line_carries_tensors_by_grpc(
    size: int, echo: bool, serve: Callable[[Answer], int]
) -> None:
    """More than the windows hold goes as they open; a second tensor takes the same line."""
    with GrpcLine(serve(hand_on), size) as line:
        line.carry(echo)
        line.carry(echo)


def test_a_tensor_that_comes_back_wrong_ends_the_benchmark(
    serve: Callable[[Answer], int],
) -> None:
    """A wrong answer is no speed."""
    with (
        GrpcLine(serve(lambda body: bytes(1024)), 1024) as line,
        pytest.raises(BenchError, match="what was sent"),
    ):
        line.carry(True)


def test_a_status_other_than_ok_ends_the_benchmark(
    serve: Callable[[Answer], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trailers tell it, whatever came before."""
    monkeypatch.setattr(grpc_floor, "END", b"\x00\x0bgrpc-status\x0213")
    with (
        GrpcLine(serve(hand_on), 1024) as line,
        pytest.raises(BenchError, match="expected status 0"),
    ):
        line.carry(True)
