"""The open-loop load: requests at fixed rates, whether or not the server keeps up.

A closed loop (wrk, h2load) waits for an answer before it asks again, so a server that stalls is
asked less and looks better than it is. Here each request has a time at which it is due; its latency
counts from then, also where it had to wait for a free connection. From a test:

    result = openloop.run(url, question, [Phase(100, 2), Phase(5000, 10), Phase(100, 3)])
    result.counts, result.goodput, result.percentile(99), result.between(12, 13).percentile(99)

By hand, on its own core:

    python -m bench.openloop http://127.0.0.1:8000/predict --body '{"features": [1, 2]}' \\
        --rates 100,1000 --seconds 5
"""

import argparse
import gc
import select
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import numpy as np

from bench import wires
from bench.dialects import GRPC_TYPE, JSON_TYPE, Question
from bench.errors import BenchError
from bench.link import Link
from bench.messages import framed
from bench.offered import BROKEN, LATE, WRONG, Refusals, Result
from bench.wires import Ended

CONNECT_LIMIT = 5.0
AGAIN = 0.02
"""Seconds until a connection that was refused is tried again."""
LOOK = 0.01
"""Seconds between two looks for requests to give up."""
SEED = 0
UNKNOWN: Final = 255


@dataclass(frozen=True)
class Phase:
    """So many requests a second, for so long."""

    rate: float
    seconds: float


@dataclass(frozen=True)
class Manner:
    """How it is asked."""

    connections: int = 64
    """Open from the beginning; one request at a time on each over HTTP/1.1, many over gRPC."""
    patience: float = 10.0
    """Seconds from when a request was due until it is given up."""
    arrivals: Literal["even", "random"] = "even"
    """Random ones are those of many callers who know nothing of each other (Poisson)."""
    right: bytes | None = None
    """What every good answer must be, byte for byte; None: anything."""


def run(
    url: str,
    question: Question,
    phases: Sequence[Phase],
    manner: Manner | None = None,
    halt: threading.Event | None = None,
) -> Result:
    """Ask *url* as the phases say, one after the other; blocks until the last request has ended.

    *halt* ends it early: what is under way is waited for. Raises BenchError where nobody listens at
    the beginning; later on, a connection that cannot be made is tried again and again.
    """
    generator = Generator(urlsplit(url), question, phases, manner or Manner())
    collecting = gc.isenabled()
    gc.disable()  # it would stop the load for longer than some answers take
    try:
        return generator.run(halt or threading.Event())
    finally:
        generator.close()
        if collecting:
            gc.enable()


def due(phases: Sequence[Phase], arrivals: str) -> "array[float]":
    """When each request is due, in seconds from the beginning."""
    random, begin, times = np.random.default_rng(SEED), 0.0, array("d")
    for phase in phases:
        count = round(phase.rate * phase.seconds)
        offsets = np.arange(count) / phase.rate
        if arrivals == "random":
            offsets = np.sort(random.uniform(0, phase.seconds, count))
        times.frombytes((begin + offsets).tobytes())
        begin += phase.seconds
    return times


