"""wire/channel: frames of any size over a socket that gives and takes as little as it likes."""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from inferd.wire import frames
from inferd.wire.channel import PIECES, WINDOW, Channel
from inferd.wire.frames import PREFIX, Broken
from inferd.wire.messages import Ran, Run


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, Channel]]:
    """A bare socket, and a channel at its other end."""
    bare, line = socket.socketpair()
    channel = Channel(line)
    yield bare, channel
    channel.close()
    bare.close()


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_frame_may_come_in_bits(line: tuple[socket.socket, Channel], step: int) -> None:
    """A frame is read whole, however little of it comes at once."""
    bare, channel = line
    frame = b"".join(frames.encode(Run(("y",)), {"x": np.arange(100.0)}))

    def trickle() -> None:
        for at in range(0, len(frame), step):
            bare.sendall(frame[at : at + step])

    writer = threading.Thread(target=trickle)
    writer.start()
    message, tensors = channel.receive()
    writer.join()
    assert message == Run(("y",))
    assert tensors["x"].tolist() == list(range(100))


@pytest.mark.parametrize("size", [0, 1, WINDOW - 100, WINDOW, WINDOW + 1, 3_000_000])
@pytest.mark.parametrize("tensors", [1, 3, PIECES])
def test_frames_of_every_size_go_over(
    line: tuple[socket.socket, Channel], size: int, tensors: int
) -> None:
    """Small and large frames, of few and of many pieces, go both ways in turns."""
    bare, channel = line
    other = Channel(bare.dup())
    values = np.arange(size, dtype=np.uint64).astype(np.uint8)
    parts = {f"t{at}": part for at, part in enumerate(np.array_split(values, tensors))}
    for sender, receiver in ((channel, other), (other, channel)):
        writer = threading.Thread(target=sender.send, args=(frames.encode(Ran(), parts),))
        writer.start()
        got = receiver.receive().tensors
        writer.join()
        assert list(got) == list(parts)
        assert all(np.array_equal(got[name], part) for name, part in parts.items())
    other.close()


def test_a_header_may_be_longer_than_the_window(line: tuple[socket.socket, Channel]) -> None:
    """A model of very many columns has a long header."""
    bare, channel = line
    message = Run(tuple(f"output number {at}" for at in range(20_000)))
    pieces = frames.encode(message)
    writer = threading.Thread(target=bare.sendall, args=(b"".join(pieces),))
    writer.start()
    assert channel.receive().message == message
    writer.join()


@pytest.mark.parametrize("length", [0, 5, PREFIX.size, PREFIX.size + 3])
def test_an_end_within_a_frame_is_told(line: tuple[socket.socket, Channel], length: int) -> None:
    """A frame that was cut off never becomes one."""
    bare, channel = line
    bare.sendall(b"".join(frames.encode(Ran(), {"x": np.ones(3)}))[:length])
    bare.close()
    with pytest.raises(ConnectionError):
        channel.receive()


def test_two_frames_at_once_are_broken(line: tuple[socket.socket, Channel]) -> None:
    """Question and answer take turns: whoever says more has lost count."""
    bare, channel = line
    bare.sendall(b"".join(frames.encode(Ran())) * 2)
    with pytest.raises(Broken):
        channel.receive()


def test_hanging_up_wakes_who_waits(line: tuple[socket.socket, Channel]) -> None:
    """A thread that waits for an answer learns that there will be none; hanging up twice is no
    fault."""
    _, channel = line
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            channel.receive()
        except ConnectionError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    channel.hang_up()
    waiter.join(10)
    assert len(errors) == 1
    channel.close()
    channel.hang_up()


def test_waiting_tells_what_is_there(line: tuple[socket.socket, Channel]) -> None:
    """Nothing within the time, then a frame, then the end."""
    bare, channel = line
    assert not channel.wait(0.01)
    bare.sendall(b"".join(frames.encode(Ran())))
    assert channel.wait(10)
    assert channel.receive().message == Ran()
    bare.close()
    assert channel.wait(10)
    with pytest.raises(ConnectionError):
        channel.receive()
