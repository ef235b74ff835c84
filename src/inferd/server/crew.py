"""The workers' processes, and the lines to them."""

import selectors
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from inferd.server.link import Line, Message
from inferd.server.process import Ended, News, Process, bury, fork


class Crew:
    """Processes by the numbers of their workers."""

    def __init__(
        self, selector: selectors.BaseSelector, heard: Callable[[int, Message], None]
    ) -> None:
        """*heard* is told what a worker says."""
        self._selector, self._heard = selector, heard
        self._processes: dict[int, Process] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._processes

    def start(self, number: int, main: Callable[[Line], int]) -> None:
        """Start a process that runs *main*. Raises OSError."""
        process = self._processes[number] = fork(main)
        self._selector.register(process.line, selectors.EVENT_READ, partial(self._on_line, number))

    def pid(self, number: int) -> int:
        """The process of a worker."""
        return self._processes[number].pid

    def send(self, number: int, message: Message) -> None:
        """Say *message* to a worker, if it still is there."""
        if process := self._processes.get(number):
            process.line.send(message)
            self._choose(number, process)

    def signal(self, number: int, what: int) -> None:
        """Send a worker a signal, if it still is there."""
        if process := self._processes.get(number):
            process.send(what)

    def news(self) -> Iterator[tuple[int, News]]:
        """What became of the processes since the last question. What one said before it ended is
        told before that it did."""
        for number, process in list(self._processes.items()):
            while (news := process.news()) is not None:  # those without a fact are empty
                if isinstance(news, Ended):
                    self._listen(number, process)
                    self._let_go(process)
                    del self._processes[number]
                yield number, news
                if isinstance(news, Ended):
                    break
        bury({process.pid for process in self._processes.values()})

    def end(self) -> None:
        """End every process at once."""
        for process in self._processes.values():
            process.send(9)
        for process in self._processes.values():
            process.wait()
            self._let_go(process)
        self._processes.clear()

    def forget(self) -> None:
        """Free what a child inherited: a line that it held would not end with its other end."""
        for process in self._processes.values():
            process.line.close()

    def _on_line(self, number: int, events: int) -> None:
        process = self._processes.get(number)
        if process is None:  # it ended in this very turn
            return
        if events & selectors.EVENT_WRITE:
            process.line.flush()
            self._choose(number, process)
        if events & selectors.EVENT_READ:
            self._listen(number, process)

    def _listen(self, number: int, process: Process) -> None:
        try:
            messages = process.line.receive()
        except ConnectionError:  # that it ended is told by the system
            self._deafen(process)
            return
        for message in messages:
            self._heard(number, message)

    def _choose(self, number: int, process: Process) -> None:
        """Wait for room to write only while something waits for it."""
        writes = selectors.EVENT_WRITE if process.line.wants_write else 0
        with suppress(KeyError):  # it hung up
            if self._selector.get_key(process.line).events != selectors.EVENT_READ | writes:
                self._selector.modify(
                    process.line, selectors.EVENT_READ | writes, partial(self._on_line, number)
                )

    def _deafen(self, process: Process) -> None:
        with suppress(KeyError):
            self._selector.unregister(process.line)

    def _let_go(self, process: Process) -> None:
        self._deafen(process)
        process.line.close()
