"""Tests of bench/wrk.py: what wrk prints, and how it is called."""

from pathlib import Path

import pytest

from bench import wrk
from bench.dialects import Question
from bench.errors import BenchError

FAST = """\
Running 4s test @ http://127.0.0.1:9001/v2/models/iris/infer
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   541.10us   88.35us   4.41ms   92.10%
    Req/Sec    58.72k     1.92k   61.33k    85.00%
  Latency Distribution
     50%  530.00us
     75%  559.00us
     90%  596.00us
     99%    1.02ms
  234890 requests in 4.10s, 58.92MB read
Requests/sec:  57290.24
Transfer/sec:     14.37MB
"""
SLOW = """\
Running 15s test @ http://127.0.0.1:9001/predict
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.41s   880.35ms   4.41s    92.10%
    Req/Sec     8.21      2.92    20.00     85.00%
  Latency Distribution
     50%    3.70s
     75%    3.90s
     90%    4.10s
     99%    1.05m
  121 requests in 1.00m, 21.30KB read
Requests/sec:      2.02
Transfer/sec:      1.42KB
"""
LUA = Path("body.lua")
SOCKET = "  Socket errors: connect 0, read 3, write 0, timeout 1\n"
STATUS = "  Non-2xx or 3xx responses: 12\n"


def test_a_run_gives_its_totals_and_percentiles_in_seconds() -> None:
    """The count, the time and both percentiles are read, whatever their units."""
    seen = wrk.parse(FAST, LUA)
    assert (seen.requests, seen.elapsed) == (234890, 4.10)
    assert (seen.p50, seen.p99) == pytest.approx((530e-6, 1.02e-3))
    assert seen.rate == pytest.approx(234890 / 4.10)


def test_a_slow_run_is_read_in_seconds_and_minutes() -> None:
    """Seconds and minutes are units of wrk too."""
    seen = wrk.parse(SLOW, LUA)
    assert (seen.requests, seen.elapsed) == (121, 60.0)
    assert (seen.p50, seen.p99) == pytest.approx((3.70, 63.0))


@pytest.mark.parametrize(
    ("line", "said"),
    [(SOCKET, "connect 0, read 3, write 0, timeout 1"), (STATUS, "12 answers")],
    ids=["socket", "status"],
)
def test_a_run_with_errors_counts_for_nothing(line: str, said: str) -> None:
    """Broken connections and answers other than 2xx end the run with what wrk said."""
    total = "  234890 requests in 4.10s, 58.92MB read\n"
    with pytest.raises(BenchError, match=said):
        wrk.parse(FAST.replace(total, total + line), LUA)


def test_a_run_without_an_answer_is_an_error() -> None:
    """No answer at all is no rate of zero."""
    with pytest.raises(BenchError, match="no answer"):
        wrk.parse(SLOW.replace("121 requests", "0 requests"), LUA)


def test_output_that_is_not_wrks_is_an_error_that_shows_it() -> None:
    """An unknown output is shown instead of guessed at."""
    with pytest.raises(BenchError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:9001 Connection refused\n", LUA)


def test_the_command_pins_the_load_and_asks_for_percentiles() -> None:
    """wrk runs on its core with one thread, and gets whole seconds, the only ones it knows."""
    argv = wrk.command("http://127.0.0.1:1/predict", Question(b"{}"), "body.lua", 0.4, cpu=1)
    assert argv[:3] == ["taskset", "-c", "1"]
    assert {"-t1", "-c32", "-d1s", "--latency"} <= set(argv)
    assert argv[-3:] == ["-s", "body.lua", "http://127.0.0.1:1/predict"]


def test_the_script_holds_any_json_body_as_it_is() -> None:
    """Brackets that end in `]]` do not end the Lua string."""
    assert b"wrk.body = [=[[[1.0],[2.0]]]=]\n" in wrk.write(Question(b"[[1.0],[2.0]]"))


def test_the_script_holds_memory_byte_by_byte_and_every_header() -> None:
    """Bytes that Lua would read as something else are written as numbers of three digits."""
    text = wrk.write(Question(b'\x00"\xff1', {"a-length": "4"}))
    assert b'wrk.body = "\\000\\034\\255\\049"\n' in text
    assert b'wrk.headers["a-length"] = "4"\n' in text


def test_a_question_without_a_body_is_asked_by_its_own_method() -> None:
    """Whether a server lives is asked with GET."""
    assert wrk.write(Question(b"", {}, "GET")) == b'wrk.method = "GET"\n'
