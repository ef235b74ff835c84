"""One soak, as a timeline: train, serve, ask and disturb, let it rest, judge."""

# ruff: noqa: T201 - a program that prints

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuzz.record import show
from fuzz.watch import Sample, trend
from soak.clients import CLIENTS, Client
from soak.disturb import Disturber
from soak.models import write_all
from soak.plan import QUIET_SHARE, Event, Failure, events, explained
from soak.server import Held, Server

KEPT = Path(".soak")
REST_SECONDS = 15.0  # until all that connections held must be back
SPARE_DESCRIPTORS = 8
"""More than before the load: a native model's line, an imported file."""


class Plan(NamedTuple):
    """What was asked for."""

    minutes: float
    workers: int
    seed: int


class Soak:
    """Runs it once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._samples: list[Sample] = []
        self._done: list[Event] = []
        self._faults: list[str] = []
        """What must not happen, in words."""
        self._clients: list[Client] = []
        self._started = time.monotonic()

    def run(self) -> bool:
        """Whether all is well."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            models = write_all(folder)
            served = [models.forest.path, models.neighbours.path]
            server = Server(served, self._log(), self._plan.workers)
            disturber = Disturber(server, models, folder, self._plan.seed)
            try:
                disturber.swap()
                idle = server.held()
                self._clients = [
                    kind(server.port, models, self._clock)
                    for kind, count in CLIENTS.items()
                    for _ in range(count)
                ]
                self._ask_and_disturb(server, disturber)
                self._rest(server, idle)
            finally:
                code = server.stop()
                self._faults += server.complaints()
            if code:
                self._faults.append(f"the server ended with {code}")
        return self._judge()

    def _log(self) -> Path:
        """Where the server's log goes, and stays."""
        KEPT.mkdir(exist_ok=True)
        return KEPT / "server.log"

    def _clock(self) -> float:
        return time.monotonic() - self._started

    def _ask_and_disturb(self, server: Server, disturber: Disturber) -> None:
        self._started = time.monotonic()
        for client in self._clients:
            client.start()
        try:
            seconds = self._plan.minutes * 60
            planned = events(seconds, self._plan.seed)
            while (now := self._clock()) < seconds and server.is_alive:
                if planned and planned[0].at <= now:
                    self._disturb(disturber, planned.pop(0))
                self._look(server)
                time.sleep(1.0)
        finally:
            for client in self._clients:
                client.over.set()
            for client in self._clients:
                client.join()
        if not server.is_alive:
            self._faults.append("the server ended by itself")

    def _disturb(self, disturber: Disturber, event: Event) -> None:
        self._done.append(Event(self._clock(), event.kind))
        try:
            disturber.act(event.kind)
        except RuntimeError as error:
            self._faults.append(str(error))

    def _look(self, server: Server) -> None:
        held, now = server.held(), self._clock()
        self._samples.append(Sample(now, held.memory, held.descriptors))
        self._faults += server.complaints()
        answered = sum(client.answered for client in self._clients)
        left = max(0.0, self._plan.minutes * 60 - now)
        unexplained = len(self._faults) + len(self._unexplained())
        show(
            f"{answered:,} answers, {answered / now:,.0f}/s, {held.memory >> 20} MiB, "
            f"{held.descriptors} descriptors, {len(self._done)} events, {left:.0f} s left, "
            f"{unexplained} faults"
        )

    def _rest(self, server: Server, idle: Held) -> None:
        """What the idle server holds, against what it held before."""
        deadline = time.monotonic() + REST_SECONDS
        while (held := server.held()).descriptors > idle.descriptors:
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        print(
            f"\nidle before and after: {idle.descriptors} and {held.descriptors} descriptors, "
            f"{idle.memory >> 20} and {held.memory >> 20} MiB"
        )
        if held.descriptors > idle.descriptors + SPARE_DESCRIPTORS:
            self._faults.append("descriptors did not come back")

    def _unexplained(self) -> list[Failure]:
        failures = [failure for client in self._clients for failure in client.failures[:]]
        return [failure for failure in failures if explained(failure, self._done) is None]

    def _judge(self) -> bool:
        self._tell_clients()
        quiet = [s for s in self._samples if s.seconds < self._plan.minutes * 60 * QUIET_SHARE]
        found = trend(quiet)
        if found is None:
            print("memory: too short a run to tell a trend")
        else:
            text = (
                f"{found.growth / 2**20:+.1f} MiB of {found.middle / 2**20:.0f} in "
                f"{found.seconds:.0f} s while no worker was replaced"
            )
            print(f"memory: {text}")
            if found.leaks:
                self._faults.append(f"memory: {text}")
        self._faults += _summed(self._unexplained())
        counts = Counter(event.kind.value for event in self._done)
        print("events: " + ", ".join(f"{kind} x {count}" for kind, count in sorted(counts.items())))
        for fault in self._faults:
            print(f"FAULT {fault}")
        print(f"FAILED: {KEPT}/server.log" if self._faults else "nothing failed", flush=True)
        return not self._faults

    def _tell_clients(self) -> None:
        heads = f"{'answers':>10}{'p50':>9}{'p99':>9}{'slowest':>9}  failures, explained"
        print(f"\n{'client':<24}{heads}")
        for title in dict.fromkeys(client.title for client in self._clients):
            of = [client for client in self._clients if client.title == title]
            took = np.concatenate([[0.0], *(client.latencies for client in of)]) * 1e3
            failed = [failure for client in of for failure in client.failures]
            known = sum(explained(failure, self._done) is not None for failure in failed)
            print(
                f"{title:<24}{sum(client.answered for client in of):>10,}"
                f"{np.percentile(took, 50):>6.1f} ms{np.percentile(took, 99):>6.1f} ms"
                f"{took.max():>6.0f} ms  {len(failed)}, {known}"
            )


def _summed(failures: Sequence[Failure]) -> list[str]:
    """A line for those of each client that say the same."""
    alike: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failures:
        alike.setdefault((failure.client, failure.kind, failure.text), []).append(failure)
    return [
        f"{client}: {kind} x {len(each)}, first after {each[0].ended - each[0].began:.2f} s at "
        f"{each[0].ended:.1f} s: {text}"
        for (client, kind, text), each in alike.items()
    ]
