"""Tests of bench/openloop.py: a load that does not wait, against real sockets."""

import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import openloop
from bench.dialects import Question
from bench.errors import BenchError
from bench.openloop import Manner, Phase
from tests.bench import toys

QUESTION = Question(b'{"features": [1]}')
FEW = Manner(connections=4)
SHORT = [Phase(200, 0.25)]


def test_every_request_is_sent_and_counted() -> None:
    """As many as were asked for, at the rate that was asked for, with their latencies."""
    with toys.serving(lambda _: toys.reply()) as url:
        seen = openloop.run(url, QUESTION, SHORT, FEW)
    assert seen.counts == {"200": 50}
    assert seen.offered == seen.goodput == 200
    assert 0 < seen.percentile(50) <= seen.percentile(99)
    assert np.allclose(seen.starts, np.arange(50) / 200)


def test_a_server_that_stalls_is_charged_with_all_that_was_due_meanwhile() -> None:
    """A closed loop of one connection would see one slow answer; those due in the stall were slow,
    too, the later the less."""
    with toys.serving(toys.stalls(0.4, at=10)) as url:
        seen = openloop.run(url, QUESTION, [Phase(100, 1)], Manner(connections=1))
    assert seen.counts == {"200": 100}
    assert seen.latencies.max() >= 0.39
    slow = seen.latencies[10:49]
    due = 0.1 + 0.4 - seen.starts[10:49]
    assert (slow >= due - 0.02).all()


def test_phases_follow_each_other_and_can_be_looked_at_apart() -> None:
    """`between` has the requests that were due in that time, and their rate."""
    with toys.serving(lambda _: toys.reply()) as url:
        seen = openloop.run(url, QUESTION, [Phase(50, 0.2), Phase(400, 0.2)], FEW)
    assert seen.between(0, 0.2).offered == pytest.approx(50)
    assert seen.between(0.2, 0.4).offered == pytest.approx(400)
    assert seen.between(0.2, 0.4).goodput == pytest.approx(400)


def test_refusals_are_results_with_their_words() -> None:
    """A refusal is counted by its status, with its text and its headers, and is not goodput."""

    def every_second(number: int) -> bytes:
        full = toys.reply(b"full", "429 Too Many Requests", "retry-after: 2")
        return full if number % 2 else toys.reply()

    with toys.serving(every_second) as url:
        seen = openloop.run(url, QUESTION, SHORT, FEW)
    assert seen.counts == {"200": 25, "429": 25}
    assert seen.goodput == 100
    assert seen.refusals.words == {"429": {"full": 25}}
    assert seen.refusals.headers["429"]["retry-after"] == "2"
    assert seen.percentile(99, "429") > 0


def test_a_connection_that_the_server_ends_politely_costs_no_request() -> None:
    """`connection: close` is heard, and another connection made."""
    with toys.serving(lambda _: toys.reply(b"{}", "200 OK", "connection: close")) as url:
        seen = openloop.run(url, QUESTION, SHORT, FEW)
    assert seen.counts == {"200": 50}


def test_a_connection_that_ends_instead_of_an_answer_breaks_its_request() -> None:
    """And no other one."""
    with toys.serving(lambda number: None if number == 7 else toys.reply()) as url:
        seen = openloop.run(url, QUESTION, SHORT, FEW)
    assert seen.counts["broken"] == 1
    assert seen.counts["200"] == 49


def test_what_is_not_answered_is_given_up() -> None:
    """After the patience, whether it was sent or still waited for a connection."""
    with toys.serving(lambda _: b"") as url:
        seen = openloop.run(url, QUESTION, [Phase(50, 0.2)], Manner(connections=2, patience=0.2))
    assert seen.counts == {"late": 10}
    assert (seen.latencies >= 0.2).all()
    assert np.isnan(seen.percentile(99))


def test_a_wrong_answer_is_no_good_one() -> None:
    """However good its status is."""
    with toys.serving(lambda number: toys.reply(b"no" if number == 3 else b"yes")) as url:
        seen = openloop.run(url, QUESTION, SHORT, Manner(connections=4, right=b"yes"))
    assert seen.counts == {"200": 49, "wrong": 1}
    assert seen.refusals.words == {"wrong": {"no": 1}}


def test_it_can_be_halted() -> None:
    """What was under way is waited for, and the time is what has passed."""
    halt = threading.Event()

    def third(number: int) -> bytes:
        if number == 2:
            halt.set()
        return toys.reply()

    with toys.serving(third) as url:
        seen = openloop.run(url, QUESTION, [Phase(100, 600)], FEW, halt)
    assert 3 <= len(seen.starts) == seen.good < 100
    assert seen.seconds < 10


def test_nobody_there_is_told() -> None:
    """At the beginning, in a sentence."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(BenchError, match="nobody answers at 127"):
            openloop.run(url, QUESTION, SHORT, FEW)


@given(
    st.lists(st.tuples(st.floats(1, 2000), st.floats(0.01, 3)), min_size=1, max_size=4),
    st.sampled_from(["even", "random"]),
)
def test_what_is_due_is_in_order_and_in_its_phase(
    shape: list[tuple[float, float]], arrivals: str
) -> None:
    """Each phase has as many requests as its rate says, in its own time."""
    phases = [Phase(rate, seconds) for rate, seconds in shape]
    times = np.array(openloop.due(phases, arrivals))
    assert (np.diff(times) >= 0).all()
    begin = 0.0
    for phase in phases:
        count = round(phase.rate * phase.seconds)
        own, times = times[:count], times[count:]
        assert ((own >= begin) & (own <= begin + phase.seconds + 1 / phase.rate)).all()
        begin += phase.seconds
    assert len(times) == 0


def test_by_hand_it_prints_a_line_for_each_rate() -> None:
    """The command that its documentation shows runs."""
    with toys.serving(lambda _: toys.reply()) as url:
        options = ["--body", "{}", "--rates", "50,100", "--seconds", "0.2"]
        argv = [sys.executable, "-m", "bench.openloop", url, *options]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    first, second, last = done.stdout.splitlines()
    assert first.startswith("        50/s asked        50.0/s good")
    assert second.endswith("20 200")
    assert last.startswith("the load itself was at most")
