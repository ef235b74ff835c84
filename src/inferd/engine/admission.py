"""Whether a request may wait for its model: not where its answer would come too late, and not while
those that wait have waited long already.

Nothing here runs, waits or looks at a clock: the scheduler tells what begins and ends, and asks.

Two questions, so that a queue may be long in a burst and is short in an overload:

- Can it be in time? What a call takes is learned from those that ended (``Pace``); what waits ahead
  of the newcomer is that many calls.
- Is the queue a burst, which empties again, or an overload, which never does? As in CoDel (RFC
  8289) the wait of what is taken from the queue tells: where it stays above a target for as long
  as the target, newcomers are refused until it has fallen again. The queue's length would not tell:
  a thousand requests are much for one model and little for another.
"""

from collections import deque

from inferd.engine.cost import UNKNOWN, Cost
from inferd.engine.waiting import FOREVER
from inferd.errors import DeadlineExceeded, QueueFull, Refused
from inferd.spec import Batching

FORGET = (
    1 / 16
)  # the share of a new call in what is known of calls: a change is seen in some twenty
ANEW = 1 / 2  # that of one that shows, after a rest, that the model is no longer so slow
SURPRISE = 4.0  # times what was expected that a call counts for at most: one pause is no new pace
LEAN = 64.0  # how far rows must vary (squared) before the slope is taken from calls, not the start
TRUST_NS = 1_000_000_000  # what was learned longer ago refuses nobody: one must run to learn anew
MARGIN = 1.125  # of a delay, which is expected and not known
FEW = 64  # so many may always wait: clients who each wait for an answer are no overload
HELD, OVER = (
    1 / 4,
    1 / 8,
)  # of the target: the longest wait in an overload, and the wait that ends it


class Pace:
    """What calls have taken of late: a line ``fixed + per_row * rows`` in nanoseconds.

    It begins as the cost that was measured when the model was loaded. Where calls are all of much
    the same size, they tell its height only, and its slope stays.
    """

    def __init__(self, cost: Cost) -> None:
        known = cost != UNKNOWN
        self._slope = cost.per_row * 1000 if known else 0.0
        self._calls = 1 if known else 0
        self._rows, self._took = 1.0, cost.of(1) * 1000 if known else 0.0
        self._spread = self._joint = 0.0
        """The variance of rows, and their covariance with what the calls took."""
        self.fixed, self.per_row = self._took - self._slope, self._slope

    def of(self, rows: float) -> float:
        """The nanoseconds that a call is expected to take; 0 where nothing is known."""
        return self.fixed + self.per_row * rows

    def learn(self, rows: int, took_ns: int, *, anew: bool = False) -> None:
        """A call has ended; *anew* where it was the first for long, which makes it count for more
        where it was quicker than all that is known."""
        self._calls += 1
        share = max(FORGET, 1 / self._calls)
        if anew and took_ns < self.of(rows):
            share = max(ANEW, share)
        most = SURPRISE * max(self.of(rows), self._took)
        took = min(took_ns, most) if self._calls > 1 else took_ns
        more_rows, more_took = rows - self._rows, took - self._took
        self._rows += share * more_rows
        self._took += share * more_took
        self._spread = (1 - share) * (self._spread + share * more_rows**2)
        self._joint = (1 - share) * (self._joint + share * more_rows * more_took)
        slope = (self._joint + LEAN * self._slope) / (self._spread + LEAN)
        self.per_row = min(max(slope, 0.0), self._took / max(self._rows, 1.0))
        self.fixed = self._took - self.per_row * self._rows


