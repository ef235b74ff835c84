"""inferd.server.spread: connections go to the worker that has least, before they were read."""

import asyncio
import os
import selectors
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.server.spread import Given, Inbox, Seat, Spread, choose
from inferd.server.worker import new_loop
from tests.unit.toys import until

COUNTS = st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=8)


@given(COUNTS, st.integers(0, 7), st.integers(1, 60))
def test_a_connection_moves_where_that_makes_things_more_even(
    slots: list[tuple[int, bool]], at: int, mine: int
) -> None:
    """Only to one that takes them, that has least of those, and at least two fewer: so nobody gives
    back what he was given, and it ends."""
    me = at % len(slots)
    counts, live = [count for count, _ in slots], [int(lives) for _, lives in slots]
    to = choose(counts, live, me, mine)
    others = [counts[slot] for slot in range(len(slots)) if live[slot] and slot != me]
    if to is None:
        assert not others or (live[me] and mine < min(others) + 2)
    else:
        assert to != me
        assert live[to]
        assert counts[to] == min(others)
        if live[me]:
            counts[me] = mine - 1
            assert choose(counts, live, to, counts[to] + 1) is None


@given(st.integers(2, 6), st.lists(st.integers(0, 5), max_size=100))
def test_connections_that_stay_end_up_even(workers: int, landings: list[int]) -> None:
    """However the kernel spreads them, no worker has two more than another."""
    counts = [0] * workers
    for landing in landings:
        me = landing % workers
        counts[me] += 1
        to = choose(counts, [1] * workers, me, counts[me])
        if to is not None:
            counts[me] -= 1
            counts[to] += 1
    assert max(counts) - min(counts) <= 1


class Echo(asyncio.Protocol):
    """Says who it is, and then what it is told."""

    def __init__(self, name: bytes, connections: set["Echo"]) -> None:
        self._name, self._connections = name, connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # it is one
        self._connections.add(self)
        self._transport.write(self._name)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)


class Site:
    """Some workers' seats, all on one loop, and a port of the first one's."""

    def __init__(self, slots: int) -> None:
        self.spread = Spread(slots)
        self.connections: list[set[Echo]] = [set() for _ in range(slots)]
        seats = [self._seat(slot) for slot in range(slots)]
        self.seats = [seat for seat, _ in seats]
        self._factories = [factory for _, factory in seats]

    def _seat(self, slot: int) -> tuple[Seat, Callable[[], asyncio.Protocol]]:
        connections = self.connections[slot]
        seat = Seat(self.spread, slot, lambda: len(connections))
        name = str(slot).encode()
        return seat, seat.factory("main", lambda: Echo(name, connections))

    async def close(self) -> None:
        for seat in self.seats:
            await seat.close()
        self.spread.close()

    async def listen(self, slot: int) -> tuple[asyncio.AbstractServer, int]:
        """A port of that worker's."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._factories[slot], "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]


LOOPS = pytest.mark.parametrize("loop", [new_loop, asyncio.new_event_loop])
Loop = Callable[[], asyncio.AbstractEventLoop]


@LOOPS
def test_connections_of_one_port_are_spread_over_all_workers(loop: Loop) -> None:
    """A client notices nothing: what it sent at once is read by whoever has the connection, and the
    connection lives on after it was given away."""

    async def go() -> None:
        site = Site(3)
        for seat in site.seats:
            seat.open(asyncio.get_running_loop())
        server, port = await site.listen(0)
        with ExitStack() as stack:
            clients = []
            for at in range(12):
                client = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
                client.setblocking(False)
                client.send(b"%02d" % at)
                clients.append(client)
                await until(lambda: sum(map(len, site.connections)) == len(clients))
            for at, client in enumerate(clients):
                assert await _read(client, 3) in {b"%d%02d" % (slot, at) for slot in range(3)}
                client.send(b"again")
                assert await _read(client, 5) == b"again"
            assert [len(each) for each in site.connections] == [4, 4, 4]
        await until(lambda: not any(site.connections))
        for seat in site.seats:
            seat.refresh()
        assert site.spread.board.counts.tolist() == [0, 0, 0]
        server.close()
        await site.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(go())


@LOOPS
def test_a_worker_that_leaves_is_given_nothing_and_gives_all(loop: Loop) -> None:
    """What waits in its inbox the supervisor gives to another."""

    async def go() -> None:
        site = Site(2)
        for seat in site.seats:
            seat.open(asyncio.get_running_loop())
        server, port = await site.listen(0)
        await site.seats[1].close()
        with closing(socket.create_connection(("127.0.0.1", port))) as client:
            client.setblocking(False)
            assert await _read(client, 1) == b"0"
            with closing(socket.create_connection(("127.0.0.1", port))) as second:
                second.setblocking(False)
                assert await _read(second, 1) == b"0"
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            site.spread.inboxes[1].put(Given(b"main", theirs.fileno()))
            site.spread.lost(1)
            ours.setblocking(False)
            assert await _read(ours, 1) == b"0"
        server.close()
        await site.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(go())


def test_what_nobody_takes_waits_for_the_next_worker() -> None:
    """The inbox outlives its workers."""
    spread = Spread(2)
    ours, theirs = socket.socketpair()
    with closing(ours):
        with closing(theirs):
            spread.inboxes[1].put(Given(b"main", theirs.fileno()))
        spread.lost(1)
        (found,) = spread.inboxes[1].take()
        assert not os.get_inheritable(found.descriptor)
        with socket.socket(fileno=found.descriptor) as again:
            again.send(b"here")
        assert (found.name, ours.recv(4)) == (b"main", b"here")
    spread.close()


def test_a_full_inbox_takes_no_more() -> None:
    """The connection stays where it is."""
    inbox, (ours, theirs) = Inbox(), socket.socketpair()
    with closing(ours), closing(theirs):
        given_ = 0
        while inbox.put(Given(b"main", theirs.fileno())):
            given_ += 1
            assert given_ < 100_000
        taken = inbox.take()
        assert len(taken) == given_ > 10
        for each in taken:
            os.close(each.descriptor)
    inbox.close()


def test_a_seat_closes_the_inboxes_of_others() -> None:
    """What was given to another worker must not look as if somebody might still take it."""
    spread = Spread(3)
    spread.seat(1, lambda: 0)
    assert [inbox.door.fileno() < 0 for inbox in spread.inboxes] == [True, False, True]
    spread.close()


async def _read(client: socket.socket, size: int) -> bytes:
    read = bytearray()

    def is_there() -> bool:
        try:
            read.extend(client.recv(size - len(read)))
        except BlockingIOError:
            return False
        return len(read) >= size

    await until(is_there)
    return bytes(read)


@LOOPS
def test_what_a_worker_has_taken_when_it_leaves_is_let_in(loop: Loop) -> None:
    """It is a connection like all others by then, and is answered like them."""

    async def go() -> None:
        site = Site(2)
        for seat in site.seats:
            seat.open(asyncio.get_running_loop())
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            site.spread.inboxes[1].put(Given(b"main", theirs.fileno()))
            while _is_readable(site.spread.inboxes[1].door):  # noqa: ASYNC110 - not a turn more
                await asyncio.sleep(0)
            await site.seats[1].close()
            assert len(site.connections[1]) == 1
        await site.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(go())


def _is_readable(door: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(door, selectors.EVENT_READ)
        return bool(selector.select(0))
