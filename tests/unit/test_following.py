"""inferd.server.following, and the manager's part in it: how one worker makes the changes that all
make, and says what it has done."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferd.calls import InferRequest, ModelStatistics
from inferd.engine.dispatch import dispatch
from inferd.errors import ArtifactNotFound, ModelNotFound, NotReady, UnknownLabel
from inferd.models.state import State
from inferd.pipeline import Pipeline
from inferd.server import following as module
from inferd.server.following import Following
from inferd.server.link import (
    Answer,
    Applied,
    Ask,
    Change,
    Commit,
    Label,
    Load,
    Message,
    Prepare,
    Prepared,
    Report,
    Reported,
    Rollback,
    Unload,
    VersionStatistics,
)
from inferd.statistics import Statistics, Total
from inferd.wire.messages import raised
from tests.unit.toys import CountingReply, ToyRuntime, until, version_of

Make = Callable[..., Pipeline]


class Follower:
    """A pipeline that serves iris, on a running loop, and what it says to the supervisor."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.manager = pipeline, pipeline.manager
        pipeline.home.attach(asyncio.get_running_loop())
        self.said: list[Message] = []
        self.following = Following(pipeline, self.said.append)
        self._number = 0

    async def prepare(self, change: Change) -> Prepared:
        """Have *change* prepared."""
        self._number += 1
        before = len(self.said)
        self.following.received(Prepare(self._number, change))
        await until(lambda: len(self.said) > before)
        answer = self.said[-1]
        assert isinstance(answer, Prepared)
        assert answer.change == self._number
        return answer

    async def make(self, change: Change) -> None:
        """Have *change* made."""
        assert (await self.prepare(change)).failure is None
        self.following.received(Commit(self._number))
        assert self.said[-1] == Applied(self._number)

    def undo(self) -> None:
        """Have the last change undone."""
        self.following.received(Rollback(self._number))

    def infer(self, model: str = "iris") -> CountingReply:
        """Ask a model, which answers at once or soon."""
        handle, reply = self.manager.lookup(model), CountingReply()
        rows = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
        request = InferRequest(handle, {"X": rows}, handle.signature.output_names, 1, {})
        self.pipeline.handlers[InferRequest](request, reply)
        return reply


def run(pipeline: Pipeline, go: Callable[[Follower], Coroutine[Any, Any, None]]) -> None:
    """Run *go* with a follower."""

    async def started() -> None:
        await go(Follower(pipeline))

    asyncio.run(started())


def test_a_load_shows_nothing_before_it_is_made(pipeline: Make, models: Path) -> None:
    """Prepared, a model answers nobody and the server is as ready as before; made, it answers."""

    async def go(it: Follower) -> None:
        load = Load(str(models / "words.onnx"))
        assert (await it.prepare(load)).failure is None
        with pytest.raises(ModelNotFound):
            it.manager.lookup("words")
        assert it.manager.readiness().ready
        it.undo()
        await it.make(load)
        assert it.manager.lookup("words").model == "words"
        assert it.manager.lookup("iris").model == "iris"

    run(pipeline("iris"), go)


def test_a_model_that_is_loaded_again_takes_the_place_of_the_old_one(
    pipeline: Make, models: Path
) -> None:
    """Who holds the old one ends on it; whoever decoded with it and comes late runs on the new
    one; and its count goes on."""

    async def go(it: Follower) -> None:
        reply = it.infer()
        await until(lambda: reply.answered)
        old = it.manager.lookup("iris")
        old.acquire()
        await it.make(Load(str(models / "iris.onnx")))
        new = it.manager.lookup("iris")
        assert new is not old
        assert it.manager.states("iris", None).versions[0].state == "ready"
        old.release()
        assert old.state is State.GONE
        rows = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
        late = CountingReply()
        dispatch(InferRequest(old, {"X": rows}, old.signature.output_names, 1, {}), late)
        await until(lambda: late.answered)
        assert late.errors == []
        assert it.manager.statistics()["iris", "1"].requests == 2

    run(pipeline("iris"), go)


def test_a_late_request_is_refused_where_the_new_model_is_another(pipeline: Make) -> None:
    """Its tensors were held against a signature that is no more."""

    async def go(it: Follower) -> None:
        old = it.manager.lookup("iris")
        stranger = version_of(ToyRuntime(), "iris")
        fresh = it.manager.stage(stranger.spec)
        fresh.fill(stranger.runtime, stranger.infer, stranger.example)
        it.manager.publish(fresh)
        reply = CountingReply()
        dispatch(InferRequest(old, {}, (), 1, {}), reply)
        assert [type(error) for error in reply.errors] == [NotReady]

    run(pipeline("iris"), go)


