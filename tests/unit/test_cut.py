"""The batcher's cut, and joining and splitting rows: pure, and held against what must always be
so."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.engine.joining import Split, join, split
from inferd.engine.schedulers.batch import Cut, cut
from inferd.errors import RunFailed
from inferd.spec import Batching
from inferd.tensors import Array


class Seat(NamedTuple):
    """A request as the cut sees it."""

    rows: int
    since: int


LINES = st.lists(st.builds(Seat, st.integers(0, 25), st.integers(0, 5000)), min_size=1)
DELAYS = st.sampled_from([0, 1, 4])


@st.composite
def limits(draw: st.DrawFn) -> Batching:
    """Any sizes and delay that go together."""
    most = draw(st.integers(1, 10))
    sizes = draw(st.lists(st.integers(1, most), max_size=3))
    return Batching(most, draw(DELAYS), tuple(sizes))


def rows_of(line: Sequence[Seat], chosen: Cut) -> int:
    """How many a batch has."""
    return sum(seat.rows for seat in line[: chosen.take]) + chosen.part


@given(LINES, limits(), st.integers(0, 12_000))
def test_a_batch_has_no_more_rows_than_it_may(
    line: Sequence[Seat], batching: Batching, now: int
) -> None:
    """And is not empty; and a part is never a whole request, nor of one that fits into a batch."""
    chosen = cut(line, batching, now)
    assert rows_of(line, chosen) <= batching.max_batch_size
    assert (chosen.take + chosen.part > 0) == (not chosen.wake_at)
    assert len(line) >= chosen.take >= 0
    if chosen.part:
        assert chosen.part < line[chosen.take].rows
        assert line[chosen.take].rows > batching.max_batch_size


@given(LINES, limits(), st.integers(0, 12_000))
def test_nothing_that_fits_is_left_behind_where_no_size_is_preferred(
    line: Sequence[Seat], batching: Batching, now: int
) -> None:
    """A batch ends with the first that does not fit."""
    assume(not batching.preferred_batch_size)
    chosen = cut(line, batching, now)
    if not chosen.wake_at and chosen.take < len(line):
        rows = rows_of(line, chosen)
        assert rows + line[chosen.take].rows - chosen.part > batching.max_batch_size


@given(LINES, limits(), st.integers(0, 12_000))
def test_a_batch_waits_only_while_it_may_become_better(
    line: Sequence[Seat], batching: Batching, now: int
) -> None:
    """Not without a delay, not when that is over, not with as many rows as are ever preferred."""
    chosen = cut(line, batching, now)
    if chosen.wake_at:
        delay = batching.max_queue_delay_microseconds * 1000
        assert delay
        assert chosen.wake_at == min(seat.since for seat in line) + delay > now
        largest = max(batching.preferred_batch_size, default=batching.max_batch_size)
        assert sum(seat.rows for seat in line) < largest


@given(LINES, limits(), st.integers(0, 12_000))
def test_the_time_to_look_again_is_the_time_it_leaves(
    line: Sequence[Seat], batching: Batching, now: int
) -> None:
    """A scheduler that wakes when it was told to finds a batch."""
    chosen = cut(line, batching, now)
    assert not chosen.wake_at or not cut(line, batching, int(chosen.wake_at)).wake_at


@given(LINES, st.lists(st.integers(1, 25)), limits(), st.integers(0, 12_000))
def test_what_is_settled_stays_so(
    line: list[Seat], more: list[int], batching: Batching, now: int
) -> None:
    """Whoever comes later changes nothing of a batch that was said to be settled."""
    chosen = cut(line, batching, now)
    if chosen.settled:
        assert cut(line + [Seat(rows, 5000) for rows in more], batching, now) == chosen


@given(LINES, limits())
def test_the_whole_line_leaves_in_the_end(line: list[Seat], batching: Batching) -> None:
    """Taking batch after batch runs every row of everybody, in order."""
    left, gone = list(enumerate(line)), list[tuple[int, int]]()
    while left:
        chosen = cut([seat for _, seat in left], batching, 10**9)
        gone += [(at, seat.rows) for at, seat in left[: chosen.take]]
        left = left[chosen.take :]
        if chosen.part:
            at, seat = left[0]
            gone.append((at, chosen.part))
            left[0] = at, Seat(seat.rows - chosen.part, seat.since)
    assert [at for at, _ in gone] == sorted(at for at, _ in gone)
    for at, seat in enumerate(line):
        assert sum(rows for each, rows in gone if each == at) == seat.rows


ONES = [Seat(1, 0)] * 20


@pytest.mark.parametrize(
    ("line", "batching", "now", "chosen"),
    [
        # Triton's GetDynamicBatch, case by case (core/src/dynamic_batch_scheduler.cc).
        (ONES[:3], Batching(8, 10, (4,)), 0, Cut(0, wake_at=10_000)),
        (ONES[:4], Batching(8, 10, (4,)), 0, Cut(4, settled=True)),
        (ONES[:6], Batching(8, 10, (4,)), 0, Cut(4, settled=True)),
        (ONES[:6], Batching(8, 10, (2, 4)), 0, Cut(4, settled=True)),
        (ONES[:3], Batching(8, 10, (2, 4)), 0, Cut(2)),
        (ONES[:20], Batching(8, 10, (4,)), 0, Cut(4, settled=True)),
        (ONES[:20], Batching(8, 10, (4,)), 10_000, Cut(8, settled=True)),
        (ONES[:6], Batching(8, 10, (4,)), 10_000, Cut(6, settled=True)),
        (ONES[:3], Batching(8, 10, (4,)), 10_000, Cut(3)),
        (ONES[:3], Batching(8, 0, (4,)), 0, Cut(3)),
        (ONES[:7], Batching(8, 0, (4,)), 0, Cut(4, settled=True)),
        # A preferred size can no longer be had: nothing is waited for.
        ([Seat(3, 0), Seat(3, 0)], Batching(8, 10, (4,)), 0, Cut(1, settled=True)),
        ([Seat(5, 0)], Batching(8, 10, (4,)), 0, Cut(1, settled=True)),
        # More rows than fit into one call.
        ([Seat(20, 0)], Batching(8), 0, Cut(0, 8, settled=True)),
        ([Seat(3, 0), Seat(20, 0)], Batching(8), 0, Cut(1, 5, settled=True)),
        ([Seat(8, 0), Seat(20, 0)], Batching(8), 0, Cut(1, 0, settled=True)),
        ([Seat(3, 0), Seat(6, 0)], Batching(8), 0, Cut(1, 0, settled=True)),
    ],
)
def test_the_cut_is_tritons(
    line: Sequence[Seat], batching: Batching, now: int, chosen: Cut
) -> None:
    """Preferred sizes and the delay do what they do there; but what is too large is cut."""
    assert cut(line, batching, now) == chosen


ARRAYS = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 4), st.just(2)), elements=st.floats(-9, 9, width=32)
)


@given(st.lists(ARRAYS, min_size=1, max_size=5))
def test_splitting_is_the_inverse_of_joining(arrays: list[Array]) -> None:
    """Every request gets the rows that it sent."""
    inputs = [{"X": array, "Z": array * 2} for array in arrays]
    shares = split(join(inputs), [len(array) for array in arrays])
    for sent, share in zip(inputs, shares, strict=True):
        assert list(share) == ["X", "Z"]
        for name, array in sent.items():
            assert np.array_equal(share[name], array, equal_nan=True)


def test_a_single_request_is_not_copied() -> None:
    """One request alone runs on the very arrays that were decoded."""
    inputs = {"X": np.zeros((1, 2))}
    assert join([inputs]) is inputs


@pytest.mark.parametrize("output", [np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(()), np.zeros(0)])
def test_an_output_of_another_number_of_rows_is_the_models_fault(output: Array) -> None:
    """Nobody gets a share of rows that cannot be told apart."""
    with pytest.raises(RunFailed, match="'Y' has the wrong number of rows"):
        split({"Y": output}, [1, 2])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.randoms())
def test_parts_may_end_in_any_order(sizes: list[int], chance: random.Random) -> None:
    """The answer has its rows as they were sent; it is whole with the last of them, once."""
    values = np.arange(sum(sizes))
    ends = np.cumsum(sizes).tolist()
    parts = [(end - size, size) for end, size in zip(ends, sizes, strict=True)]
    chance.shuffle(parts)
    whole = Split(len(values))
    told = [whole.take(at, size, {"Y": values[at : at + size]}) for at, size in parts]
    assert told == [False] * (len(parts) - 1) + [True]
    assert whole.whole()["Y"].tolist() == values.tolist()
