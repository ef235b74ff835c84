"""What a load saw, and how heavy a load is: the same for all programs that make one."""

from dataclasses import dataclass

CONNECTIONS = 32
"""Requests that are under way at a time: over HTTP/1.1 each has a connection of its own."""

Cores = int | str
"""A core's number, or several as taskset takes them: 0,1."""


@dataclass(frozen=True)
class LoadResult:
    """Times in seconds."""

    requests: int
    elapsed: float
    p50: float
    p99: float
    carried: int | None = None
    """Bytes of the answers' bodies, where that is told."""

    @property
    def rate(self) -> float:
        return self.requests / self.elapsed


def whole_seconds(seconds: float) -> int:
    """wrk knows whole seconds only, and all loads are equally long."""
    return max(1, round(seconds))
