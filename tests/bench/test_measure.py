"""Tests of the plain decisions in bench/measure.py, bench/contenders.py and bench/machine.py."""

import os
from pathlib import Path

import pytest

from bench import contenders, machine, measure
from bench.contenders import CONTENDERS
from bench.errors import BenchError
from bench.seen import LoadResult


@pytest.mark.parametrize(
    ("one_answer", "expected"),
    [(0.001, 4.0), (0.1, 9.6), (0.5, 15.0)],
    ids=["quick", "slow", "slowest"],
)
def test_a_slow_server_gets_the_time_of_three_laps(one_answer: float, expected: float) -> None:
    """A run is as long as asked, longer where 32 connections need more, and never endless."""
    assert measure.duration(4.0, one_answer) == pytest.approx(expected)


def test_server_and_load_on_one_core_are_refused() -> None:
    """A load that takes its server's time measures itself."""
    core = min(os.sched_getaffinity(0))
    with pytest.raises(BenchError, match="--load-cpu"):
        measure.check_cores(measure.Plan(1, 1, core, core, Path()))


def test_each_ceiling_is_a_server_of_the_same_dialect_that_runs_before() -> None:
    """Ratios are like for like, and shown as soon as a run has ended."""
    names = [contender.name for contender in CONTENDERS]
    for place, contender in enumerate(CONTENDERS):
        if contender.ceiling:
            ceiling = CONTENDERS[names.index(contender.ceiling)]
            assert ceiling.dialect == contender.dialect
            assert names.index(contender.ceiling) < place


def test_servers_are_chosen_by_name_in_the_tables_order() -> None:
    """A typing error is told with the names that exist."""
    chosen = contenders.choose(["inferd-oip", "floor-oip"])
    assert [contender.name for contender in chosen] == ["floor-oip", "inferd-oip"]
    with pytest.raises(BenchError, match=r"infered.*expected some of.*inferd-oip"):
        contenders.choose(["infered"])


def test_the_cpu_is_named_as_the_kernel_names_it() -> None:
    """The first model name counts; other processors have none."""
    assert machine.cpu_model("processor : 0\nmodel name\t: AMD EPYC: 4\n") == "AMD EPYC: 4"
    assert machine.cpu_model("BogoMIPS : 50.00\n") is None


@pytest.mark.parametrize(
    ("carried", "is_right"),
    [(None, True), (8600, True), (8686, True), (8514, False), (11000 + 86 * 32, False)],
    ids=["untold", "exact", "under way", "one wrong", "longer"],
)
def test_answers_whose_bytes_are_not_those_of_right_ones_end_the_benchmark(
    carried: int | None, is_right: bool
) -> None:
    """A fast server of errors is not measured, though HTTP says 200 of each."""
    seen = LoadResult(100, 1.0, 0.1, 0.2, carried)
    if is_right:
        measure.check_carried(seen, 86, "inferd-grpc")
    else:
        with pytest.raises(BenchError, match="inferd-grpc, expected 86 in each"):
            measure.check_carried(seen, 86, "inferd-grpc")
