"""What an open-loop load saw: when each request was due, how long its answer took, what it was."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

GOOD: Final = frozenset({"200", "OK"})
LATE = "late"
"""Given up: no answer within the patience."""
BROKEN = "broken"
"""The connection, or the stream, ended in the middle of the request."""
WRONG = "wrong"
"""A good status with an answer that is not the right one."""

MOST_WORDS = 100
OTHER_WORDS = "..."
WORDS_LENGTH = 500


@dataclass
class Refusals:
    """What was said in the answers that were not good, by status."""

    words: dict[str, Counter[str]] = field(default_factory=dict)
    """How often each text came; beyond so many different ones they count as `...`."""
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of the last such answer; for gRPC with its trailers."""

    def note(self, status: str, body: bytes, headers: dict[str, str]) -> None:
        counted = self.words.setdefault(status, Counter())
        text = body[:WORDS_LENGTH].decode(errors="replace")
        known = text in counted or len(counted) < MOST_WORDS
        counted[text if known else OTHER_WORDS] += 1
        self.headers[status] = headers


@dataclass(frozen=True)
class Result:
    """One entry a request in each array, in the order in which they were due; seconds."""

    seconds: float
    """How long requests were due."""
    starts: NDArray[np.float64]
    """When each was due, from the beginning of the load."""
    latencies: NDArray[np.float64]
    """From when it was due, whenever it could be sent, to its end."""
    statuses: NDArray[np.uint8]
    """Numbers into `names`."""
    names: tuple[str, ...]
    """HTTP's numbers, gRPC's names, and the words above."""
    lag: float
    """The 99th percentile of how late the generator itself was, with a connection free."""
    refusals: Refusals

    @property
    def counts(self) -> dict[str, int]:
        """Requests by how they ended."""
        numbers = np.bincount(self.statuses, minlength=len(self.names))
        return {
            name: int(count) for name, count in zip(self.names, numbers, strict=True) if count > 0
        }

    @property
    def good(self) -> int:
        return sum(count for name, count in self.counts.items() if name in GOOD)

    @property
    def offered(self) -> float:
        """Requests a second."""
        return len(self.starts) / self.seconds

    @property
    def goodput(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds

    def percentile(self, share: float, *names: str) -> float:
        """The latency within which *share* % of the good answers came, or of those with *names*."""
        wanted = [i for i, name in enumerate(self.names) if name in (names or GOOD)]
        chosen = self.latencies[np.isin(self.statuses, wanted)]
        return float(np.percentile(chosen, share)) if len(chosen) else float("nan")

    def between(self, begin: float, end: float) -> "Result":
        """The part of it that was due from *begin* until before *end*."""
        kept = (self.starts >= begin) & (self.starts < end)
        return replace(
            self,
            seconds=end - begin,
            starts=self.starts[kept],
            latencies=self.latencies[kept],
            statuses=self.statuses[kept],
        )
