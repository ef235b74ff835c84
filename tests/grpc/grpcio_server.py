"""The same service on grpcio's own server, written as its users write one: what ours is compared
with."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.grpc.interop_messages import message
from tests.grpc.interop_service import (
    ECHO_INITIAL,
    ECHO_TRAILING,
    METHODS,
    MOST,
    SERVICE,
    Script,
    answer,
)

STATUSES = {status.value[0]: status for status in grpc.StatusCode}
"""By their numbers."""

_MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class GrpcioServer:
    """A running server."""

    def __init__(self) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(32),
            [grpc.method_handlers_generic_handler(SERVICE.strip("/"), _handlers())],
            options=[("grpc.max_receive_message_length", MOST), ("grpc.so_reuseport", 0)],
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """Stop, and cut what is left. It is not waited for: a method that was sent no message has
        grpcio's server wait for ever."""
        self._server.stop(0)


def _handlers() -> dict[str, Any]:
    made = {}
    for name, kind in METHODS.items():
        many = kind.takes != "one"
        made[name] = _MAKERS[many, kind.streams](
            _streaming(name) if kind.streams else _single(name),
            message(kind.request).FromString,
            None,  # answers are bytes already
        )
    return made


def _single(name: str) -> Callable[[Any, Any], bytes]:
    kind = METHODS[name]

    def answer_one(request: Any, context: Any) -> bytes:
        _echo(context)
        script = kind.script(list(request) if kind.takes == "all" else request)
        _give_status(script, context)
        return answer(kind.gives, script.parts[0].size)

    return answer_one


def _streaming(name: str) -> Callable[[Any, Any], Iterator[bytes]]:
    kind = METHODS[name]

    def answer_several(request: Any, context: Any) -> Iterator[bytes]:
        _echo(context)
        for each in _requests(kind.takes, request):
            script = kind.script(each)
            for part in script.parts:
                if part.pause and not _pause(part.pause, context):
                    return
                yield answer(kind.gives, part.size)
            _give_status(script, context)

    return answer_several


def _requests(takes: str, request: Any) -> Sequence[Any]:
    if takes == "each":
        return request  # type: ignore[no-any-return]  # an iterator over the stream
    return [list(request)] if takes == "all" else [request]


def _give_status(script: Script, context: Any) -> None:
    number, text = script.status
    if number:
        context.abort(STATUSES[number], text)


def _pause(seconds: float, context: Any) -> bool:
    """Whether the call still lives after that."""
    gone = threading.Event()
    return context.add_callback(gone.set) and not gone.wait(seconds)


def _echo(context: Any) -> None:
    told = dict(context.invocation_metadata())
    initial, trailing = ECHO_INITIAL.decode(), ECHO_TRAILING.decode()
    if initial in told:
        context.send_initial_metadata([(initial, told[initial])])
    if trailing in told:
        context.set_trailing_metadata([(trailing, told[trailing])])
