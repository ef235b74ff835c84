"""What is done to a server that is soaked, and which failures that explains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.plan import (
    AFTER,
    BREAKS,
    BROKEN,
    QUIET,
    QUIET_SHARE,
    REFUSED,
    WRONG,
    Event,
    Failure,
    Kind,
    events,
    explained,
)

TIMES = st.floats(0, 1000, allow_nan=False)


@given(st.floats(60, 3600), st.integers(0, 1000))
def test_a_soak_disturbs_workers_only_in_its_second_half(seconds: float, seed: int) -> None:
    """While memory is watched no worker is replaced; all lies within the time, in order."""
    planned = events(seconds, seed)
    assert [event.at for event in planned] == sorted(event.at for event in planned)
    assert all(0 < event.at < seconds for event in planned)
    assert all(e.kind in QUIET for e in planned if e.at < seconds * QUIET_SHARE)


@pytest.mark.parametrize("kind", Kind)
def test_a_long_soak_does_everything(kind: Kind) -> None:
    """Every kind of event comes in fifteen minutes, several times."""
    assert sum(event.kind is kind for event in events(900, 1)) > 5


@given(st.sampled_from(Kind), TIMES, TIMES, st.sampled_from([BROKEN, REFUSED, WRONG]))
def test_only_a_kill_near_by_explains_a_failure_and_only_its_own_kind(
    kind: Kind, at: float, began: float, failed: str
) -> None:
    """A wrong answer is never explained, nor is what ended before or began long after."""
    failure = Failure(began, began + 0.5, "someone", failed, "")
    event = Event(at, kind)
    near = at - 0.5 <= began <= at + AFTER
    if explained(failure, [event]):
        assert BREAKS[kind] == failed
        assert near
    else:
        assert not near or BREAKS.get(kind) != failed
