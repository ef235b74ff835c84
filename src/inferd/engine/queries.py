"""Answers the calls that ask about the server and its models, from the manager's state. Each is a
Handler."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

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
from inferd.engine.home import Done
from inferd.errors import InferdError
from inferd.models.manager import Key, Manager
from inferd.statistics import NOTHING, Statistics

Told: TypeAlias = Callable[[Done[Mapping[Key, Statistics]]], None]
Source: TypeAlias = Callable[[Told], None]
"""Tells, now or later, on the loop thread, what each version has done."""


def queries(manager: Manager) -> dict[type[Call], Handler]:
    """A handler for each kind of question."""

    def model_ready(call: ModelReady) -> Response:
        manager.lookup(call.model, call.version)
        return Readiness(True)

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
        ModelStatistics: statistics(manager, lambda told: told(Done(manager.statistics()))),
    }


def statistics(manager: Manager, source: Source) -> Handler:
    """The handler that tells what the versions that are ready have done, as *source* counts it."""

    def handler(call: ModelStatistics, reply: Reply) -> None:
        def tell(done: Done[Mapping[Key, Statistics]]) -> None:
            try:
                of = done.result()
            except InferdError as error:
                reply.fail(error)
                return
            versions = manager.answering(call.model, call.version)
            versions.sort(key=lambda each: each.model)
            reply.part(
                StatisticsReport(
                    tuple((each, of.get((each.model, each.version), NOTHING)) for each in versions)
                )
            )
            reply.end()

        try:
            if call.model is not None:
                manager.lookup(call.model, call.version)
        except InferdError as error:
            reply.fail(error)
        else:
            source(tell)

    return handler


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
