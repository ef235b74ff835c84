"""inferd.server.changes and control: a change holds in every worker, or in none, and whoever wants
it is told the truth."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.errors import ArtifactNotFound, BadArtifact
from inferd.server.changes import MOST
from inferd.server.control import Control
from inferd.server.link import (
    Applied,
    Change,
    Commit,
    Label,
    Load,
    Message,
    Prepare,
    Prepared,
    Rollback,
    Unload,
)
from inferd.wire.messages import Failed, failed, raised

BROKEN = failed(BadArtifact("the file is damaged"))

State = dict[str, str]
"""What a worker serves: paths by model, and versions by model and label."""


def make(state: State, change: Change) -> None:
    """Make *change* in *state*."""
    match change:
        case Load(path, name):
            state[name or Path(path).stem] = path
        case Unload(model):
            for key in [key for key in state if key.partition(":")[0] == model]:
                del state[key]
        case Label(model, label, version):
            state[f"{model}:{label}"] = version


def can(state: State, change: Change) -> bool:
    """Whether it can be made."""
    return isinstance(change, Load) or change.model in state


class Toy:
    """A worker: it reads and writes messages in order, whenever a test says so."""

    def __init__(self, number: int, control: Control) -> None:
        self.number, self._control = number, control
        self.state: State = {}
        self.loaded = self.open = False
        self.inbox: deque[Message] = deque()
        self.outbox: deque[Message] = deque()
        self._prepared: dict[int, Change] = {}
        start = control.start
        for change in (*(Load(str(path)) for path in start.paths), *start.changes):
            make(self.state, change)
        control.joined(number, self.inbox.append)

    def load(self) -> None:
        """End loading."""
        self.loaded = True
        self._control.loaded(self.number, self._open)

    def _open(self) -> None:
        self.open = True

    def read(self, *, fails: bool = False) -> None:
        """Act on one message; *fails*: cannot, where it is to be prepared."""
        if not (self.loaded and self.inbox):
            return
        match self.inbox.popleft():
            case Prepare(number, change):
                if fails or not can(self.state, change):
                    self.outbox.append(Prepared(number, BROKEN))
                else:
                    self._prepared[number] = change
                    self.outbox.append(Prepared(number))
            case Commit(number):
                make(self.state, self._prepared.pop(number))
                self.outbox.append(Applied(number))
            case Rollback(number):
                self._prepared.pop(number, None)

    def write(self) -> None:
        """Have one message arrive."""
        if self.outbox:
            self._control.received(self.number, self.outbox.popleft())


class Server:
    """A supervisor's control and its workers, which a test kills, replaces and retires."""

    def __init__(self, workers: int) -> None:
        self.control = Control(
            [Path("/base.onnx")], None, self._dismiss, lambda load: _scan(load), lambda: 0.0
        )
        self.workers: list[Toy] = []
        self.expected: State = {"base": "/base.onnx"}
        self.outcomes: list[tuple[Change, Failed | None]] = []
        self.wanted = self._started = 0
        self._doomed: list[int] = []
        self.abandon: Callable[[], None] = lambda: None
        """Gives up the change that was wanted last."""
        for _ in range(workers):
            self.start()
        for worker in self.workers:
            worker.load()

    def start(self) -> None:
        """Start a worker."""
        self.workers.append(Toy(self._started, self.control))
        self._started += 1

    def want(self, change: Change) -> None:
        """Want *change*, and note what is told."""
        self.wanted += 1

        def told(failure: Failed | None) -> None:
            self.outcomes.append((change, failure))
            if failure is None:
                make(self.expected, change)
                serving = [each for each in self.workers if each.open]
                assert serving
                assert all(each.state == self.expected for each in serving)

        self.abandon = self.control.change(change, told)

    def kill(self, worker: Toy) -> None:
        """End *worker* at once, and start another."""
        self.workers.remove(worker)
        self.control.lost(worker.number)
        self.start()

    def retire(self, worker: Toy) -> None:
        """Start another beside *worker*, which then leaves."""
        self.start()
        self.workers.remove(worker)
        self.control.retired(worker.number)
        self.control.lost(worker.number)

    def settle(self) -> None:
        """Go on until nothing is under way."""
        for _ in range(1000):
            for worker in [each for each in self.workers if each.number in self._doomed]:
                self.kill(worker)
            for worker in self.workers:
                if not worker.loaded:
                    worker.load()
                worker.read()
                worker.write()
            if not any(self._has_more(worker) for worker in self.workers):
                return
        pytest.fail("it does not come to rest")

    def _has_more(self, worker: Toy) -> bool:
        under_way = worker.inbox or worker.outbox or not worker.loaded
        return bool(under_way) or worker.number in self._doomed

    def _dismiss(self, worker: int, why: str) -> None:
        assert "damaged" in why
        self._doomed.append(worker)


def _scan(load: Load) -> frozenset[tuple[str, str]]:
    if load.path == "/nowhere":
        raise ArtifactNotFound("there is no model at /nowhere")
    return frozenset({(load.name or Path(load.path).stem, "1")})


