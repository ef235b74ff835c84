"""The life of one version of a model: a table of states that only goes forward."""

from enum import Enum


class State(Enum):
    """Where a version stands. READY is told after the version works, DRAINING before it stops being
    handed out."""

    NEW = "new"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"
    FAILED = "failed"


FORWARD: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.LOADING}),
    State.LOADING: frozenset({State.READY, State.FAILED}),
    State.READY: frozenset({State.DRAINING}),
    State.DRAINING: frozenset({State.GONE}),
    State.GONE: frozenset(),
    State.FAILED: frozenset(),
}


def advance(now: State, then: State) -> State:
    """Return *then* if the table leads there from *now*; a step back or aside is a bug, and raises
    ValueError."""
    if then not in FORWARD[now]:
        raise ValueError(f"a version that is {now.value} cannot become {then.value}")
    return then
