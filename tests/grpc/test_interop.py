"""gRPC's interop cases (its doc/interop-test-descriptions.md), each with its sizes and by its name,
as grpcio asks them; those of credentials, caches and load balancers are not ours."""

import queue
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.grpc.asking import PATIENCE, Stub, channel_to
from tests.grpc.interop_messages import message
from tests.grpc.interop_service import InteropServer

LARGE, ANSWERED = 271828, 314159
PING_PONG = ((27182, 31415), (8, 9), (1828, 2653), (45904, 58979))
"""Sizes of the requests, and of their answers."""
INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")


def zeros(size: int) -> dict[str, bytes]:
    """A payload of *size* zeros."""
    return {"body": bytes(size)}


def simple(**fields: Any) -> Any:
    """A SimpleRequest of the usual size."""
    return message("SimpleRequest")(
        **{"response_size": ANSWERED, "payload": zeros(LARGE), **fields}
    )


def full(size: int, *answers: int, **fields: Any) -> Any:
    """A StreamingOutputCallRequest that wants answers of these sizes."""
    return message("StreamingOutputCallRequest")(
        payload=zeros(size), response_parameters=[{"size": each} for each in answers], **fields
    )


class Pipe:
    """Requests that are sent one by one."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def send(self, request: Any) -> None:
        """Send one."""
        self._queue.put(request)

    def end(self) -> None:
        """Send no more."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._queue.get, None)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that ends with its test, as grpcio's thread waits for it."""
    made = Pipe()
    yield made
    made.end()


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    """How a call fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def test_empty_unary(stub: Any) -> None:
    """A message of no bytes is answered by one."""
    assert stub.EmptyCall(message("Empty")()) == message("Empty")()


def test_large_unary(stub: Any) -> None:
    """Messages that are larger than a frame, and than a first window, go both ways."""
    answer = stub.UnaryCall(simple())
    assert answer == message("SimpleResponse")(payload=zeros(ANSWERED))


def test_client_compressed_unary(stub: Any) -> None:
    """Whether a message came packed is known of each."""
    wants_packed = simple(expect_compressed={"value": True})
    code, _ = refused(lambda: stub.UnaryCall(wants_packed))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    answer = stub.UnaryCall(wants_packed, compression=grpc.Compression.Gzip)
    assert len(answer.payload.body) == ANSWERED
    answer = stub.UnaryCall(simple(expect_compressed={"value": False}))
    assert len(answer.payload.body) == ANSWERED


def test_client_streaming(stub: Any) -> None:
    """Several requests are one; it is answered when all are there."""
    make = message("StreamingInputCallRequest")
    answer = stub.StreamingInputCall(make(payload=zeros(size)) for size, _ in PING_PONG)
    assert answer.aggregated_payload_size == 74922


def test_client_compressed_streaming(interop: InteropServer) -> None:
    """In a packed stream messages may come packed, and are known as such."""
    make = message("StreamingInputCallRequest")
    probe = make(expect_compressed={"value": True}, payload=zeros(27182))
    with channel_to(interop.address) as channel:
        code, _ = refused(lambda: Stub(channel).StreamingInputCall(iter([probe])))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
    with channel_to(interop.address, compression=grpc.Compression.Gzip) as channel:
        second = make(expect_compressed={"value": True}, payload=zeros(45904))
        answer = Stub(channel).StreamingInputCall(iter([probe, second]))
        assert answer.aggregated_payload_size == 73086


def test_server_streaming(stub: Any) -> None:
    """One request is answered by several messages, in their order."""
    answers = list(stub.StreamingOutputCall(full(0, *(size for _, size in PING_PONG))))
    make = message("StreamingOutputCallResponse")
    assert answers == [make(payload=zeros(size)) for _, size in PING_PONG]


def test_ping_pong(stub: Any, pipe: Pipe) -> None:
    """Each request of a stream is answered before the next one is sent."""
    answers = stub.FullDuplexCall(iter(pipe), timeout=PATIENCE)
    for sent, wanted in PING_PONG:
        pipe.send(full(sent, wanted))
        assert len(next(answers).payload.body) == wanted
    pipe.end()
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_half_duplex(stub: Any) -> None:
    """Requests are answered, in their order, when all of them are there."""
    answers = stub.HalfDuplexCall(full(sent, wanted) for sent, wanted in PING_PONG)
    assert [len(each.payload.body) for each in answers] == [wanted for _, wanted in PING_PONG]


def test_empty_stream(stub: Any) -> None:
    """No request has no answer, and that is well."""
    answers = stub.FullDuplexCall(iter(()))
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_custom_metadata(stub: Any) -> None:
    """Metadata comes and goes, text and binary, before an answer and after it."""
    answer, call = stub.UnaryCall.with_call(simple(), metadata=(INITIAL, TRAILING))
    assert len(answer.payload.body) == ANSWERED
    assert INITIAL in list(call.initial_metadata())
    assert TRAILING in list(call.trailing_metadata())


def test_custom_metadata_of_a_stream(stub: Any) -> None:
    """The same of a stream."""
    answers = stub.FullDuplexCall(iter([full(LARGE, ANSWERED)]), metadata=(INITIAL, TRAILING))
    assert [len(each.payload.body) for each in answers] == [ANSWERED]
    assert INITIAL in list(answers.initial_metadata())
    assert TRAILING in list(answers.trailing_metadata())


def test_status_code_and_message(stub: Any) -> None:
    """A code and a text come through, of a call and of a stream."""
    status = {"code": 2, "message": "test status message"}
    told = grpc.StatusCode.UNKNOWN, "test status message"
    assert refused(lambda: stub.UnaryCall(simple(response_status=status))) == told
    asked = full(0, response_status=status)
    assert refused(lambda: list(stub.FullDuplexCall(iter([asked])))) == told


def test_special_status_message(stub: Any) -> None:
    """Control characters and all of Unicode come through."""
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    asked = message("SimpleRequest")(response_status={"code": 2, "message": text})
    assert refused(lambda: stub.UnaryCall(asked)) == (grpc.StatusCode.UNKNOWN, text)


@pytest.mark.parametrize("service", ["TestService", "UnimplementedService"])
def test_unimplemented(channel: grpc.Channel, service: str) -> None:
    """unimplemented_method and unimplemented_service: neither is served."""
    name = "UnimplementedMethod" if service == "TestService" else "UnimplementedCall"
    ask = channel.unary_unary(f"/grpc.testing.{service}/{name}")
    assert refused(lambda: ask(b""))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_cancel_after_begin(stub: Any, pipe: Pipe, interop: InteropServer, until: Any) -> None:
    """A call that is given up before it sent anything is forgotten."""
    call = stub.StreamingInputCall.future(iter(pipe))
    until(lambda: interop.streams() == 1)
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED
    until(lambda: interop.streams() == 0)


def test_cancel_after_first_response(
    stub: Any, pipe: Pipe, interop: InteropServer, until: Any
) -> None:
    """A stream that is given up on its way is forgotten."""
    answers = stub.FullDuplexCall(iter(pipe))
    pipe.send(full(27182, 31415))
    assert len(next(answers).payload.body) == 31415
    answers.cancel()
    with pytest.raises(grpc.RpcError):
        next(answers)
    assert answers.code() == grpc.StatusCode.CANCELLED
    until(lambda: interop.streams() == 0)


def test_timeout_on_sleeping_server(
    stub: Any, pipe: Pipe, interop: InteropServer, until: Any
) -> None:
    """A call has the time that its caller gave it, and no more."""
    answers = stub.FullDuplexCall(iter(pipe), timeout=0.001)
    pipe.send(full(27182))
    assert refused(lambda: list(answers))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: interop.streams() == 0)
