"""Tests of bench/h2load.py: what h2load prints and notes, and how it is called."""

from pathlib import Path

import pytest

from bench import h2load
from bench.dialects import GRPC_TYPE, Question
from bench.errors import BenchError

SEEN = """\
starting benchmark...
Application protocol: h2c
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 2.01s, 2.00 req/s, 345.00B/s
requests: 4 total, 36 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 5.73MB (6004064) total, 1.05MB (1097040) headers (space savings 47.37%), 344B (344) data
                     min         max         mean         sd        +/- sd
time for request:      126us     10.51ms      1.57ms      1.62ms    82.36%
"""
TIMES = "".join(f"16195000000{n}\t200\t{took}\n" for n, took in enumerate((900, 100, 300, 200)))


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """The file that was sent; beside it are the times of four answers."""
    path = tmp_path / "forest-1-grpc.bin"
    h2load.times(path).write_text(TIMES)
    return path


def test_a_run_gives_its_totals_and_percentiles_in_seconds(body: Path) -> None:
    """The percentiles come of the times that were noted, which are gone afterwards."""
    seen = h2load.parse(SEEN, body)
    assert (seen.requests, seen.elapsed, seen.carried) == (4, 2.0, 344)
    assert (seen.p50, seen.p99) == pytest.approx((300e-6, 900e-6))
    assert not h2load.times(body).exists()


def test_times_of_a_run_before_do_not_count(body: Path) -> None:
    """h2load adds to a file that is there."""
    h2load.times(body).write_text("1619500000000\t200\t5000000\n" * 9 + TIMES)
    assert h2load.parse(SEEN, body).p99 == pytest.approx(900e-6)


def test_times_that_are_missing_are_an_error(body: Path) -> None:
    """Percentiles of a part are those of no run."""
    h2load.times(body).write_text(TIMES[: len(TIMES) // 2])
    with pytest.raises(BenchError, match=r"noted 2 times .* expected 4"):
        h2load.parse(SEEN, body)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("4 succeeded, 0 failed", "3 succeeded, 1 failed"),
        ("0 errored", "2 errored"),
        ("0 timeout", "1 timeout"),
        ("4 2xx, 0 3xx, 0 4xx", "3 2xx, 0 3xx, 1 4xx"),
    ],
    ids=["failed", "errored", "timeout", "status"],
)
def test_a_run_with_errors_counts_for_nothing(was: str, becomes: str, body: Path) -> None:
    """Broken streams and answers other than 2xx end the run with what h2load said."""
    with pytest.raises(BenchError, match=f"failed:\n(.*\n)?.*{becomes}"):
        h2load.parse(SEEN.replace(was, becomes), body)


def test_a_run_without_an_answer_is_an_error(body: Path) -> None:
    """No answer at all is no rate of zero."""
    nothing = SEEN.replace("4 done, 4 succeeded", "0 done, 0 succeeded").replace("4 2xx", "0 2xx")
    with pytest.raises(BenchError, match="no answer"):
        h2load.parse(nothing, body)


def test_output_that_is_not_h2loads_is_an_error_that_shows_it(body: Path) -> None:
    """An unknown output is shown instead of guessed at."""
    with pytest.raises(BenchError, match="unable to connect"):
        h2load.parse("unable to connect\n", body)


def test_the_command_pins_the_load_and_has_as_many_requests_under_way_as_wrk() -> None:
    """h2load runs on its core; its connections times their streams are wrk's connections."""
    argv = h2load.command("http://127.0.0.1:1/a/B", Question(b"", GRPC_TYPE), "body.bin", 0.4, 1)
    assert argv[:4] == ["taskset", "-c", "1", "h2load"]
    assert {"-c8", "-m4", "-D1", "-Hcontent-type: application/grpc", "-Hte: trailers"} <= set(argv)
    assert argv[-2:] == ["--log-file=body.times", "http://127.0.0.1:1/a/B"]
    assert argv[argv.index("-d") + 1] == "body.bin"
