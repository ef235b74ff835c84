"""h2load, the load over HTTP/2: its command, and its printed output as a record.

It sees HTTP alone, and a gRPC answer that is an error is 200 there: its bytes tell it from a right
one.
"""

import re
from pathlib import Path

from bench.dialects import Question
from bench.errors import BenchError
from bench.seen import CONNECTIONS, Cores, LoadResult, whole_seconds

CLIENTS = 8  # connections; the requests that are under way are spread over them

_RATE = re.compile(r"^finished in \S+, ([\d.]+) req/s", re.MULTILINE)
_TOTAL = re.compile(
    r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$",
    re.MULTILINE,
)
_STATUS = re.compile(r"^status codes: (\d+) 2xx,.*", re.MULTILINE)
_TRAFFIC = re.compile(r"^traffic: .* \((\d+)\) data$", re.MULTILINE)
_MICROSECONDS = 1e-6


def write(question: Question) -> bytes:
    """The file that it sends."""
    return question.body


def times(body_path: Path | str) -> Path:
    """Where the time of every answer is noted."""
    return Path(body_path).with_suffix(".times")


def command(
    url: str, question: Question, body_path: Path | str, seconds: float, cpu: Cores
) -> list[str]:
    """Without h2load's own warm-up, whose bytes it would count too; the server is warm."""
    streams = CONNECTIONS // CLIENTS
    pinned = ["taskset", "-c", str(cpu), "h2load", f"-c{CLIENTS}", f"-m{streams}"]
    headers = [f"-H{name}: {text}" for name, text in question.headers.items()]
    noted = f"--log-file={times(body_path)}"
    return [*pinned, f"-D{whole_seconds(seconds)}", "-d", str(body_path), *headers, noted, url]


def parse(output: str, body_path: Path) -> LoadResult:
    """Read h2load's output, and the times that it noted, which are deleted.

    An answer that was no 2xx, or a broken connection, is an error.
    """
    rate, total, status, traffic = (
        found.search(output) for found in (_RATE, _TOTAL, _STATUS, _TRAFFIC)
    )
    if rate is None or total is None or status is None or traffic is None:
        msg = f"got output of h2load that has no totals:\n{output}"
        raise BenchError(msg)
    done, succeeded, failed, errored, late = map(int, total.groups())
    if failed or errored or late or not done == succeeded == int(status[1]):
        msg = f"h2load saw requests that failed:\n{total[0]}\n{status[0]}"
        raise BenchError(msg)
    if not done:
        msg = "h2load got no answer at all; give it more --seconds"
        raise BenchError(msg)
    p50, p99 = _percentiles(times(body_path), done)
    return LoadResult(done, done / float(rate[1]), p50, p99, int(traffic[1]))


def _percentiles(path: Path, done: int) -> tuple[float, float]:
    """The median and the 99th percentile; a run before may have noted its own times above."""
    lines = path.read_text().splitlines()[-done:]
    path.unlink()
    if len(lines) < done:
        msg = f"h2load noted {len(lines)} times in {path}, expected {done}"
        raise BenchError(msg)
    lasted = sorted(int(line.rpartition("\t")[2]) for line in lines)
    return lasted[done // 2] * _MICROSECONDS, lasted[done * 99 // 100] * _MICROSECONDS
