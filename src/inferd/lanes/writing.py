"""The half of an HTTP/1.1 connection that writes: answers leave in the order of their requests
(RFC 9112, section 9.3.2)."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable

from inferd.lanes.patience import Patience, undelivered
from inferd.lanes.service import Service
from inferd.lanes.turn import Turn

# Seconds until a client that has ended its side is asked whether it still reads, and until it is
# asked again; twice as many until the next time, and so on.
FIRST_DOUBT, NEXT_DOUBT = 0.2, 0.1


class WritingHalf:
    """See ``turn.Carrier`` for what its turns may rely on."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._transport: asyncio.Transport
        self._turns: deque[Turn] = deque()
        """Requests whose answers are not wholly written, oldest first; empty while a quick one is
        answered."""
        self._writable = True
        self._callbacks: list[Callable[[], None]] = []
        self._patience = Patience(service.limits, service.now)
        self._deaf = False
        """Whether what still arrives is thrown away: after a last request, or one that could not be
        understood."""

    def pause_writing(self) -> None:
        self._writable = False
        self._patience.begin_stall(self.service.now, self._transport.get_write_buffer_size())
        self.pace()

    def resume_writing(self) -> None:
        self._writable = True
        self.pace()
        self.call_back()

    def pace(self) -> None:
        """Read on, or stop reading, as the turns have room."""
        raise NotImplementedError

    def send(self, turn: Turn, data: bytes | memoryview, *, last: bool) -> None:
        turns = self._turns
        if turns and turns[0] is not turn:
            turn.held += (data,)
            return
        self._transport.write(data)
        if last and (turns or self._deaf):
            if turns:
                turns.popleft()
            self._after(turn)  # first: the last of those that follow may linger
            self._flush()

    def is_writable(self, turn: Turn) -> bool:
        return self._writable and (not self._turns or self._turns[0] is turn)

    def when_writable(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def cut(self, turn: Turn) -> None:
        turn.keep_alive, turn.done = False, True
        self.send(turn, b"", last=True)

    def _await(self, turn: Turn, size: int) -> None:
        """*turn*, whose body has *size* bytes, is not answered at once."""
        self._turns.append(turn)
        if size:
            self.service.capacity.keep(turn, size)

    def _flush(self) -> None:
        """Let those go whose turn has come."""
        turns = self._turns
        while turns:
            turn = turns[0]
            if turn.held:
                self._transport.writelines(turn.held)
                turn.held = ()
            if not turn.done:
                self.call_back()
                break
            turns.popleft()
            self._after(turn)
        self.pace()

    def _after(self, turn: Turn) -> None:
        """*turn*'s answer is written: close the connection if it was the last."""
        service = self.service
        service.capacity.let_go(turn)
        if not turn.keep_alive:
            self._deaf, self._patience.heard = True, service.now
            self._forget_turns()  # there are some only where an answer broke off
        if turn.lingers:
            if self._transport.can_write_eof():  # TLS cannot: there the clock closes it
                self._transport.write_eof()
        elif self._deaf and not self._turns:
            if service.draining and not service.parting and self._transport.can_write_eof():
                self._transport.write_eof()  # the next request may be on its way
            else:
                self._close()

    def _close(self) -> None:
        """Close when what is written has left."""
        if not self._transport.is_closing():
            self._patience.begin_stall(self.service.now, sys.maxsize)
            self._transport.close()

    def _see_off(self, now: float) -> None:
        """A transport of TLS that closes waits for the client's goodbye, which may never come: wait
        only until what was written has left, or nothing of it leaves any more."""
        unsent = undelivered(self._transport)
        if not unsent or self._patience.is_stalled(now, unsent):
            self._transport.abort()

    def _outlives_the_end(self) -> bool:
        """The client sends no more: whether it can still be answered. Not by TLS, where the
        transport closes both ways."""
        if self._transport.can_write_eof():
            if self._turns:
                self.service.home.loop.call_later(FIRST_DOUBT, self._probe, NEXT_DOUBT)
            return bool(self._turns)
        self._forget_turns()
        return False

    def _probe(self, pause: float) -> None:
        """A client that has ended its side may read on or have gone for good, which nothing tells
        but writing: the system of one that has gone answers with a reset, and the write after that
        fails."""
        if self._turns and not self._transport.is_closing():
            if sign := self._sign():
                self._transport.write(sign)
            self.service.home.loop.call_later(pause, self._probe, 2 * pause)

    def _sign(self) -> bytes:
        """What may be written before the next answer, and changes nothing; empty where nothing
        may."""
        return b""

    def _forget_turns(self) -> None:
        turns = tuple(self._turns)
        self._turns.clear()
        for turn in turns:
            if turn.done:
                self.service.capacity.let_go(turn)
            turn.disconnect()

    def call_back(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
