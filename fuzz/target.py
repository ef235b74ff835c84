"""The server that is fuzzed: a process of its own, whose log is read as well."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fuzz.request import MAIN

DOORS = ("tfserving", "triton", "kserve")
"""The ports of other servers, as the settings call them."""
START_SECONDS = 60.0
STOP_SECONDS = 45.0
ALARMS = (b"Traceback", b"ERROR", b"CRITICAL", b"Exception", b"Warning: ")
LIMITS = {"max-body-bytes": "4194304", "workers": "1"}
"""Small enough that what is too large can be sent often; and one memory to watch."""


class Target:
    """``inferd serve`` on free ports."""

    def __init__(
        self,
        models: Sequence[Path],
        folder: Path,
        settings: Mapping[str, str] | None = None,
        doors: Sequence[str] = DOORS,
    ) -> None:
        self._log = folder / "server.log"
        self._seen = 0
        opened = dict(zip(doors, _free_ports(len(doors)), strict=True))
        chosen = {"port": "0", "default-model": models[0].stem, **LIMITS, **(settings or {})}
        chosen |= {door: str(port) for door, port in opened.items()}
        words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        command = [sys.executable, "-X", "dev", "-W", "ignore", "-m", "inferd", "serve"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*command, *map(str, models), *words],
                stdout=subprocess.PIPE,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("INFERD_")},
                cwd=folder,
            )
        self.ports: Mapping[str, int] = {MAIN: self._port(), **opened}
        self._wait_for_doors()

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def memory(self) -> int:
        """Bytes that its processes hold."""
        return sum(int(each.memory_info().rss) for each in self._processes())

    def descriptors(self) -> int:
        """Files and sockets that they hold."""
        return sum(each.num_fds() for each in self._processes())

    def complaints(self) -> list[str]:
        """The lines of its log since the last call that tell of a fault."""
        with self._log.open("rb") as log:
            log.seek(self._seen)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._seen += len(whole)
        return [
            line.decode("utf-8", "replace")
            for line in whole.splitlines()
            if any(alarm in line for alarm in ALARMS)
        ]

    def stop(self) -> int:
        """End it as a person would; its exit code."""
        return ended(self._process, STOP_SECONDS)

    def _processes(self) -> Sequence[Any]:
        """The supervisor, and who answers."""
        import psutil

        supervisor = psutil.Process(self._process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def _port(self) -> int:
        """The port that the banner's first line tells."""
        if self._process.stdout is None:
            raise RuntimeError("the server's output is not read")
        line = self._process.stdout.readline().decode()
        return told_port(line, self._log)

    def _wait_for_doors(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        for port in self.ports.values():
            while not _is_open(port):
                if time.monotonic() > deadline or not self.is_alive():
                    raise RuntimeError(f"port {port} did not open: {self._log.read_text()}")
                time.sleep(0.05)


def ended(process: "subprocess.Popen[Any]", seconds: float) -> int:
    """End a server as a service manager does, and after so long at once; its exit code."""
    process.terminate()
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        if process.stdout:
            process.stdout.close()


def told_port(line: str, log: Path) -> int:
    """The port that the banner's first *line* tells. Raises RuntimeError, with the *log*, where the
    server did not start."""
    for word in line.split():
        if word.startswith("http://"):
            return int(word.rpartition(":")[2])
    raise RuntimeError(f"the server did not start: {line!r} {log.read_text()}")


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    """All at once, so that they differ."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