class Generator:
    """One run: a loop of its own, since an event loop's timers are too coarse by a millisecond."""

    def __init__(
        self, url: SplitResult, question: Question, phases: Sequence[Phase], manner: Manner
    ) -> None:
        self.url, self.question, self.manner = url, question, manner
        self.seconds = sum(phase.seconds for phase in phases)
        self.starts = due(phases, manner.arrivals)
        self.total = len(self.starts)
        self.latencies = array("d", bytes(8 * self.total))
        self.statuses = bytearray([UNKNOWN]) * self.total
        self.names: dict[str, int] = {}
        self.lags = array("d")
        self.refusals = Refusals()
        self.next = self.oldest = self.ended = 0
        self.waiting: deque[int] = deque()
        self.under_way: dict[int, Link] = {}
        self.links: dict[int, Link] = {}
        self.free: deque[Link] = deque()
        self.missing = manner.connections
        self.again = self.look = 0.0
        self.poll = select.epoll()

    def run(self, halt: threading.Event) -> Result:
        self._connect_all()
        begin = self.begin = time.perf_counter()
        while self.ended < self.total:
            now = time.perf_counter() - begin
            if halt.is_set() and self.next < self.total:
                self.total, self.seconds = self.next, now
            self._ask(now)
            self._attend(self._pause(time.perf_counter() - begin))
            if now >= self.look:
                self._look_after(time.perf_counter() - begin)
        return self._result()

    def close(self) -> None:
        for link in self.links.values():
            link.close()
        self.poll.close()

    def _connect_all(self) -> None:
        deadline = time.perf_counter() + CONNECT_LIMIT
        self._connect()
        while self.missing or not all(link.connected for link in self.links.values()):
            if self.missing or time.perf_counter() > deadline:
                raise BenchError(f"nobody answers at {self.url.netloc}; is the server up?")
            self._attend(LOOK)

    def _connect(self) -> None:
        """As many connections as are missing; those that cannot be made stay missing."""
        for _ in range(self.missing):
            try:
                link = Link(self.url, wires.wire(self.url, self.question), self.poll)
            except OSError:
                return
            self.missing -= 1
            self.links[link.fd] = link

    def _ask(self, now: float) -> None:
        """Send what is due, as far as there is room."""
        first, starts, waiting = self.next, self.starts, self.waiting
        while self.next < self.total and starts[self.next] <= now:
            waiting.append(self.next)
            self.next += 1
        while waiting and (link := self._roomy()):
            call = waiting.popleft()
            if self.statuses[call] != UNKNOWN:
                self._offer(link)
                continue  # given up while it waited
            if call >= first:
                self.lags.append(now - starts[call])
            self.under_way[call] = link
            try:
                link.send(link.wire.begin(call))
            except OSError:
                self._lose(link)
            else:
                self._offer(link)

    def _roomy(self) -> Link | None:
        """The connection that has waited longest for a call."""
        while self.free:
            link = self.free.popleft()
            link.queued = False
            if link.fd in self.links and link.wire.room():
                return link
        return None

    def _offer(self, link: Link) -> None:
        if not link.queued and link.connected and link.wire.room():
            link.queued = True
            self.free.append(link)

    def _pause(self, now: float) -> float:
        """Seconds to wait for answers."""
        until = self.look
        if self.next < self.total:
            until = min(until, self.starts[self.next])
        return max(0.0, until - now)

    def _attend(self, pause: float) -> None:
        """Take what has come, after *pause* at the latest."""
        if pause > 0.0:
            # epoll counts milliseconds; select, on the same, microseconds.
            select.select([self.poll], [], [], pause)
        for fd, events in self.poll.poll(0):
            link = self.links.get(fd)
            if link is None:
                continue
            try:
                self._attend_one(link, events)
            except OSError:
                self._lose(link)

    def _attend_one(self, link: Link, events: int) -> None:
        if events & select.EPOLLOUT or not link.connected:
            link.writable()
        data = link.receive() if events & ~select.EPOLLOUT else None
        if data:
            ended, back = link.wire.feed(data)
            for each in ended:
                self._end(each)
            if back:
                link.send(back)
            if calls := link.wire.untouched():
                self._requeue(calls)
        if data == b"" or (link.wire.closing and not link.wire.under_way()):
            self._lose(link)
            return
        if link.wire.closing:
            self._replace(link)
        self._offer(link)

    def _requeue(self, calls: list[int]) -> None:
        for call in calls:
            self.under_way.pop(call, None)
        self.waiting.extendleft(reversed(calls))

    def _lose(self, link: Link) -> None:
        """Its calls are broken off; another connection takes its place."""
        if self.links.pop(link.fd, None) is None:
            return
        link.close()
        for call in link.wire.under_way():
            self._end(Ended(call, BROKEN, b"", {}))
        self._replace(link)

    def _replace(self, link: Link) -> None:
        """By another, at once unless it could not be made itself."""
        if not link.replaced:
            link.replaced = True
            self.missing += 1
            if link.connected:
                self._connect()

    def _end(self, ended: Ended) -> None:
        call, status, body, headers = ended
        if self.under_way.pop(call, None) is None:
            return
        if status in ("200", "OK"):
            if self.manner.right is not None and body != self.manner.right:
                status = WRONG
                self.refusals.note(status, body, headers)
        else:
            self.refusals.note(status, body, headers)
        self._note(call, status)

    def _note(self, call: int, status: str) -> None:
        self.latencies[call] = time.perf_counter() - self.begin - self.starts[call]
        self.statuses[call] = self.names.setdefault(status, len(self.names))
        self.ended += 1

    def _look_after(self, now: float) -> None:
        """Give up what is too old, and make the connections that are missing."""
        self.look = now + LOOK
        while self.oldest < self.next:
            call = self.oldest
            if self.statuses[call] == UNKNOWN:
                if now - self.starts[call] < self.manner.patience:
                    break
                self._give_up(call)
            self.oldest += 1
        if self.missing and now >= self.again:
            self.again = now + AGAIN
            self._connect()

    def _give_up(self, call: int) -> None:
        link = self.under_way.pop(call, None)
        self._note(call, LATE)
        if link is None:
            return
        back = link.wire.give_up(call)
        try:
            if back is None:
                self._lose(link)
            else:
                link.send(back)
                self._offer(link)
        except OSError:
            self._lose(link)

    def _result(self) -> Result:
        names = tuple(self.names)
        return Result(
            seconds=self.seconds,
            starts=np.array(self.starts[: self.total]),
            latencies=np.array(self.latencies[: self.total]),
            statuses=np.frombuffer(bytes(self.statuses[: self.total]), np.uint8),
            names=names,
            lag=float(np.percentile(self.lags, 99)) if self.lags else 0.0,
            refusals=self.refusals,
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.openloop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="the path of gRPC: /package.Service/Method")
    parser.add_argument("--body", default="{}", help="text, or @file (%(default)s)")
    parser.add_argument("--header", action="append", default=[], help="'name: text', repeatable")
    parser.add_argument("--grpc", action="store_true", help="the body is a message of protobuf")
    parser.add_argument("--rates", default="100", help="requests/s, several in turn: 100,1000")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="open at a time (%(default)s)")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds (%(default)s)")
    parser.add_argument("--arrivals", choices=("even", "random"), default="even")
    options = parser.parse_args()
    manner = Manner(options.connections, options.patience, options.arrivals)
    phases = [Phase(float(rate), options.seconds) for rate in options.rates.split(",")]
    try:
        seen = run(options.url, _question(options), phases, manner)
    except BenchError as error:
        print(f"openloop: {error}", file=sys.stderr)
        return 1
    for number, phase in enumerate(phases):
        begin = number * options.seconds
        print(told(seen.between(begin, begin + options.seconds), phase.rate))
    print(f"the load itself was at most {seen.lag * 1e3:.2f} ms late (p99)")
    return 0


def told(seen: Result, rate: float) -> str:
    """One line for a terminal."""
    p50, p99, worst = (seen.percentile(share) * 1e3 for share in (50, 99, 100))
    ends = ", ".join(f"{count:,} {name}" for name, count in seen.counts.items())
    return (
        f"{rate:10,.0f}/s asked  {seen.goodput:10,.1f}/s good  "
        f"p50 {p50:9,.2f}  p99 {p99:9,.2f}  max {worst:9,.2f} ms  {ends}"
    )


def _question(options: argparse.Namespace) -> Question:
    text = options.body
    body = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
    headers = dict(GRPC_TYPE if options.grpc else JSON_TYPE)
    for line in options.header:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Question(framed(body) if options.grpc else body, headers)


if __name__ == "__main__":
    sys.exit(main())
