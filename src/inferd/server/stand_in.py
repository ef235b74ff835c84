"""Lets clients in where no worker does, and gives them to the others: who comes next in that seat
may load for minutes, or keep failing."""

import selectors
from collections.abc import Mapping, Sequence
from functools import partial

from inferd.server.listeners import Listener
from inferd.server.spread import Given, Spread

MOST = 64  # connections of one listener that are let in at once: others wait to be heard


class StandIn:
    """For the supervisor's thread. TLS is left to wait: only a worker can shake hands."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        spread: Spread,
        shares: Sequence[Sequence[Listener]],
    ) -> None:
        """*shares* are the listeners of each seat."""
        self._selector, self._spread, self._shares = selector, spread, shares
        self._covered = dict[int, int]()

    def cover(self, vacant: Mapping[int, int]) -> None:
        """Let clients in for the seats that are *vacant*, each with its slot among those that give
        and take connections; and no more for those that are not."""
        for seat in self._covered.keys() - vacant.keys():
            del self._covered[seat]
            for listener in self._plain(seat):
                self._selector.unregister(listener.socket)
        for seat in vacant.keys() - self._covered.keys():
            self._covered[seat] = vacant[seat]
            for listener in self._plain(seat):
                listener.socket.setblocking(False)
                act = partial(self._let_in, listener, seat)
                self._selector.register(listener.socket, selectors.EVENT_READ, act)

    def _plain(self, seat: int) -> list[Listener]:
        return [each for each in self._shares[seat] if each.is_plain]

    def _let_in(self, listener: Listener, seat: int, _: int) -> None:
        slot, name = self._covered.get(seat), listener.plan.name.encode()
        if slot is None:  # this very turn ended that
            return
        for _ in range(MOST):
            try:
                connection, _ = listener.socket.accept()
            except OSError:  # nobody waits any more, or no file can be opened
                return
            with connection:
                connection.setblocking(False)
                # Nobody looks into it: the sweep of this turn takes it to another one.
                self._spread.inboxes[slot].put(Given(name, connection.fileno()))
