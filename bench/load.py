"""The load: one wrk run against one URL, and its printed output as a record."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.dialects import Question
from bench.errors import BenchError

CONNECTIONS = 32
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "wrk")

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_TOTAL = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h),", re.MULTILINE)
_SOCKET = re.compile(r"^\s*Socket errors: (.+)$", re.MULTILINE)
_STATUS = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class LoadResult:
    """What wrk saw; times in seconds."""

    requests: int
    elapsed: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.elapsed


def script(question: Question) -> str:
    """The wrk script that posts it."""
    headers = [f'wrk.headers["{name}"] = "{text}"' for name, text in question.headers.items()]
    return "\n".join(['wrk.method = "POST"', *headers, f"wrk.body = {_quoted(question.body)}", ""])


def _quoted(body: bytes) -> str:
    """Text as it is, for people to read: JSON cannot hold the closing bracket `]=]`. Others byte by
    byte."""
    if body.isascii() and body.decode().isprintable():
        return f"[=[{body.decode()}]=]"
    return '"' + "".join(f"\\{byte:03}" for byte in body) + '"'


def command(url: str, script_path: Path | str, seconds: float, cpu: int) -> list[str]:
    # The longest time-out that makes sense: a slow answer is a result here and not an error.
    pinned = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{CONNECTIONS}", "--timeout", "60s"]
    return [*pinned, f"-d{whole_seconds(seconds)}s", "--latency", "-s", str(script_path), url]


def whole_seconds(seconds: float) -> int:
    """wrk knows whole seconds only."""
    return max(1, round(seconds))


def parse(output: str) -> LoadResult:
    """Read wrk's output; an answer that was no 2xx or a broken connection is an error."""
    if found := _SOCKET.search(output):
        msg = f"wrk saw socket errors: {found[1]}"
        raise BenchError(msg)
    if found := _STATUS.search(output):
        msg = f"wrk saw {found[1]} answers that were not 2xx"
        raise BenchError(msg)
    total = _TOTAL.search(output)
    times = {name: float(n) * _UNITS[unit] for name, n, unit in _PERCENTILE.findall(output)}
    if total is None or len(times) != 2:
        msg = f"got output of wrk that has no totals or no percentiles:\n{output}"
        raise BenchError(msg)
    if int(total[1]) == 0:
        msg = "wrk got no answer at all; give it more --seconds"
        raise BenchError(msg)
    elapsed = float(total[2]) * _UNITS[total[3]]
    return LoadResult(int(total[1]), elapsed, times["50"], times["99"])


def run(argv: list[str]) -> LoadResult:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout}"
        raise BenchError(msg)
    return parse(done.stdout)


def require_wrk() -> None:
    """Install wrk where we may; otherwise say how."""
    if shutil.which("wrk"):
        return
    line = " ".join(INSTALL)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        msg = f"wrk is not installed; on Debian or Ubuntu run: sudo {line}"
        raise BenchError(msg)
    subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
    if subprocess.run(INSTALL, check=False, stdout=subprocess.DEVNULL).returncode != 0:
        msg = f"wrk could not be installed; try yourself: {line}"
        raise BenchError(msg)
