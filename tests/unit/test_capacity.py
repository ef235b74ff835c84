"""Tests of lanes/capacity.py: what clients hold is counted exactly, and bounded."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.config import Settings
from inferd.errors import Code, Overloaded
from inferd.lanes.capacity import SPARE_FILES, Capacity, capacity

MOST = 100
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "keep", "let_go"]), st.integers(0, 4), st.integers(0, MOST * 2)
    ),
    max_size=40,
)


class Listener:
    """What a service is to the capacity."""

    def __init__(self, room: Capacity, clients: int = 0) -> None:
        self._room = room
        self.connections = set(range(clients))
        self.seen = [False]
        room.services.append(self)

    def look_closely(self) -> None:
        self.seen.append(self._room.is_full)


@given(STEPS)
def test_the_sum_is_that_of_its_holders(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is held and let go: the bytes are those of the holders, what is too much is refused
    and changes nothing, and each listener is told when the state changes, and only then."""
    room = Capacity(request_bytes=MOST)
    listener = Listener(room)
    held: dict[Any, int] = {}
    for verb, holder, size in steps:
        if verb == "let_go":
            room.let_go(holder)
            held.pop(holder, None)
        elif verb == "keep":
            room.keep(holder, size)
            held[holder] = size
        else:
            others = sum(held.values()) - held.get(holder, 0)
            fits = size <= held.get(holder, 0) or others + size <= MOST
            if fits and (size <= held.get(holder, 0) or sum(held.values()) < MOST):
                room.hold(holder, size)
                held[holder] = size
            else:
                with pytest.raises(Overloaded):
                    room.hold(holder, size)
        assert room.bytes == sum(held.values())
        assert room.is_full is (room.bytes >= MOST)
        assert listener.seen[-1] is room.is_full
        assert all(one is not other for one, other in zip(listener.seen, listener.seen[1:]))  # noqa: B905 - neighbours
    for holder in tuple(held):
        room.let_go(holder)
    assert (room.bytes, room.is_full) == (0, False)


def test_a_refusal_says_what_to_do() -> None:
    """The error is of the kind that a client tries again after, and names the bound."""
    with pytest.raises(Overloaded) as caught:
        Capacity(request_bytes=5).expect(6)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert caught.value.retry_after > 0
    assert "at most 5" in caught.value.text


def test_connections_are_those_of_all_listeners() -> None:
    """The bound is the worker's: its listeners fill it together."""
    room = Capacity(connections=3)
    Listener(room, 1)
    other = Listener(room, 2)
    assert not room.is_crowded
    other.connections.add(7)
    assert room.is_crowded


@pytest.mark.parametrize(
    ("files", "expected"),
    [(1024, 1024 - SPARE_FILES), (1 << 20, (1 << 20) - SPARE_FILES), (300, 150), (64, 32)],
)
def test_as_many_connections_as_the_system_lets(files: int, expected: int) -> None:
    """Some descriptors are spared for other things; of few, half."""
    assert capacity(Settings(), lambda: files).connections == expected


def test_the_settings_come_first() -> None:
    """What is set is taken, whatever the system allows."""
    room = capacity(Settings(max_connections=7, max_inflight_bytes=8), lambda: 1024)
    assert (room.connections, room.request_bytes) == (7, 8)


def test_the_system_is_asked() -> None:
    """Its own limit of open files is what this process has."""
    resource = pytest.importorskip("resource", reason="Windows has no limit of open files")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    expected = sys.maxsize if most == resource.RLIM_INFINITY else most
    assert capacity(Settings()).connections <= expected
