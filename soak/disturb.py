"""Does to the server what the plan says, and tells the clients what is right from then on."""

import random
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil  # noqa: TID253 - a program of its own

from soak.clients import Changing, Guest
from soak.models import Models
from soak.plan import Kind
from soak.server import Server


class Disturber:
    """For one thread: each event blocks until it is acknowledged."""

    def __init__(self, server: Server, models: Models, folder: Path, seed: int) -> None:
        self._server, self._models = server, models
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._shown = folder / "changing.pkl"
        self._answering = 0
        self._acts: dict[Kind, Callable[[], None]] = {
            Kind.SWAP: self.swap,
            Kind.GUEST: self._guest,
            Kind.KILL_HOST: lambda: self._signal(server.hosts(), signal.SIGKILL),
            Kind.RELOAD: lambda: server.command("reload"),
            Kind.KILL_WORKER: lambda: self._signal(server.workers(), signal.SIGKILL),
            Kind.HALT_WORKER: lambda: self._signal(server.workers(), signal.SIGSTOP),
        }

    def act(self, kind: Kind) -> None:
        """Do it. Raises RuntimeError where the server refuses."""
        self._acts[kind]()

    def swap(self) -> None:
        """Let the other file answer to the name of the changing model."""
        other = 1 - self._answering
        shutil.copyfile(self._models.changing[other].path, self._shown)
        Changing.right = frozenset({0, 1})
        self._server.command("models", "load", str(self._shown))
        Changing.right = frozenset({other})
        self._answering = other

    def _guest(self) -> None:
        there = True in Guest.may
        Guest.may = frozenset({True, False})
        if there:
            self._server.command("models", "unload", "guest")
        else:
            self._server.command("models", "load", str(self._models.guest.path))
        Guest.may = frozenset({not there})

    def _signal(self, processes: Sequence[psutil.Process], number: int) -> None:
        if processes:
            self._chance.choice(processes).send_signal(number)
