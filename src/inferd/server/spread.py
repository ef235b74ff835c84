"""Evens out the connections of several workers: one that has more than its share gives a fresh one
away, before anything of it was read.

The kernel spreads connections over the workers' sockets by a hash of their addresses: of a few that
live long, one worker may get most. Each worker writes on a board that all see how many it has; a
worker's inbox takes the connections that it is given.
"""

import asyncio
import mmap
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

Make: TypeAlias = Callable[[], asyncio.Protocol]

LONGEST_NAME = 64  # bytes, of a listener


def choose(counts: Sequence[int], live: Sequence[int], me: int, mine: int) -> int | None:
    """Who is to have a fresh connection instead of *me*, if anybody: pure.

    *mine* are my connections with that one. It is worth moving where it makes things more even; one
    that takes no more of them gives away each.
    """
    others = [slot for slot, lives in enumerate(live) if lives and slot != me]
    least = min(others, key=lambda slot: counts[slot], default=None)
    if least is None or (live[me] and mine < counts[least] + 2):
        return None
    return least


class Board:
    """Numbers that all processes see: a slot's connections, and whether it takes more."""

    def __init__(self, slots: int) -> None:
        numbers = memoryview(mmap.mmap(-1, 2 * slots * 4)).cast("I")
        self.counts, self.live = numbers[:slots], numbers[slots:]

    def choose(self, me: int, mine: int) -> int | None:
        """As the function of that name, with the numbers of this moment."""
        return choose(self.counts.tolist(), self.live.tolist(), me, mine)


class Given(NamedTuple):
    """A connection on its way: the name of its listener, and its descriptor."""

    name: bytes
    descriptor: int


class Inbox:
    """What a slot is given. Outlives its workers: what one had no time for, the next one finds."""

    def __init__(self) -> None:
        # Messages with borders, in order; a full one says so at once.
        self.door, self.slit = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.door.setblocking(False)
        self.slit.setblocking(False)

    def close(self) -> None:
        """Take nothing any more; connections that wait are cut off."""
        self.door.close()
        self.slit.close()

    def put(self, given: Given) -> bool:
        """Give; False where it takes no more. The descriptor stays the caller's own to close."""
        try:
            socket.send_fds(self.slit, [given.name], [given.descriptor])
        except OSError:
            return False
        return True

    def take(self) -> list[Given]:
        """All that is there."""
        found = list[Given]()
        with suppress(BlockingIOError):
            while True:
                name, descriptors, _, _ = socket.recv_fds(self.door, LONGEST_NAME, 1)
                if not name:
                    break
                for each in descriptors:  # programs that a model starts would keep it open
                    os.set_inheritable(each, False)
                found += [Given(name, each) for each in descriptors]
        return found


class Spread:
    """All slots; made before the first worker is forked."""

    def __init__(self, slots: int) -> None:
        self.board = Board(slots)
        self.inboxes = [Inbox() for _ in range(slots)]

    def seat(self, slot: int, connections: Callable[[], int]) -> "Seat":
        """A worker's place, in its process; *connections* tells how many it has."""
        for at, inbox in enumerate(self.inboxes):
            if at != slot:
                inbox.door.close()
        return Seat(self, slot, connections)

    def close(self) -> None:
        """Leave nothing behind. For the supervisor, at the end."""
        for inbox in self.inboxes:
            inbox.close()

    def lost(self, slot: int) -> None:
        """The worker of that slot is no more. For the supervisor."""
        self.board.live[slot] = self.board.counts[slot] = 0
        self.sweep()

    def sweep(self) -> None:
        """Forward what was given to those who take no more. For the supervisor, now and then: a
        giver may be late."""
        for slot, inbox in enumerate(self.inboxes):
            if not self.board.live[slot]:
                for given in inbox.take():
                    to = self.board.choose(slot, 0)
                    if to is None or not self.give(given, to):
                        inbox.put(given)  # for the slot's next worker
                    os.close(given.descriptor)

    def give(self, given: Given, to: int) -> bool:
        """Give to the worker of slot *to*; False where it takes no more."""
        if not self.inboxes[to].put(given):
            return False
        self.board.counts[to] += 1  # until it counts itself: others may have one to give, too
        return True


class Seat:
    """One worker's part. For the loop thread."""

    def __init__(self, spread: Spread, slot: int, connections: Callable[[], int]) -> None:
        self._spread, self._slot, self._connections = spread, slot, connections
        self._makes: dict[bytes, Make] = {}
        self._arriving: set[asyncio.Task[None]] = set()
        self._door = spread.inboxes[slot].door.fileno()
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop

    def factory(self, name: str, make: Make) -> Make:
        """What a listener called *name* makes of a connection, where others make it of those that
        are kept."""
        self._makes[name.encode()] = make
        return lambda: Newcomer(self, name.encode(), make)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take connections from others, on *loop*."""
        self._loop, self._is_open = loop, True
        loop.add_reader(self._door, self._arrive)
        self.refresh()

    def refresh(self) -> None:
        """Write on the board what is true now: of connections that end nobody is told."""
        if self._is_open:
            self._spread.board.counts[self._slot] = self._connections()
            self._spread.board.live[self._slot] = 1

    async def close(self) -> None:
        """Take no more, and let in what was taken. What is in the inbox is for the supervisor to
        forward, or for the slot's next worker, which may be there already."""
        self._is_open = False
        self._spread.board.live[self._slot] = 0
        self._loop.remove_reader(self._door)
        await asyncio.gather(*self._arriving)

    def gives_away(self, name: bytes, transport: asyncio.Transport) -> bool:
        """Give a fresh connection to whoever should have it instead; False: it stays."""
        mine = self._connections() + 1
        board, slot = self._spread.board, self._slot
        board.counts[slot] = mine
        to = board.choose(slot, mine)
        if to is None:
            return False
        descriptor = transport.get_extra_info("socket").fileno()
        if not self._spread.give(Given(name, descriptor), to):
            return False
        board.counts[slot] = mine - 1
        return True

    def _arrive(self) -> None:
        for given in self._spread.inboxes[self._slot].take():
            task = self._loop.create_task(self._welcome(given))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _welcome(self, given: Given) -> None:
        connection = socket.socket(fileno=given.descriptor)
        try:
            await self._loop.connect_accepted_socket(self._makes[given.name], connection)
        except (OSError, KeyError):  # its client is gone, or its listener since a reload
            connection.close()
        self.refresh()


class Newcomer(asyncio.Protocol):
    """A connection of which it is not known yet who has it."""

    def __init__(self, seat: Seat, name: bytes, make: Make) -> None:
        self._seat, self._name, self._make = seat, name, make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream: asyncio.Transport = transport  # type: ignore[assignment]  # a connection's is one
        if self._seat.gives_away(self._name, stream):
            # Without a goodbye: the socket is open in the other process, and goes on there.
            stream.abort()
            return
        protocol = self._make()
        stream.set_protocol(protocol)
        protocol.connection_made(stream)
