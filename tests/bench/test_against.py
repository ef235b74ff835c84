"""Tests of bench/against.py and its report: figures of both ends of a run, and the tables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import against, against_report
from bench.against import Compared, Figure, Offered
from bench.models import Case
from bench.peers import PEERS
from bench.results import Run

WORK = Path("/checkout/.bench")
SETTING = against_report.Setting("2025-01-31", {"CPU": "a fast one"}, 3, 2)
MakeRun = Callable[[str, int, float, str], Run]
BY_NAME = {peer.name: peer for peer in PEERS}


@pytest.fixture
def compared(make_case: Callable[[int], Case], make_run: MakeRun) -> Compared:
    """inferd at both ends, and LitServe in between, with the pickle."""
    case = make_case(1)

    def figure(name: str, rates: tuple[float, ...], offered: tuple[Offered, ...]) -> Figure:
        contender = BY_NAME[name].contender("pickle", WORK)
        runs = [make_run(contender.name, i, rate, case.name) for i, rate in enumerate(rates)]
        return Figure(contender, case, runs, offered)

    quick = (Offered(100, 0.001, 0.002, True), Offered(1000, 0.001, 0.003, True))
    slow = (Offered(100, 0.01, 0.025, True, False), Offered(1000, 1.0, 2.0, False))
    figures = [
        figure("inferd-plain", (1000, 1100, 900), quick),
        figure("litserve", (10, 11, 9), slow),
        figure("inferd-plain", (2000, 2100, 1900), quick),
    ]
    return Compared(against.summaries(figures), [], {"litserve": "0.2"}, {"Ray Serve": "no wheel"})


def test_inferd_is_what_it_was_before_and_after(compared: Compared) -> None:
    """The median over both ends is what the others are held against."""
    inferd, litserve = compared.summaries
    assert (inferd.rate, inferd.times) == (1500, None)
    assert (litserve.rate, litserve.times) == (10, 150)


def test_the_part_has_tables_reasons_and_what_it_was_measured_with(compared: Compared) -> None:
    """Everything that a figure depends on is beside it."""
    part = against_report.markdown(compared, SETTING)
    assert "| inferd, plain | 1,500 | 1 |" in part
    assert "| LitServe | 10 | 150 |" in part
    assert "| LitServe | ? | - | - | - | - | - |" in part
    assert "- Ray Serve is left out: no wheel" in part
    assert "Measured on 2025-01-31: CPU a fast one; litserve 0.2." in part
    blocks = [block.splitlines() for block in part.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 2
    assert all(len({line.count("|") for line in block}) == 1 for block in blocks)


def test_the_terminal_gets_the_same(compared: Compared) -> None:
    """With who is missing."""
    text = against_report.text(compared)
    assert "forest, 1 row" in text
    assert text.endswith("left out: Ray Serve: no wheel")
