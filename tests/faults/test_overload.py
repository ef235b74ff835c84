"""A model of 2 ms, about 500 answers a second, is offered 5,000 requests a second: it goes on at
its pace, what it answers is in time, the others are told so, and then all is as before.

``INFERD_OVERLOAD_SECONDS=60`` overloads it for so long; ``python -m bench.overload`` shows figures.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench import openloop
from bench.offered import Result
from bench.openloop import Manner, Phase
from bench.overload import KINDS, OFFERED, WIRES, Kind, Overload, Wire, measure, question, served

SECONDS = float(os.environ.get("INFERD_OVERLOAD_SECONDS", "4"))
BUDGET = 0.25  # seconds that a request has
SHARE = 0.9  # of the model's peak
TRIES = 4

pytestmark = [pytest.mark.faults, pytest.mark.timeout(TRIES * (20 + 2 * SECONDS))]

EXPIRED = {"HTTP": "504", "gRPC": "DEADLINE_EXCEEDED"}
FULL = {"HTTP": "429", "gRPC": "RESOURCE_EXHAUSTED"}
GOOD = {"HTTP": "200", "gRPC": "OK"}
WORDS = {
    "504": '{"error":"Request timeout expired"}',
    "429": '{"error":"Exceeds maximum queue size"}',
}
TEXTS = {"DEADLINE_EXCEEDED": "Request timeout expired", **WORDS}
TEXTS["RESOURCE_EXHAUSTED"] = "Exceeds maximum queue size"


@pytest.fixture(scope="module", params=KINDS)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server of the model, which runs in a thread, or in a process of its own."""
    kind: Kind = request.param
    with served(tmp_path_factory.mktemp("overload") / "models", kind) as port:
        yield port


def check_words(seen: Result, wire: Wire, statuses: set[str]) -> None:
    """Every refusal is one of *statuses*, in the dialect's words, and says when to come again."""
    assert set(seen.counts) <= {GOOD[wire], *statuses}, seen.counts
    for status, words in seen.refusals.words.items():
        assert list(words) == [TEXTS[status]]
        headers = seen.refusals.headers[status]
        assert "retry-after" in headers or "grpc-retry-pushback-ms" in headers, headers


def is_calm(overload: Overload, wire: Wire) -> bool:
    """Whether a second after the overload nobody is refused, and answers are as quick as before
    it."""
    later = overload.after.between(SECONDS + 1, SECONDS + 3)
    quick = overload.recovered < 1 and later.percentile(99) < 0.05
    return quick and set(later.counts) == {GOOD[wire]}


def overloaded(
    port: int, wire: Wire, budget: float | None, statuses: set[str]
) -> Iterator[Overload]:
    """An overload, and others where the machine had something else to do meanwhile."""
    seen = []
    for _ in range(TRIES):
        overload = measure(port, wire, SECONDS, budget)
        check_words(overload.busy, wire, statuses)
        yield overload
        seen.append(f"{overload.share:.2f} of the peak, calm after {overload.recovered:.2f} s")
    pytest.fail("; ".join(seen))


@pytest.mark.parametrize("wire", WIRES)
def test_requests_with_a_deadline_are_answered_within_it_or_refused(port: int, wire: Wire) -> None:
    """Nine tenths of what the model can do at best, all but a hundredth of it in time."""
    for overload in overloaded(port, wire, BUDGET, {EXPIRED[wire], FULL[wire]}):
        in_time = overload.busy.percentile(99) <= BUDGET
        if in_time and overload.share >= SHARE and is_calm(overload, wire):
            return


@pytest.mark.parametrize("wire", WIRES)
def test_requests_without_a_deadline_wait_or_are_refused(port: int, wire: Wire) -> None:
    """The queue's bound, and then the overload's, keeps their wait short."""
    for overload in overloaded(port, wire, None, {FULL[wire]}):
        short = overload.busy.percentile(100) <= 3
        if short and overload.share >= SHARE and is_calm(overload, wire):
            return


@pytest.mark.parametrize("wire", WIRES)
def test_another_model_is_answered_as_ever(port: int, wire: Wire) -> None:
    """While one model is overloaded, the answers of the one beside it come as quickly as they
    should."""
    with ThreadPoolExecutor(1) as beside:
        quiet = [Phase(20, 3)]
        others = beside.submit(openloop.run, *question(port, wire, None, "other"), quiet)
        openloop.run(*question(port, wire, BUDGET), [Phase(OFFERED, 3)], Manner(connections=512))
        seen = others.result()
    assert set(seen.counts) == {GOOD[wire]}
    assert seen.percentile(99) < 0.05


@pytest.mark.parametrize("wire", WIRES)
def test_who_leaves_frees_his_place(port: int, wire: Wire) -> None:
    """Hundreds of clients who give up before their turn cost the next one little more than their
    connections' end: it would be two seconds if the model answered them."""
    asked, manner = question(port, wire, None), Manner(connections=900, patience=0.1)
    left = openloop.run(*asked, [Phase(9000, 0.1)], manner)
    assert left.counts["late"] > 700
    seen = openloop.run(*asked, [Phase(1, 1)])
    assert seen.counts == {GOOD[wire]: 1}
    assert seen.percentile(100) < 0.5
