"""The server that is fuzzed: a process of its own, whose log is read as well."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

STOP_SECONDS = 45.0
ALARMS = (b"Traceback", b"ERROR", b"CRITICAL", b"Exception")


class Target:
    """``inferd serve`` on a free port."""

    def __init__(self, models: Sequence[Path], folder: Path) -> None:
        self._log = folder / "server.log"
        self._seen = 0
        command = [sys.executable, "-X", "dev", "-W", "ignore", "-m", "inferd", "serve"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*command, *map(str, models), "--port", "0", "--default-model", models[0].stem],
                stdout=subprocess.PIPE,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("INFERD_")},
                cwd=folder,
            )
        self.port = self._port()

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def memory(self) -> int:
        """Bytes that it holds."""
        import psutil

        return int(psutil.Process(self._process.pid).memory_info().rss)

    def complaints(self) -> list[str]:
        """The lines of its log since the last call that tell of a fault."""
        with self._log.open("rb") as log:
            log.seek(self._seen)
            text = log.read()
        self._seen += len(text)
        return [
            line.decode("utf-8", "replace")
            for line in text.splitlines()
            if any(alarm in line for alarm in ALARMS)
        ]

    def stop(self) -> int:
        """End it as a person would; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            if self._process.stdout:
                self._process.stdout.close()

    def _port(self) -> int:
        """The port that the banner's first line tells."""
        if self._process.stdout is None:
            raise RuntimeError("the server's output is not read")
        line = self._process.stdout.readline().decode()
        for word in line.split():
            if word.startswith("http://"):
                return int(word.rpartition(":")[2])
        raise RuntimeError(f"the server did not start: {line!r} {self._log.read_text()}")
