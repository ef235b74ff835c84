"""wrk, the load over HTTP/1.1: its script, its command, and its printed output as a record."""

import re
from pathlib import Path

from bench.dialects import Question
from bench.errors import BenchError
from bench.seen import CONNECTIONS, Cores, LoadResult, whole_seconds

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_TOTAL = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h),", re.MULTILINE)
_SOCKET = re.compile(r"^\s*Socket errors: (.+)$", re.MULTILINE)
_STATUS = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)


def write(question: Question) -> bytes:
    """The script that sends it."""
    headers = [f'wrk.headers["{name}"] = "{text}"' for name, text in question.headers.items()]
    lines = [f'wrk.method = "{question.method}"', *headers]
    lines += [f"wrk.body = {_quoted(question.body)}", ""] if question.body else [""]
    return "\n".join(lines).encode()


def _quoted(body: bytes) -> str:
    """Text as it is, for people to read: JSON cannot hold the closing bracket `]=]`. Others byte by
    byte."""
    if body.isascii() and body.decode().isprintable():
        return f"[=[{body.decode()}]=]"
    return '"' + "".join(f"\\{byte:03}" for byte in body) + '"'


def command(
    url: str, question: Question, script_path: Path | str, seconds: float, cpu: Cores
) -> list[str]:
    """The script at *script_path* has the question."""
    # The longest time-out that makes sense: a slow answer is a result here and not an error.
    pinned = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{CONNECTIONS}", "--timeout", "60s"]
    return [*pinned, f"-d{whole_seconds(seconds)}s", "--latency", "-s", str(script_path), url]


def parse(output: str, script_path: Path) -> LoadResult:
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
