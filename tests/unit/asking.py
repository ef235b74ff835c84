"""Asks a dialect's operation without a server: decode, run, encode."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from inferd.calls import InferRequest
from inferd.errors import InferdError
from inferd.pipeline import Pipeline
from inferd.protocols.base import Dialect, Message, Operation, Payload
from tests.unit.toys import CountingReply, until

NO_HEADERS: Mapping[bytes, bytes] = {}


class Asker:
    """One dialect before one pipeline."""

    def __init__(self, dialect: Dialect, served: Pipeline) -> None:
        self.dialect, self.served = dialect, served

    def operation(self, method: str, path: str) -> Operation:
        """The operation of a route as the dialect writes it."""
        (found,) = [
            r.operation for r in self.dialect.routes if (r.method, r.path) == (method, path)
        ]
        return found

    def decode(self, path: str, body: bytes, **variables: str) -> Any:
        """The call that a body becomes."""
        message = Message(body, variables)
        return self.operation("POST", path).decode(message, self.served.manager.lookup)

    def ask(
        self,
        route: tuple[str, str],
        body: bytes = b"",
        headers: Mapping[bytes, bytes] = NO_HEADERS,
        **variables: str,
    ) -> Any:
        """The JSON that a request is answered with; an error is raised."""
        return json.loads(self.payload(route, body, headers, **variables).body)

    def payload(
        self,
        route: tuple[str, str],
        body: bytes = b"",
        headers: Mapping[bytes, bytes] = NO_HEADERS,
        **variables: str,
    ) -> Payload:
        """What a request is answered with; an error is raised."""
        operation = self.operation(*route)
        call = operation.decode(Message(body, variables, headers), self.served.manager.lookup)

        async def answer() -> CountingReply:
            self.served.home.attach(asyncio.get_running_loop())
            reply = CountingReply()
            self.served.handlers[operation.call](call, reply)
            await until(lambda: reply.answered)
            return reply

        reply = asyncio.run(answer())
        for error in reply.errors:
            raise error
        assert isinstance(call, operation.call)
        if isinstance(call, InferRequest):
            assert call.handle is reply.responses[0].request.handle
        return operation.encode(call, reply.responses[0])

    def refusal(self, route: tuple[str, str], body: bytes, **variables: str) -> str:
        """The text of the error that a request is answered with."""
        try:
            answer = self.ask(route, body, NO_HEADERS, **variables)
        except InferdError as error:
            payload = self.dialect.encode_error(error, Message(body, variables))
            document = json.loads(payload.body)
            assert list(document) == ["error"]
            text: str = document["error"]
            return text
        raise AssertionError(f"it was answered: {answer}")


def body(**fields: Any) -> bytes:
    """A JSON document."""
    return json.dumps(fields).encode()
