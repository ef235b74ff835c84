"""engine/queries and engine/dispatch: questions about the server, and requests to their
versions."""

from typing import Any

import pytest

from inferd import __version__
from inferd.calls import (
    Call,
    InferRequest,
    ModelDescription,
    ModelMetadata,
    ModelReady,
    Readiness,
    ServerDescription,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from inferd.engine.dispatch import dispatch
from inferd.engine.queries import queries
from inferd.errors import ModelNotFound, NotReady
from inferd.models.manager import Manager
from inferd.models.state import State
from tests.unit.toys import CountingReply, ToyRuntime, version_of


class Served(Manager):
    """One toy, ready."""

    def __init__(self) -> None:
        super().__init__()
        self.toy = version_of(ToyRuntime())
        self._versions = {"toy": {"1": self.toy}}
        self._answering = self._table()


def _ask(manager: Manager, call: Call) -> CountingReply:
    reply = CountingReply()
    queries(manager)[type(call)](call, reply)
    return reply


def test_every_question_has_one_part_and_an_end() -> None:
    """The answers are the manager's state."""
    served = Served()
    answers: list[tuple[Call, Any]] = [
        (ServerLive(), Readiness(True)),
        (ServerReady(), Readiness(True)),
        (ServerMetadata(), ServerDescription("inferd", __version__, ("toy",))),
        (ModelReady("toy"), Readiness(True)),
        (ModelReady("toy", "1"), Readiness(True)),
        (ModelMetadata("toy"), ModelDescription(served.toy, ("1",))),
    ]
    for call, answer in answers:
        reply = _ask(served, call)
        assert (reply.responses, reply.ends, reply.errors) == ([answer], 1, [])


@pytest.mark.parametrize("call", [ModelReady("x"), ModelMetadata("x"), ModelReady("toy", "9")])
def test_a_question_about_what_is_not_there_fails(call: Call) -> None:
    """The error is the answer."""
    reply = _ask(Served(), call)
    assert [type(error) for error in reply.errors] == [ModelNotFound]
    assert (reply.parts, reply.ends) == (0, 0)


def test_the_server_lives_whatever_its_models_do() -> None:
    """Live is the process; ready is the models."""
    empty = Manager()
    assert _ask(empty, ServerLive()).responses == [Readiness(True)]
    assert _ask(empty, ServerReady()).responses == [Readiness(False, ("no model is loaded",))]


def test_a_request_for_a_version_that_is_gone_is_refused() -> None:
    """A version that was closed between decoding and running is not entered."""
    served = Served()
    seen: list[int] = []
    served.toy.infer = lambda request, reply: seen.append(served.toy._users)
    request, reply = InferRequest(served.toy, {}, (), 1, {}), CountingReply()
    dispatch(request, reply)
    assert seen == [1]
    served.toy.release()
    served.toy.move(State.DRAINING)
    served.toy.close_when_unused()
    dispatch(request, reply)
    assert seen == [1]
    assert [type(error) for error in reply.errors] == [NotReady]