def test_an_unloaded_model_answers_what_it_was_asked(pipeline: Make) -> None:
    """Nobody new gets it; the server stays ready while it drains; labels for it are forgotten."""

    async def go(it: Follower) -> None:
        await it.make(Label("iris", "stable", "1"))
        held = it.manager.lookup("iris", None, "stable")
        held.acquire()
        await it.make(Unload("iris"))
        with pytest.raises(ModelNotFound):
            it.manager.lookup("iris")
        assert it.manager.readiness().ready
        assert it.manager.lookup(None).model == "words"
        held.release()
        with pytest.raises(UnknownLabel):
            it.manager.lookup("iris", None, "stable")

    run(pipeline("iris", "words"), go)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (Load("/nowhere/x.onnx"), ArtifactNotFound),
        (Unload("nobody"), ModelNotFound),
        (Unload("iris", "9"), ModelNotFound),
        (Label("iris", "x", "9"), ModelNotFound),
    ],
)
def test_what_cannot_be_done_is_told_when_it_is_prepared(
    pipeline: Make, change: Change, kind: type[Exception]
) -> None:
    """The reason comes with its texts."""

    async def go(it: Follower) -> None:
        failure = (await it.prepare(change)).failure
        assert failure is not None
        assert isinstance(raised(failure), kind.__mro__[1] if kind is ModelNotFound else kind)
        assert it.manager.lookup("iris").model == "iris"

    run(pipeline("iris"), go)


def test_a_damaged_model_changes_nothing(pipeline: Make, tmp_path: Path) -> None:
    """The one that is served goes on, and what was loaded beside it is freed."""
    (tmp_path / "iris.onnx").write_bytes(b"this is no model")

    async def go(it: Follower) -> None:
        before = it.manager.lookup("iris")
        assert (await it.prepare(Load(str(tmp_path / "iris.onnx")))).failure is not None
        assert it.manager.lookup("iris") is before

    run(pipeline("iris"), go)


def test_a_change_that_is_undone_while_it_is_prepared_is_forgotten(
    pipeline: Make, models: Path, tmp_path: Path
) -> None:
    """What was loaded for nothing is freed, nobody is told that it is there, and the next change is
    not held up."""
    shutil.copy(models / "words.onnx", tmp_path / "late.onnx")

    async def go(it: Follower) -> None:
        it.following.received(Prepare(100, Load(str(tmp_path / "late.onnx"))))
        it.following.received(Rollback(100))
        await it.make(Load(str(models / "words.onnx")))
        assert [each.model for each in it.manager.answering()] == ["iris", "words"]
        assert [each for each in it.said if isinstance(each, Prepared)] == [Prepared(1)]

    run(pipeline("iris"), go)


def test_changes_are_applied_before_anybody_is_let_in(pipeline: Make, models: Path) -> None:
    """A worker that is started later makes them one after another, without a loop."""
    served = pipeline("iris")
    following = Following(served, lambda message: None)
    following.apply(Load(str(models / "words.onnx"), "other"))
    following.apply(Label("other", "stable", "1"))
    following.apply(Unload("iris"))
    assert served.manager.lookup(None, None, None).model == "other"
    assert served.manager.lookup("other", None, "stable").version == "1"


def test_only_news_is_said(pipeline: Make) -> None:
    """A version is told of when it did something since the last time."""

    async def go(it: Follower) -> None:
        assert it.following.statistics() == ()
        reply = it.infer("words")
        await until(lambda: reply.answered)
        it.following.received(Report(7))
        (said,) = it.said
        assert isinstance(said, Reported)
        assert [(s.model, s.statistics.requests) for s in said.statistics] == [("words", 1)]
        assert it.following.statistics() == ()

    run(pipeline("iris", "words"), go)


def test_statistics_are_the_whole_servers(pipeline: Make) -> None:
    """Whoever asks this worker gets what the supervisor answers."""

    async def go(it: Follower) -> None:
        reply = CountingReply()
        it.pipeline.handlers[ModelStatistics](ModelStatistics(), reply)
        (asked,) = it.said
        assert isinstance(asked, Ask)
        assert not reply.answered
        done = Statistics(success=Total(5, 5))
        told = (VersionStatistics("iris", "1", done), VersionStatistics("gone", "1", done))
        it.following.received(Answer(asked.number, told))
        (report,) = reply.responses
        assert [(h.model, s.requests) for h, s in report.versions] == [("iris", 5), ("words", 0)]

    run(pipeline("words", "iris"), go)


def test_a_supervisor_that_is_silent_is_told_as_an_error(
    pipeline: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own counts alone would go back; and its late answer is for nobody."""
    monkeypatch.setattr(module, "PATIENCE", 0.01)

    async def go(it: Follower) -> None:
        reply = CountingReply()
        it.pipeline.handlers[ModelStatistics](ModelStatistics("iris"), reply)
        await until(lambda: reply.answered)
        assert [type(error) for error in reply.errors] == [NotReady]
        (asked,) = it.said
        assert isinstance(asked, Ask)
        it.following.received(Answer(asked.number, ()))
        assert not reply.responses

    run(pipeline("iris"), go)


def test_a_model_that_ends_its_thread_is_told(
    pipeline: Make, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that calls ``sys.exit`` is a failure like any other: nobody waits for ever."""

    async def go(it: Follower) -> None:
        monkeypatch.setattr(it.pipeline, "prepare", lambda version: sys.exit(3))
        failure = (await it.prepare(Load(str(models / "words.onnx")))).failure
        assert failure is not None
        assert failure.got == "SystemExit: 3"

    run(pipeline("iris"), go)
