"""inferd.server.stand_in: connections that wait where no worker is go to one that is there."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from inferd.server.listeners import Listener, Plan
from inferd.server.ports import bind, share
from inferd.server.spread import Spread
from inferd.server.stand_in import StandIn

PLAN = Plan("main", "--port", 0, ())


@pytest.fixture
def shares() -> Iterator[list[tuple[Listener, ...]]]:
    """The listeners of two seats, at one address."""
    sockets = share(bind("127.0.0.1", 0), 2)
    for each in sockets:
        each.listen(128)
    yield [(Listener(PLAN, each, ""),) for each in sockets]
    for each in sockets:
        each.close()


def test_a_vacant_seats_connections_go_to_others(shares: list[tuple[Listener, ...]]) -> None:
    """Each that waits there is found in the inbox of the worker who serves, as it was made."""
    spread = Spread(4)
    spread.board.live[1] = 1
    clients = [socket.create_connection(shares[0][0].socket.getsockname()) for _ in range(32)]
    with selectors.DefaultSelector() as selector:
        stand_in = StandIn(selector, spread, shares)
        stand_in.cover({0: 0})
        while ready := selector.select(0):
            for key, events in ready:
                key.data(events)
        spread.sweep()
        stand_in.cover({})
        assert not selector.get_map()
    given = spread.inboxes[1].take()
    assert {each.name for each in given} == {b"main"}
    theirs = [socket.socket(fileno=each.descriptor) for each in given]
    ours = {each.getsockname() for each in clients}
    assert 0 < len(theirs) < 32, "the other seat's wait for their own worker"
    assert {each.getpeername() for each in theirs} < ours
    for end in (*clients, *theirs):
        end.close()
    spread.close()


def test_a_seat_that_is_taken_in_this_turn_is_left_alone(
    shares: list[tuple[Listener, ...]],
) -> None:
    """What was seen to wait there waits for who has the seat now."""
    spread = Spread(4)
    with (
        selectors.DefaultSelector() as selector,
        socket.create_connection(shares[0][0].socket.getsockname()),
        socket.create_connection(shares[1][0].socket.getsockname()),
    ):
        stand_in = StandIn(selector, spread, shares)
        stand_in.cover({0: 0, 1: 1})
        (seen, *_) = selector.select(5)
        stand_in.cover({})
        seen[0].data(seen[1])
    assert [inbox.take() for inbox in spread.inboxes] == [[]] * 4
    spread.close()
