"""The batcher's cut, join and split: pure, and held against what must always be so."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.engine.schedulers.batch import Cut, Seat, cut, join, split
from inferd.errors import RunFailed
from inferd.spec import Batching
from inferd.tensors import Array

QUEUES = st.lists(
    st.builds(Seat, st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 5000)), min_size=1
).map(lambda seats: sorted(seats, key=lambda seat: seat.since))
LIMITS = st.builds(Batching, st.integers(1, 10), st.sampled_from([0, 1, 4]))


@given(QUEUES, LIMITS, st.integers(0, 12_000))
def test_a_batch_is_the_oldest_and_the_next_of_its_group(
    queue: Sequence[Seat], limits: Batching, passed: int
) -> None:
    """Nobody of the group is overtaken, and nobody of another group is taken."""
    now = queue[0].since + passed
    taken = cut(queue, limits, now).take
    if not taken:
        return
    group = [at for at, seat in enumerate(queue) if seat.group == queue[0].group]
    assert list(taken) == group[: len(taken)]


@given(QUEUES, LIMITS)
def test_a_batch_is_no_larger_than_it_may_be(queue: Sequence[Seat], limits: Batching) -> None:
    """More rows than the limit are only ever one request's, or of no rows beside it; and what
    would fit is not left behind."""
    taken = cut(queue, limits, 10**9).take
    rows = sum(queue[at].rows for at in taken)
    if rows > limits.max_batch_size:
        assert rows == queue[0].rows
    group = [at for at, seat in enumerate(queue) if seat.group == queue[0].group]
    if len(taken) < len(group):
        assert rows + queue[group[len(taken)]].rows > limits.max_batch_size


@given(QUEUES, LIMITS, st.integers(0, 12_000))
def test_a_batch_leaves_when_it_is_full_or_due(
    queue: Sequence[Seat], limits: Batching, passed: int
) -> None:
    """It waits only while it has room and its oldest has waited no longer than allowed."""
    now = queue[0].since + passed
    due = queue[0].since + limits.max_queue_delay_microseconds * 1000
    chosen = cut(queue, limits, now)
    whole = sum(seat.rows for seat in queue if seat.group == queue[0].group)
    if now >= due or whole >= limits.max_batch_size:
        assert chosen.take
    else:
        assert chosen == Cut((), due)


@given(QUEUES, LIMITS)
def test_the_time_to_look_again_is_the_time_it_leaves(
    queue: Sequence[Seat], limits: Batching
) -> None:
    """A scheduler that wakes when it was told to finds a batch."""
    chosen = cut(queue, limits, queue[0].since)
    assert chosen.take or cut(queue, limits, chosen.wake_at).take


@given(QUEUES, LIMITS)
def test_the_whole_queue_leaves_in_the_end(queue: list[Seat], limits: Batching) -> None:
    """Taking batch after batch answers everybody, each group in its order."""
    left = [(seat.group, at, seat) for at, seat in enumerate(queue)]
    gone: list[tuple[object, int]] = []
    while left:
        taken = set(cut([seat for _, _, seat in left], limits, 10**9).take)
        gone += [(group, at) for i, (group, at, _) in enumerate(left) if i in taken]
        left = [each for i, each in enumerate(left) if i not in taken]
    for group in "ab":
        order = [at for g, at in gone if g == group]
        assert order == sorted(order)
    assert len(gone) == len(queue)


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
