"""Whether a batch that could start waits a moment for the callers who were just answered; pure.

Callers that ask again as soon as they are answered would otherwise settle into taking turns: while
some are answered the others run, and every turn pays the fixed cost of a call. To wait for them
costs the short time that they need to come back, and is worth no more than that fixed cost.
"""

from collections.abc import Hashable

PARTS = 4
"""Of the fixed cost: how long nobody may come before the wait is given up. Of a whole call: what is
taken for its fixed cost where that is not known."""
MEMORY = 4
"""Waits whose outcome counts: callers change their ways."""
WORTH = 0.5
"""The share of those waited for that must have come, of late."""
AGAIN = 16
"""Batches after which a wait that was not worth it is tried once more."""


class Company:
    """What one version's batches know of each other. Times are nanoseconds of one clock."""

    def __init__(self, fixed_us: float) -> None:
        self._guesses = fixed_us == float("inf")
        self._most = 0 if self._guesses else int(fixed_us * 1000)
        self._began = 0
        self._group: Hashable = None
        self._expected = self._here = self._limit = self._moved = 0
        self._awaited = 0
        """How many are missing since the last answers; 0: nobody is waited for."""
        self._share, self._passed = 1.0, 0

    def began(self, now: int) -> None:
        """A batch starts, due or full: how long it takes tells something of a cost not known."""
        self._began = now

    def answered(self, now: int, group: Hashable, count: int, waiting: int) -> None:
        """*count* requests of *group* were answered, while *waiting* ones of it stand in line."""
        self._settle()
        if self._guesses and self._began:
            self._most = (now - self._began) // PARTS
        self._group, self._expected, self._here = group, count + waiting, waiting
        self._limit, self._moved = now + self._most, now
        if self._worth_it():
            self._awaited = count

    def wait_until(self, now: int, group: Hashable, waiting: int) -> int:
        """When a batch of the *waiting* ones of *group* starts at the latest; it is due if that is
        not after *now*, and nobody is then waited for any more."""
        if group != self._group:  # those who come back would not be in it
            self._awaited = 0
        if not self._awaited:
            return now
        if waiting > self._here:
            self._here, self._moved = waiting, now
        until = min(self._limit, self._moved + self._most // PARTS)
        if waiting < self._expected and until > now:
            return until
        self._settle()
        return now

    def _worth_it(self) -> bool:
        self._passed += 1
        if self._share < WORTH and self._passed < AGAIN:
            return False
        self._passed = 0
        return bool(self._most)

    def _settle(self) -> None:
        """Learn from the wait that ends."""
        if self._awaited:
            missing = min(max(0, self._expected - self._here), self._awaited)
            came = 1 - missing / self._awaited
            self._share += (came - self._share) / MEMORY
            self._awaited = 0