CHANGES: list[Change] = [
    Load("/1/x", "x"),
    Load("/2/x", "x"),
    Load("/y"),
    Unload("x"),
    Unload("y"),
    Unload("base"),
    Label("x", "stable", "1"),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["want", "read", "write", "read", "write", "fail", "kill", "retire", "load", "abandon"]
        ),
        st.integers(0, 20),
    ),
    max_size=80,
)


def _step(server: Server, what: str, at: int) -> None:
    worker = server.workers[at % len(server.workers)]
    deeds: dict[str, Callable[[], None]] = {
        "abandon": server.abandon,
        "want": lambda: server.want(CHANGES[at % len(CHANGES)]),
        "read": worker.read,
        "fail": lambda: worker.read(fails=True),
        "write": worker.write,
        "kill": lambda: server.kill(worker),
        "retire": lambda: server.retire(worker),
        "load": lambda: None if worker.loaded else worker.load(),
    }
    deeds[what]()


@given(st.integers(1, 3), STEPS)
@settings(max_examples=400, deadline=None)
def test_all_workers_end_equal_and_whoever_wants_is_told_the_truth(
    workers: int, steps: list[tuple[str, int]]
) -> None:
    """In any order of messages, failures, deaths, replacements and departures: every change is told
    once; one that is told as made holds in every worker that serves, in that moment and in the end;
    one that is told as failed holds nowhere; and every worker that has loaded serves."""
    server = Server(workers)
    for what, at in steps:
        _step(server, what, at)
    server.settle()
    assert len(server.outcomes) == server.wanted
    assert all(each.open for each in server.workers)
    assert [each.state for each in server.workers] == [server.expected] * len(server.workers)


def test_one_worker_tries_a_change_first() -> None:
    """A model that ends its process ends one, and then nobody else opens it."""
    server = Server(3)
    server.want(Load("/x"))
    assert [bool(each.inbox) for each in server.workers] == [True, False, False]
    server.kill(server.workers[0])
    server.settle()
    (_, failure), *_ = server.outcomes
    assert failure is not None
    assert "a worker ended while it prepared this change" in str(raised(failure))
    assert [each.state for each in server.workers] == [{"base": "/base.onnx"}] * 3


def test_one_that_cannot_is_enough_to_undo_a_change_everywhere() -> None:
    """Whichever it is, its own reason is told, and the others forget what they prepared."""
    for at in range(3):
        server = Server(3)
        server.want(Load("/x"))
        for turn in range(6):
            for worker in server.workers:
                worker.read(fails=worker is server.workers[at])
                worker.write()
            assert turn < 5 or server.outcomes == [(Load("/x"), BROKEN)]
        server.settle()
        assert [each.state for each in server.workers] == [{"base": "/base.onnx"}] * 3


def test_a_worker_that_cannot_follow_what_is_decided_is_replaced() -> None:
    """The others serve it already: it is told as made, and the one that lacks it goes."""
    server = Server(1)
    server.start()
    late = server.workers[1]  # it loads what was served before
    server.want(Load("/x"))
    for _ in range(2):
        server.workers[0].read()
        server.workers[0].write()
    late.load()
    assert not late.open
    late.read(fails=True)
    late.write()
    server.settle()
    assert late not in server.workers
    assert server.outcomes == [(Load("/x"), None)]
    assert [each.state for each in server.workers] == [server.expected] * 2


def test_a_path_without_a_model_is_told_before_any_worker_is_asked() -> None:
    """The error is the one that a start would give."""
    server = Server(1)
    server.want(Load("/nowhere"))
    assert not server.workers[0].inbox
    (_, failure), *_ = server.outcomes
    assert failure is not None
    assert isinstance(raised(failure), ArtifactNotFound)


def test_changes_wait_for_their_turn_and_not_without_a_bound() -> None:
    """They are made one after another; beyond the bound one is refused."""
    server = Server(1)
    for _ in range(MOST + 2):
        server.want(Load("/x"))
    assert len(server.outcomes) == 1
    assert "too many changes wait" in str(raised(server.outcomes[0][1] or BROKEN))
    server.settle()
    assert [failure for _, failure in server.outcomes[1:]] == [None] * (MOST + 1)


def test_a_change_that_nobody_waits_for_is_given_up() -> None:
    """A model that loads for ever keeps no other change from being made; one that is decided is
    made."""
    server = Server(2)
    server.want(Load("/x"))
    server.abandon()
    server.want(Load("/y"))
    server.settle()
    server.abandon()
    assert [failure is None for _, failure in server.outcomes] == [False, True]
    assert [each.state for each in server.workers] == [server.expected] * 2


def test_whoever_waits_when_the_server_ends_is_told() -> None:
    """Nobody is left waiting for an answer that will not come."""
    server = Server(2)
    server.want(Load("/x"))
    server.want(Load("/y"))
    server.control.close()
    assert [str(raised(failure or BROKEN)) for _, failure in server.outcomes] == [
        "the server stopped before the change was made everywhere"
    ] * 2
