"""``python -m fuzz --frames``: as ``--connections``, by HTTP/2."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fuzz import calls, frame_sessions
from fuzz.calls import Call
from fuzz.client import Received
from fuzz.dialects import DIALECTS
from fuzz.frame_sessions import FrameMaker, FrameSession
from fuzz.siege import Besieger, Siege
from fuzz.target import Target


class FrameSiege(Siege):
    """Runs the processes, and judges the server as a whole."""

    what = "frames"

    def _work(self, target: Target) -> tuple[Any, Sequence[Any]]:
        dialects = [DIALECTS[name] for name in self._plan.dialects]
        asked = calls.questions(dialects, list(target.ports))
        return work, (calls.calmly(asked, target.ports),)


class FrameBesieger(Besieger):
    """The connections of one process."""

    def faults(self, session: Any, received: Received) -> Iterator[tuple[str, str]]:
        sent: FrameSession = session
        return frame_sessions.faults(sent, received)


def work(
    asked: Sequence[Call],
    ports: Mapping[str, int],
    seed: int,
    seconds: float,
    at_once: int,
    reports: Any,
) -> None:
    """One process: besiege for *seconds* and report now and then."""
    maker = FrameMaker(asked, seed)
    asyncio.run(FrameBesieger(maker, ports, seed, reports).run(seconds, at_once))
    reports.put(None)
