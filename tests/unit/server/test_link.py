"""inferd.server.link: messages between supervisor and worker, over a socket that never blocks."""

import socket
from collections.abc import Iterator

import pytest

from inferd.server.link import (
    Beat,
    Commit,
    Doing,
    Leaving,
    Line,
    Load,
    Loaded,
    Message,
    Open,
    Prepare,
    Prepared,
    Reported,
    VersionStatistics,
)
from inferd.statistics import SizeStatistics, Statistics, Total
from inferd.wire.messages import Failed

DONE = Statistics(Total(3, 7), sizes=(SizeStatistics(1, Total(1, 2), Total(1, 2), Total()),))
MESSAGES: list[Message] = [
    Doing("loading iris.onnx"),
    Loaded("inferd serves ..."),
    Failed("BadArtifact", "is no model"),
    Beat((VersionStatistics("iris", "1", DONE),)),
    Reported(4, (VersionStatistics("iris", "1", DONE),)),
    Prepared(1, Failed("", "boom")),
    Leaving(2),
    Open(),
    Prepare(7, Load("/models/iris.onnx")),
    Commit(7),
]


@pytest.fixture
def ends() -> Iterator[tuple[Line, socket.socket]]:
    """A line, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    line = Line(ours)
    yield line, theirs
    line.close()
    theirs.close()


def test_messages_arrive_as_they_were(ends: tuple[Line, socket.socket]) -> None:
    """Each kind, in their order, equal to what was sent."""
    line, theirs = ends
    other = Line(theirs)
    for message in MESSAGES:
        line.send(message)
    assert other.receive() == MESSAGES
    assert other.receive() == []


def test_messages_may_come_byte_by_byte(ends: tuple[Line, socket.socket]) -> None:
    """A message is there with its last byte, and not before."""
    line, theirs = ends
    source, sink = socket.socketpair()
    for message in MESSAGES:
        Line(source).send(message)
    data = sink.recv(1 << 20)
    source.close()
    sink.close()
    found = []
    for at in range(len(data)):
        theirs.send(data[at : at + 1])
        found += line.receive()
    assert found == MESSAGES


def test_what_does_not_fit_waits(ends: tuple[Line, socket.socket]) -> None:
    """Sending never blocks; what the socket does not take is sent when it has room."""
    line, theirs = ends
    other = Line(theirs)
    long = Doing("x" * 3_000_000)
    line.send(long)
    line.send(Open())
    assert line.wants_write
    found: list[Message] = []
    while line.wants_write:
        found += other.receive()
        line.flush()
    assert [*found, *other.receive()] == [long, Open()]


def test_the_end_comes_after_the_last_words(ends: tuple[Line, socket.socket]) -> None:
    """What was said before the other side ended is received first."""
    line, theirs = ends
    Line(theirs).send(Leaving(0))
    theirs.close()
    assert line.receive() == [Leaving(0)]
    with pytest.raises(ConnectionError):
        line.receive()


def test_sending_to_nobody_is_no_error(ends: tuple[Line, socket.socket]) -> None:
    """That the other side is gone is told by ``receive`` alone."""
    line, theirs = ends
    theirs.close()
    line.send(Open())
    line.finish(0.1)
    assert not line.wants_write
    with pytest.raises(ConnectionError):
        line.receive()


def test_last_words_are_waited_for(ends: tuple[Line, socket.socket]) -> None:
    """``finish`` sends all that waits, but waits no longer than it is told for who reads
    nothing."""
    line, _ = ends
    line.send(Doing("x" * 3_000_000))
    line.finish(0.05)
    assert not line.wants_write


@pytest.mark.parametrize("said", [b"\xc1", b"\x81\xa4type\xa2No", b"\x81\xa4type\xa1\xff"])
def test_nonsense_ends_the_line(ends: tuple[Line, socket.socket], said: bytes) -> None:
    """A process that writes where it should not is one that speaks no more, for good."""
    line, theirs = ends
    theirs.send(len(said).to_bytes(4, "little") + said)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            line.receive()
