"""What a version has done so far: counters on the loop thread, read as one frozen record."""

import msgspec


class Statistics(msgspec.Struct, frozen=True):
    """Counts since the version was loaded; durations in nanoseconds, summed."""

    requests: int
    failures: int
    rows: int
    executions: int
    compute_ns: int
    queue_ns: int


class Counters:
    """Adds up. For the loop thread only."""

    __slots__ = ("compute_ns", "executions", "failures", "queue_ns", "requests", "rows")

    def __init__(self) -> None:
        self.requests = self.failures = self.rows = self.executions = self.compute_ns = (
            self.queue_ns
        ) = 0

    def read(self) -> Statistics:
        """The counts as they are now."""
        return Statistics(
            self.requests, self.failures, self.rows, self.executions, self.compute_ns, self.queue_ns
        )