class Admission:
    """One version's. For the loop thread only.

    Every ``began`` is followed by one ``ran``. A *deadline* is infinite where there is none.
    """

    def __init__(self, cost: Cost, batching: Batching, instances: int, *, joins: bool) -> None:
        self._pace, self._instances = Pace(cost), instances
        self._size = float(batching.max_batch_size) if joins else 0.0
        """Rows that a call has when more wait than fit; 0: each request is a call."""
        self._usual = 0.0
        """Rows that calls had of late."""
        self._target = batching.queue_target_ms * 1e6
        self._due: deque[float] = deque()
        """When each call in hand is expected to end, oldest first: those beyond the instances wait
        for one, and are followed by those in the queue."""
        self._since: deque[int] = deque()
        """Since when each that has an instance has it."""
        self._ended = -TRUST_NS
        self._anew = False
        """Whether a call is in hand that began when nothing was known any more."""
        self._above: int | None = None
        """Since when what is taken from the queue has waited longer than the target."""
        self.overloaded = False

    def admit(
        self, now: int, waiting: int, waiting_rows: int, rows: int, deadline: float
    ) -> Refused | None:
        """Why a request of *rows* rows may not wait behind so many others, if it may not."""
        if deadline == FOREVER and not self.overloaded:
            return None
        if not (waiting or self._due):  # all that waited then has gone
            self.overloaded = False
        delay, alone = self._delay(now, waiting, waiting_rows, rows), self._pace.of(rows)
        late = now + delay * MARGIN + alone - deadline
        if late >= 0 and (self._is_known(now) or deadline <= now):
            return _too_late(delay + alone, deadline - now, late)
        held = self._target * HELD
        if self.overloaded and waiting >= FEW and delay > held:
            return _overloaded(delay, held)
        return None

    def full(self, now: int, waiting: int, waiting_rows: int) -> QueueFull:
        """The refusal where no more may wait, whatever they are."""
        delay = self._delay(now, waiting, waiting_rows, 0)
        return QueueFull(
            "too many requests wait for this model",
            got=str(waiting),
            cure="Try again later.",
            retry_after=delay / 1e9,
        )

    def too_late(self, now: int, rows: int, deadline: float) -> bool:
        """Whether a call of *rows* rows that is handed over now would end after *deadline*."""
        return not self.room(now, rows, max(rows, 1), deadline)

    def room(self, now: int, rows: int, whole: float, deadline: float) -> float:
        """How many of the *whole* rows that wait a call that is handed over now may have, so that a
        request of *rows* among them is answered by *deadline*; 0 where it should not run any more.

        That is so where even alone it would be late, and where the call would have to be so small
        that all others together would be answered at half the pace.
        """
        if not self._is_known(now):
            return whole if deadline > now else 0.0
        pace, left = self._pace, deadline - now - self._rest(now)
        if left >= pace.of(whole) * MARGIN:
            return whole
        if left < pace.of(rows):
            return 0.0
        most = (left / MARGIN - pace.fixed) / pace.per_row if pace.per_row else whole
        most = min(max(most, rows), whole)
        is_worth_it = 2 * most * pace.of(whole) >= whole * pace.of(most)
        return most if is_worth_it else 0.0

    def call_ns(self, rows: int) -> float:
        """What a call of *rows* rows is expected to take."""
        return self._pace.of(rows)

    def began(self, now: int, oldest: int, rows: int, left: int) -> None:
        """A call of *rows* rows is handed over, whose oldest request waits since *oldest*, and
        leaves so many requests waiting."""
        if len(self._due) < self._instances:
            self._since.append(now)
        self._anew |= not self._is_known(now)
        self._due.append(now + self._rest(now) + self._pace.of(rows))
        self._usual += (rows - self._usual) / 4
        if left and self._size:  # as many as could be joined: fewer than may be, where they differ
            self._size += (rows - self._size) / 8
        if self._target:
            self._watch(now, now - oldest)

    def ran(self, now: int, rows: int, *, well: bool = True) -> None:
        """A call has ended; one that did not end *well* tells nothing of the next.

        What counts is how long it kept an instance from the next call, and so also what passed
        before and after the model itself.
        """
        self._due.popleft()
        took = now - self._since.popleft()
        if len(self._due) >= self._instances:
            self._since.append(now)
        self._ended = now
        if well:
            self._pace.learn(rows, took, anew=self._anew)
        self._anew = False

    def _watch(self, now: int, waited: int) -> None:
        if waited >= self._target:
            if self._above is None:
                self._above = now
            elif now - self._above >= self._target:
                self.overloaded = True
            return
        self._above = None
        if waited < self._target * OVER:
            self.overloaded = False

    def _delay(self, now: int, waiting: int, waiting_rows: int, rows: int) -> float:
        """How much later a newcomer would be answered than if he were alone."""
        pace, rest = self._pace, self._rest(now)
        if not self._size:
            work = waiting * pace.fixed + waiting_rows * pace.per_row
            return rest + work / self._instances
        calls, joined = divmod(waiting_rows, max(self._size, 1.0))
        work = calls * pace.of(self._size)
        if rest:  # others come meanwhile, and join his call
            joined = max(joined, self._usual - rows)
        return rest + work / self._instances + pace.per_row * joined

    def _rest(self, now: int) -> float:
        """How long until the model is free for one call more than are in hand."""
        due = self._due
        if len(due) < self._instances:
            return 0.0
        # One that is overdue may take as long again as it is overdue, and those behind it wait.
        return due[-self._instances] - now + 2 * max(0.0, now - due[0])

    def _is_known(self, now: int) -> bool:
        """Whether what was learned still holds."""
        return bool(self._due) or now - self._ended < TRUST_NS


def _too_late(needed: float, left: float, late: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        "the answer would come too late",
        got=f"{max(left, 0.0) / 1e6:.0f} ms",
        expected=f"about {needed / 1e6:.0f} ms",
        cure="Give it more time, or try again later.",
        retry_after=late / 1e9,
    )


def _overloaded(delay: float, held: float) -> QueueFull:
    return QueueFull(
        "too many requests wait for this model",
        got=f"{delay / 1e6:.0f} ms of waiting",
        expected=f"at most {held / 1e6:.0f} ms",
        cure="Try again later.",
        retry_after=(delay - held) / 1e9,
    )
