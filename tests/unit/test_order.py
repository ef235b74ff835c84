"""Answers that leave in the order of their requests, whatever order they are made in."""

import random
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from inferd.engine.order import Order, OrderedReply
from inferd.errors import Cancelled
from tests.unit.toys import CountingReply


class Diary(CountingReply):
    """Writes what it is told into a diary that it shares with others."""

    def __init__(self, number: int, diary: list[Any]) -> None:
        super().__init__()
        self.number, self.diary = number, diary

    def part(self, response: Any) -> None:
        super().part(response)
        self.diary.append((self.number, response))

    def end(self) -> None:
        super().end()
        self.diary.append((self.number, "end"))

    def fail(self, error: Any) -> None:
        super().fail(error)
        self.diary.append((self.number, "fail"))


def several(count: int) -> tuple[list[Diary], list[OrderedReply], list[Any], list[None]]:
    """So many replies, each behind the other; their diary, and a mark for each that has left."""
    diary, left = list[Any](), list[None]()
    order = Order(lambda: left.append(None))
    replies = [Diary(at, diary) for at in range(count)]
    return replies, [order.place(reply) for reply in replies], diary, left


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.randoms())
def test_answers_leave_in_order(parts: list[int], chance: random.Random) -> None:
    """Each with all its parts and one end, or one failure, and none before the one ahead of it."""
    replies, ordered, diary, left = several(len(parts))
    acts = [at for at, count in enumerate(parts) for _ in range(count + 1)]
    chance.shuffle(acts)
    told, expected = [0] * len(parts), list[list[Any]]([] for _ in parts)
    for at in acts:
        if told[at] < parts[at]:
            ordered[at].part(cast("Any", told[at]))
            expected[at].append((at, told[at]))
        elif at % 3 == 2:
            ordered[at].fail(Cancelled("x"))
            expected[at].append((at, "fail"))
        else:
            ordered[at].end()
            expected[at].append((at, "end"))
        told[at] += 1
        done = [told[each] > parts[each] for each in range(len(parts))]
        front = done.index(False) if False in done else len(parts)
        assert diary == [entry for entries in expected[: front + 1] for entry in entries]
        assert len(left) == front
    assert all(reply.ends + reply.failures == 1 for reply in replies)


def test_who_waits_for_his_turn_is_not_writable() -> None:
    """A model that answers in parts is held until then, and told when."""
    replies, ordered, _, _ = several(2)
    first, second = ordered
    called: list[str] = []
    first.on_writable(lambda: called.append("first"))
    second.on_writable(lambda: called.append("second"))
    assert (first.writable, second.writable, called) == (True, False, ["first"])
    first.end()
    assert (second.writable, called) == (True, ["first", "second"])
    replies[1].writable = False
    assert not second.writable


def test_a_caller_who_left_is_seen_before_his_turn() -> None:
    """So that his request need not be run."""
    replies, ordered, _, _ = several(2)
    replies[1].cancelled = True
    assert [each.cancelled for each in ordered] == [False, True]


def test_an_answer_that_brings_the_next_request() -> None:
    """A connection may ask on in the moment in which it is answered: that request stands last."""
    diary: list[Any] = []
    order = Order(lambda: None)

    class Asking(Diary):
        def end(self) -> None:
            super().end()
            order.place(Diary(9, diary)).end()

    first, second = order.place(Asking(0, diary)), order.place(Diary(1, diary))
    second.end()
    first.end()
    assert diary == [(0, "end"), (1, "end"), (9, "end")]
