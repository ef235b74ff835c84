"""The methods that ask about the server and its models: a small message in, a small one out, which
says what REST says. (server 2.73dev, src/grpc/grpc_server.cc)"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from inferd.calls import (
    Call,
    Lookup,
    ModelMetadata,
    ModelStates,
    ModelStatistics,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from inferd.errors import InferdError, Unsupported
from inferd.protocols.base import Message, Method, Payload
from inferd.protocols.oip.config import configuration
from inferd.protocols.oip.grpc.names import model_of, version_of
from inferd.protocols.oip.grpc.reading import read
from inferd.protocols.oip.metadata import model_metadata, server_metadata
from inferd.protocols.oip.repository import Listed, index
from inferd.protocols.oip.statistics import ReadStatistics, model_statistics
from inferd.wire import proto

Decode: TypeAlias = Callable[[Any, Lookup], Call]
"""From the request's message to a call."""
Encode: TypeAlias = Callable[[Any, Any], Mapping[str, Any]]
"""From the call and its response to the fields of the answer's message."""


class Question(Method):
    """A method whose request and answer are both small."""

    def __init__(self, name: str, call: type[Call], decode: Decode, encode: Encode) -> None:
        self.call = call  # type: ignore[misc]  # of the class elsewhere, and of each of these here
        self._request, self._answer = f"{name}Request", f"{name}Response"
        self._decode, self._encode = decode, encode

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return self._decode(read(self._request, message.body), lookup)

    def encode(self, call: Call, response: Any) -> Payload:
        answer = proto.message(self._answer)(**self._encode(call, response))
        return Payload(answer.SerializeToString())


def questions(*, strict: bool) -> Iterator[tuple[str, Method]]:
    """Each question by its name; where *strict*, as Triton understands it."""

    def model_ready(sent: Any, lookup: Lookup) -> Call:
        version = version_of(sent.version, strict=strict)
        try:
            lookup(sent.name, version)
        except InferdError:  # what is not known is not ready, as in Triton
            return _Asked(ready=False)
        return _Asked(ready=True)

    def model(sent: Any, _: Lookup) -> Call:
        version = version_of(sent.version, strict=strict)
        return ModelMetadata(model_of(sent.name), version)

    def metadata(call: ModelMetadata, response: Any) -> Mapping[str, Any]:
        return model_metadata(response, call.version, strict=strict)

    of_all, of_one = ReadStatistics(of_all=True), ReadStatistics(strict=strict)

    def statistics(sent: Any, lookup: Lookup) -> Call:
        version = version_of(sent.version, strict=strict)
        path = {"model": sent.name} if sent.name else {}
        path |= {"version": version} if version else {}
        return (of_one if path else of_all).decode(Message(b"", path), lookup)

    yield ask("ServerLive", ServerLive, lambda *_: ServerLive(), lambda *_: {"live": True})
    yield ask("ServerReady", ServerReady, lambda *_: ServerReady(), _ready)
    yield ask("ModelReady", ServerLive, model_ready, lambda call, _: {"ready": call.ready})
    yield ask("ServerMetadata", ServerMetadata, lambda *_: ServerMetadata(), _server)
    yield ask("ModelMetadata", ModelMetadata, model, metadata)
    yield ask("ModelConfig", ModelMetadata, model, _config)
    yield ask("ModelStatistics", ModelStatistics, statistics, _statistics)
    yield ask("RepositoryIndex", ModelStates, _listed, _index)


def ask(name: str, call: type[Call], decode: Decode, encode: Encode) -> tuple[str, Method]:
    """A question of Triton's service, by its name."""
    return name, Question(f"inference.{name}", call, decode, encode)


def health() -> Method:
    """``grpc.health.v1.Health/Check``: the server's, whatever service is named, as in Triton."""
    name = "grpc.health.v1.HealthCheck"
    return Question(name, ServerReady, lambda *_: ServerReady(), _serving)


def refuse_repository(sent: Any) -> None:
    """Raise Unsupported where *sent* names a repository."""
    if sent.repository_name:
        raise Unsupported("'repository_name' specification is not supported")


class _Asked(ServerLive, eq=False):
    """Whether a model was ready when it was asked."""

    ready: bool


def _ready(_: Call, response: Any) -> Mapping[str, Any]:
    return {"ready": response.ready}


def _serving(_: Call, response: Any) -> Mapping[str, Any]:
    return {"status": "SERVING" if response.ready else "NOT_SERVING"}


def _server(_: Call, response: Any) -> Mapping[str, Any]:
    return server_metadata(response)


def _statistics(_: Call, response: Any) -> Mapping[str, Any]:
    return model_statistics(response)


def _config(_: Call, response: Any) -> Mapping[str, Any]:
    return {"config": configuration(response.handle, response.versions)}


def _listed(sent: Any, _: Lookup) -> Call:
    refuse_repository(sent)
    return Listed(ready=sent.ready)


def _index(call: Listed, response: Any) -> Mapping[str, Any]:
    return {"models": index(response, ready=call.ready)}
