"""Calls over grpcio's channels: a stub of the interop service, and what became of any call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc

from tests.grpc.interop_messages import message
from tests.grpc.interop_service import ECHO_INITIAL, ECHO_TRAILING, METHODS, SERVICE

PATIENCE = 10.0  # seconds until a call that nobody answers fails its test
OK = 0


class Outcome(NamedTuple):
    """What a call brought."""

    messages: tuple[bytes, ...]
    status: int
    text: str
    initial: Any = None
    """What the head of the answer repeated of the request's metadata."""
    trailing: Any = None


class Stub:
    """The methods, as generated code has them."""

    def __init__(self, channel: grpc.Channel) -> None:
        for name, kind in METHODS.items():
            make = getattr(
                channel,
                f"{'unary' if kind.takes == 'one' else 'stream'}_"
                f"{'stream' if kind.streams else 'unary'}",
            )
            writes, reads = message(kind.request).SerializeToString, message(kind.gives).FromString
            setattr(self, name, make(SERVICE + name, writes, reads))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@contextmanager
def channel_to(address: str, *options: tuple[str, Any], **more: Any) -> Iterator[grpc.Channel]:
    """A channel of its own, and so a connection of its own."""
    apart = ("grpc.use_local_subchannel_pool", 1)
    large = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, [apart, *large, *options], **more) as channel:
        yield channel


def outcome(call: Any, *, streams: bool = True) -> Outcome:
    """All that comes of *call*, one that was begun with grpcio."""
    got: list[bytes] = []
    try:
        if streams:
            got.extend(call)
        else:
            got.append(call.result())
    except grpc.RpcError:
        pass  # the call itself knows it
    heads, tails = dict(call.initial_metadata()), dict(call.trailing_metadata())
    return Outcome(
        tuple(got),
        call.code().value[0],
        call.details() or "",
        heads.get(ECHO_INITIAL.decode()),
        tails.get(ECHO_TRAILING.decode()),
    )


def begun(channel: grpc.Channel, path: str, requests: Sequence[bytes], **how: Any) -> Any:
    """A call of *path* with messages as bytes, of which there may be any number either way."""
    made = channel.stream_stream(path)
    return made(iter(requests), **{"timeout": PATIENCE, **how})
