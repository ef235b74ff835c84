"""Answers the calls that ask about the server and its models, from the manager's state. Each is a
Handler."""

from collections.abc import Callable
from typing import Any

from inferd import __version__
from inferd.calls import (
    Call,
    Handler,
    ModelMetadata,
    ModelReady,
    ModelStates,
    ModelStatistics,
    Readiness,
    Reply,
    Response,
    ServerDescription,
    ServerLive,
    ServerMetadata,
    ServerReady,
    StatisticsReport,
)
from inferd.errors import InferdError
from inferd.models.manager import Manager
from inferd.models.state import State


def queries(manager: Manager) -> dict[type[Call], Handler]:
    """A handler for each kind of question."""

    def model_ready(call: ModelReady) -> Response:
        manager.lookup(call.model, call.version)
        return Readiness(True)

    def statistics(call: ModelStatistics) -> Response:
        if call.model is not None:
            manager.lookup(call.model, call.version)
        asked = [
            (version, version.statistics())
            for version in sorted(manager.versions(), key=lambda each: each.model)
            if version.state is State.READY
            and call.model in (None, version.model)
            and call.version in (None, version.version)
        ]
        return StatisticsReport(tuple(asked))

    return {
        ServerLive: _answer(lambda _: Readiness(True)),
        ServerReady: _answer(lambda _: manager.readiness()),
        ServerMetadata: _answer(
            lambda _: ServerDescription(
                "inferd", __version__, tuple(v.model for v in manager.ready())
            )
        ),
        ModelReady: _answer(model_ready),
        ModelMetadata: _answer(lambda call: manager.describe(call.model, call.version)),
        ModelStates: _answer(lambda call: manager.states(call.model, call.version)),
        ModelStatistics: _answer(statistics),
    }


def _answer(question: Callable[[Any], Response]) -> Handler:
    def handler(call: Any, reply: Reply) -> None:
        try:
            response = question(call)
        except InferdError as error:
            reply.fail(error)
            return
        reply.part(response)
        reply.end()

    return handler
