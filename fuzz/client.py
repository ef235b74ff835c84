"""One connection of a siege: sends a session in its manner, reads, and judges what came."""

import asyncio
import errno
import random
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from fuzz import frames, judge
from fuzz.answers import Malformed, read_answer
from fuzz.sessions import Manner, Session

DEADLINE = 10.0
"""Seconds in which a connection must end, from the last that was sent or read: the server's limits
are 2 s each, and at most two of them follow one another."""
SENDING = 15.0  # seconds until a client gives up to send: the server may have stopped to read
PAUSE = 0.001  # seconds between two pieces, so that they come as two
SLOW_BYTES, SLOW_SECONDS, SLOW_READS = 64, 0.005, 200
SMALL_BUFFER = 4096  # bytes: a slow reader's kernel takes little for it
CLOSE_WAIT, CLOSED = 8, 7  # of Linux's TCP_INFO: the peer has closed, or reset
LOOK_SECONDS = 0.05
READ_OUT = 1.5  # seconds: less than the server waits for an idle client


class Sent(Protocol):
    """What a connection is used for."""

    @property
    def manner(self) -> Manner:
        """What the client does once it has sent all."""

    def pieces(self) -> Iterator[bytes]:
        """What it sends."""

    def is_answered(self, data: bytes) -> bool:
        """Whether *data* holds all that it waits for."""


class Received(NamedTuple):
    """What came, and how it ended."""

    data: bytes
    reset: bool
    """Whether the end was a reset, which may have taken answers with it."""


class Late(Exception):
    """The server did not end the connection in time."""


def connect(port: int, rng: random.Random, *, small: bool) -> socket.socket:
    """A new connection. It comes from one of many addresses of this machine, as one has not enough
    ports for all that end within a minute."""
    connection = socket.socket()
    try:
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((f"127.0.0.{rng.randint(2, 250)}", 0))
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


async def attack(connection: socket.socket, session: Sent) -> Received | None:
    """Use *connection* for *session*; None where nothing was read on purpose. Raises Late."""
    loop = asyncio.get_running_loop()
    reader = None
    if session.manner not in (Manner.DEAF, Manner.RESET):
        reader = asyncio.create_task(_read(connection, session))
    try:
        await asyncio.wait_for(_send(loop, connection, session), SENDING)
    except TimeoutError:
        if session.manner is not Manner.DEAF:
            raise Late("it reads no more") from None
    except OSError:
        pass  # the server has closed: what it said is read, or not
    if reader:
        return await reader
    if session.manner is Manner.RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        await _wait_unread(connection)
    return None


async def _send(loop: asyncio.AbstractEventLoop, connection: socket.socket, session: Sent) -> None:
    first = True
    for piece in session.pieces():
        if not first:
            await asyncio.sleep(PAUSE)
        first = False
        await loop.sock_sendall(connection, piece)
    if session.manner in (Manner.CLOSE, Manner.SLOW):
        connection.shutdown(socket.SHUT_WR)


async def _read(connection: socket.socket, session: Sent) -> Received:
    """Read to the end, or until a client that leaves has what it asked for."""
    loop, data = asyncio.get_running_loop(), bytearray()
    leaves, begun = session.manner is Manner.LEAVE, time.monotonic()
    slowly = SLOW_BYTES * SLOW_READS if session.manner is Manner.SLOW else 0
    while True:
        slow = len(data) < slowly
        size = max(1, _due(time.monotonic() - begun) - len(data)) if slow else 1 << 18
        try:
            chunk = await asyncio.wait_for(loop.sock_recv(connection, size), DEADLINE + SENDING)
        except TimeoutError:
            raise Late("it is not ended") from None
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.EPIPE):
                raise
            return Received(bytes(data), reset=True)
        if not chunk:
            return Received(bytes(data), reset=False)
        data += chunk
        if leaves and session.is_answered(bytes(data)):
            return Received(bytes(data), reset=False)
        if slow:
            await asyncio.sleep(SLOW_SECONDS)


def _due(seconds: float) -> int:
    """Bytes that a slow reader has taken by then, who keeps his pace though this program is late:
    the server may cut off one who stands still."""
    return SLOW_BYTES * (1 + int(seconds / SLOW_SECONDS))


async def _wait_unread(connection: socket.socket) -> None:
    """Wait for the server to end a connection from which nothing is read.

    Where the kernel still holds answers, their end lies behind them: then it must come as soon as
    they are read, which a server that has not closed does not manage.
    """
    deadline = time.monotonic() + DEADLINE
    while _tcp_state(connection) not in (CLOSE_WAIT, CLOSED):
        if time.monotonic() > deadline:
            await _read_out(connection)
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _read_out(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(READ_OUT):
            while await loop.sock_recv(connection, 1 << 18):
                pass
    except TimeoutError:
        raise Late("it is not ended although nobody reads") from None
    except ConnectionResetError:
        return


def _tcp_state(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def faults(session: Session, received: Received) -> Iterator[tuple[str, str]]:
    """What is wrong with what came, as kinds and details."""
    try:
        yield from _faults(session, received)
    except Malformed as error:
        yield "malformed answer", str(error)


def _faults(session: Session, received: Received) -> Iterator[tuple[str, str]]:
    data, at, answered = received.data, 0, 0
    waiting = session.known
    while at < len(data):
        method = waiting[answered].request.method if answered < len(waiting) else "GET"
        cut = read_answer(data, at, method, ended=not received.reset)
        if cut is None:
            if not received.reset:
                yield "cut answer", f"the connection ended within {data[at : at + 200]!r}"
            return
        answer, at = cut
        if 100 <= answer.status < 200 and answer.status != 101:
            continue
        if answered < len(waiting):
            rest = data[at:] if answer.status == 101 else b""
            if not received.reset and (fault := judge.mismatch(waiting[answered], answer, rest)):
                yield "known", f"answer {answered + 1} of {len(waiting)}: {fault}"
        elif session.more:
            yield from judge.faults(answer, session.door, None)
        else:
            yield "too many", f"{data[at - 200 : at]!r} after {len(waiting)} answers"
        answered += 1
        if answer.status == 101:
            frames.read_frames(data, at)
            return
    if answered < len(waiting) and not received.reset:
        yield "missing", f"{answered} answers to {len(waiting)} questions"
