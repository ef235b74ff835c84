"""Runs ``inferd serve`` as a program, and asks it all the time."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from tests.conftest import ROW

PREDICT = json.dumps({"features": ROW}).encode()
REQUEST = b"POST /v1/predict/iris HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (
    len(PREDICT),
    PREDICT,
)
PATIENCE = 15.0


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Wait until something holds; for how long."""
    started = time.perf_counter()
    while not holds():
        assert time.perf_counter() < started + seconds, f"not in {seconds} s: {what}"
        time.sleep(0.005)
    return time.perf_counter() - started


class Serving:
    """``inferd serve`` in progress, in a folder of its own."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        self._log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inferd", "serve", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=folder,
            env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        )
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        self.banner = "".join(lines)
        found = re.search(r"https?://127.0.0.1:(\d+)", self.banner)
        self.port = int(found[1]) if found else 0

    @property
    def log(self) -> str:
        """What was written to standard error."""
        return (self.folder / "log").read_text()

    def workers(self) -> list[psutil.Process]:
        """The workers, the oldest first."""
        children = psutil.Process(self.process.pid).children()
        return sorted(children, key=lambda each: (each.create_time(), each.pid))

    def pids(self) -> set[int]:
        """Of the workers that are no corpses."""
        return {each.pid for each in self.workers() if _lives(each)}

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def ask(self) -> int:
        """The status of a request over a connection of its own."""
        with self.connect() as connection:
            return answer(connection)

    def refuses(self) -> bool:
        """Whether nobody is let in."""
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    def end(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """Leave nothing behind."""
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(workers, PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()
        self._log.close()


def _lives(process: psutil.Process) -> bool:
    try:
        zombie: bool = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    return not zombie


def answer(connection: socket.socket, request: bytes = REQUEST) -> int:
    """Ask over *connection*; the answer's status."""
    connection.sendall(request)
    return status(connection)


def status(connection: socket.socket) -> int:
    """The status of an answer, which is read whole."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


class Client(threading.Thread):
    """Asks over one connection, again and again, and over another when that ends."""

    def __init__(self, serving: Serving, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._serving, self._over = serving, over
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        connection: socket.socket | None = None
        while not self._over.is_set():
            if connection is None:
                try:
                    connection = self._serving.connect()
                except OSError as error:
                    self.seen[f"connect: {type(error).__name__}"] += 1
                    continue
            try:
                connection.sendall(REQUEST)
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
                self.seen[str(response.status)] += 1
                closes = response.will_close
            except (OSError, http.client.HTTPException):
                self.seen["failed"] += 1
                closes = True
            if closes:
                connection.close()
                connection = None
        if connection:
            connection.close()


class Load:
    """Several clients, for a while."""

    def __init__(self, serving: Serving, clients: int = 8) -> None:
        self._over = threading.Event()
        self._clients = [Client(serving, self._over) for _ in range(clients)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        until(lambda: self.seen["200"] > 100, "the load flows")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for client in self._clients:
            client.join(PATIENCE)

    @property
    def seen(self) -> Counter[str]:
        """How often each status was answered, and how often none was."""
        return sum((Counter(client.seen) for client in self._clients), Counter())

    def flows(self) -> None:
        """Wait until so much more was answered that every client has been."""
        enough = self.seen["200"] + 200
        until(lambda: self.seen["200"] > enough, "the load flows on")
