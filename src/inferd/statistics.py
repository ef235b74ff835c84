"""What a version has done so far, as one frozen record: the words of Triton's statistics, in which
clients of several protocols ask."""

import msgspec


class Total(msgspec.Struct, frozen=True):
    """How often something was done, and the nanoseconds that it took, summed."""

    count: int = 0
    ns: int = 0

    def __add__(self, other: "Total") -> "Total":
        return Total(self.count + other.count, self.ns + other.ns)


class SizeStatistics(msgspec.Struct, frozen=True):
    """The calls of the model with one number of rows; each duration once a call."""

    rows: int
    compute_input: Total
    compute_infer: Total
    compute_output: Total

    def __add__(self, other: "SizeStatistics") -> "SizeStatistics":
        return SizeStatistics(
            self.rows,
            self.compute_input + other.compute_input,
            self.compute_infer + other.compute_infer,
            self.compute_output + other.compute_output,
        )


class Statistics(msgspec.Struct, frozen=True):
    """Totals since the server was started: those of a version that was loaded again, and those of a
    process that another one replaced, are in them.

    A duration counts once for each request: one that ran together with others counts the whole
    call's. Requests that were refused before they reached the version are not in here.
    """

    success: Total = Total()
    """Requests answered; the time from the queue to the answer written."""
    fail: Total = Total()
    """Requests that reached the version and were not answered: a full queue, a deadline, a caller
    who left, a model that raised."""
    queue: Total = Total()
    compute_input: Total = Total()
    """Joining the rows of several requests."""
    compute_infer: Total = Total()
    compute_output: Total = Total()
    """From the model's outputs to the answer written."""
    cache_hit: Total = Total()
    cache_miss: Total = Total()
    rows: int = 0
    """Rows of the requests answered."""
    executions: int = 0
    """Calls of the model that returned."""
    last_inference_ms: int = 0
    """When the last of them returned: milliseconds since 1970; 0 for never."""
    sizes: tuple[SizeStatistics, ...] = ()
    """By number of rows, fewest first; not every one where there were a great many."""

    @property
    def requests(self) -> int:
        """Requests that were completed, in whichever way."""
        return self.success.count + self.fail.count

    def __add__(self, other: "Statistics") -> "Statistics":
        return Statistics(
            success=self.success + other.success,
            fail=self.fail + other.fail,
            queue=self.queue + other.queue,
            compute_input=self.compute_input + other.compute_input,
            compute_infer=self.compute_infer + other.compute_infer,
            compute_output=self.compute_output + other.compute_output,
            cache_hit=self.cache_hit + other.cache_hit,
            cache_miss=self.cache_miss + other.cache_miss,
            rows=self.rows + other.rows,
            executions=self.executions + other.executions,
            last_inference_ms=max(self.last_inference_ms, other.last_inference_ms),
            sizes=_by_rows(self.sizes, other.sizes),
        )


NOTHING = Statistics()
"""Of a version that nobody has asked."""


def _by_rows(*parts: tuple[SizeStatistics, ...]) -> tuple[SizeStatistics, ...]:
    """The calls of all *parts*: those with as many rows as one."""
    summed: dict[int, SizeStatistics] = {}
    for size in (size for part in parts for size in part):
        known = summed.get(size.rows)
        summed[size.rows] = size if known is None else known + size
    return tuple(summed[rows] for rows in sorted(summed))
