"""How long a connection waits for a client that sends nothing, or takes nothing of its answers."""

from inferd.lanes.service import TICK_SECONDS, Limits

# How long a refused body is read on, so that the refusal reaches a client that still sends: closing
# at once would reset the connection under its answer.
LINGER_SECONDS = 2.0


class Patience:
    """What is known of a client's silence. Times are the service's, which moves once a tick: each
    limit is a tick longer, so that nobody is cut off too early."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self.heard = now
        """When something of the client's last came."""
        self._taken, self._unsent = now, 0

    def begin_stall(self, now: float, unsent: int) -> None:
        """The client takes its answers more slowly than they are made; *unsent* bytes are left."""
        self._taken, self._unsent = now, unsent

    def is_stalled(self, now: float, unsent: int) -> bool:
        """Whether it took nothing of what is left for too long."""
        if unsent < self._unsent:
            self._taken = now
        self._unsent = unsent
        return now - self._taken - TICK_SECONDS > self._limits.read_timeout_seconds

    def is_over(self, now: float, *, deaf: bool, idle: bool) -> bool:
        """Whether it sent nothing for too long.

        *deaf*: nothing that it sends is heard any more. *idle*: it is not in the middle of a
        request.
        """
        if deaf:
            limit = LINGER_SECONDS
        else:
            limits = self._limits
            limit = limits.keep_alive_seconds if idle else limits.read_timeout_seconds
        return now - self.heard - TICK_SECONDS > limit
