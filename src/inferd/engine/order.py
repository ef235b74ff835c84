"""Lets the answers of one version leave in the order in which their requests came."""

from collections import deque
from collections.abc import Callable
from functools import partial

from inferd.calls import Reply, Response
from inferd.errors import InferdError


class Order:
    """The requests that are not answered yet, the oldest first. For the loop thread only."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._line: deque[OrderedReply] = deque()
        self._left = left
        """Called when a request has been answered."""

    def place(self, reply: Reply) -> "OrderedReply":
        """What stands for *reply* from now on."""
        made = OrderedReply(reply, self)
        self._line.append(made)
        return made

    def is_first(self, reply: "OrderedReply") -> bool:
        """Whether all that came before *reply* are answered."""
        return not self._line or self._line[0] is reply

    def ended(self, reply: "OrderedReply") -> None:
        """*reply* has been given its whole answer."""
        while self._line and self._line[0].done:
            self._line.popleft()
            self._left()
            if self._line:
                self._line[0].begin()


class OrderedReply:
    """A Reply that passes on what it is given once its turn has come."""

    __slots__ = ("_callbacks", "_held", "_order", "_reply", "done")

    def __init__(self, reply: Reply, order: Order) -> None:
        self._reply, self._order = reply, order
        self._held: list[Callable[[], None]] = []
        self._callbacks: list[Callable[[], None]] = []
        self.done = False

    @property
    def cancelled(self) -> bool:
        return self._reply.cancelled

    @property
    def writable(self) -> bool:
        return self._order.is_first(self) and self._reply.writable

    def on_writable(self, callback: Callable[[], None]) -> None:
        if self._order.is_first(self):
            self._reply.on_writable(callback)
        else:
            self._callbacks.append(callback)

    def part(self, response: Response) -> None:
        self._give(partial(self._reply.part, response))

    def end(self) -> None:
        self._conclude(self._reply.end)

    def fail(self, error: InferdError) -> None:
        self._conclude(partial(self._reply.fail, error))

    def begin(self) -> None:
        """It is its turn."""
        held, self._held = self._held, []
        for give in held:
            give()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._reply.on_writable(callback)

    def _give(self, give: Callable[[], None]) -> None:
        if self._order.is_first(self):
            give()
        else:
            self._held.append(give)

    def _conclude(self, give: Callable[[], None]) -> None:
        self._give(give)
        self.done = True
        self._order.ended(self)
