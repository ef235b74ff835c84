"""What happens to the server and when, and which of the clients' failures that explains. No IO."""

import random
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What is done to the server."""

    SWAP = "swap a model"
    GUEST = "load or unload a model"
    KILL_HOST = "kill a model's process"
    RELOAD = "reload"
    KILL_WORKER = "kill a worker"
    HALT_WORKER = "stop a worker"


QUIET = (Kind.SWAP, Kind.GUEST, Kind.KILL_HOST)
"""What leaves the workers as they are, so that their memory can be watched meanwhile."""
ROUGH = (*QUIET, Kind.RELOAD, Kind.KILL_WORKER, Kind.HALT_WORKER)

EVERY = 5.0  # seconds between two events
QUIET_SHARE = 0.5  # of the time

AFTER = 1.5
"""Seconds after a worker was killed in which a client may find its connection broken: one that was
idle is found so by the next request."""
BROKEN = "broken"
"""A connection ended without an answer."""
REFUSED = "refused"
"""An answer that says, with an error, that there is none."""
WRONG = "wrong"
"""An answer that is not the model's."""

BREAKS = {Kind.KILL_WORKER: BROKEN, Kind.HALT_WORKER: BROKEN, Kind.KILL_HOST: REFUSED}
"""What each kind of event may do to requests that were under way; the others may do nothing."""


class Event(NamedTuple):
    """Something that is done, or was done, so many seconds after the start."""

    at: float
    kind: Kind


class Failure(NamedTuple):
    """A request that was not answered as it should have been; seconds after the start."""

    began: float
    ended: float
    client: str
    kind: str
    text: str


def events(seconds: float, seed: int) -> list[Event]:
    """All that is to be done within *seconds*: at first what leaves the workers alone, then
    everything, each kind as often as any other."""
    chance, planned, at = random.Random(seed), list[Event](), EVERY  # noqa: S311 - no secret
    rest: list[Kind] = []
    while at < seconds - EVERY:
        kinds = QUIET if at < seconds * QUIET_SHARE else ROUGH
        rest = [kind for kind in rest if kind in kinds] or chance.sample(kinds, len(kinds))
        planned.append(Event(at, rest.pop()))
        at += EVERY * chance.uniform(0.5, 1.5)
    return planned


def explained(failure: Failure, done: Sequence[Event]) -> Event | None:
    """The event that *failure* is the fault of; None where there is none."""
    return next(
        (
            event
            for event in done
            if BREAKS.get(event.kind) == failure.kind
            and failure.began <= event.at + AFTER
            and failure.ended >= event.at
        ),
        None,
    )
