"""Tests of bench/results.py: medians over rounds, ratios within a round."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench import results
from bench.contenders import Contender
from bench.models import Case
from bench.results import Run


def test_a_ratio_compares_runs_of_one_round_only(
    noisy_runs: list[Run], by_name: dict[str, Contender]
) -> None:
    """A round in which the machine was slow for both does not move the ratio."""
    found = results.ratio(noisy_runs, "forest-1", by_name["inferd-oip"])
    assert found is not None
    assert (found.median, found.low, found.high) == pytest.approx((0.90, 0.80, 0.96))


def test_a_ceiling_has_no_ratio(noisy_runs: list[Run], by_name: dict[str, Contender]) -> None:
    """What the others are held against is held against nothing."""
    assert results.ratio(noisy_runs, "forest-1", by_name["floor-oip"]) is None


def test_without_its_ceiling_a_server_has_no_ratio(
    make_run: Callable[[str, int, float, str], Run], by_name: dict[str, Contender]
) -> None:
    """A ceiling of another dialect or another case does not stand in."""
    runs = [
        make_run("floor-oip", 1, 1000, "forest-1"),
        make_run("floor-plain", 1, 900, "forest-64"),
        make_run("inferd-plain", 1, 800, "forest-1"),
    ]
    assert results.ratio(runs, "forest-1", by_name["inferd-plain"]) is None


def test_a_row_is_the_median_of_its_rounds_and_the_highest_memory(
    noisy_runs: list[Run], by_name: dict[str, Contender]
) -> None:
    """Rates, latencies and CPU are medians; memory is the most that was seen."""
    row = results.row(noisy_runs, "forest-1", by_name["floor-oip"])
    assert (row.rate, row.p50, row.p99) == pytest.approx((1000, 0.032, 0.064))
    assert row.cpu == pytest.approx(0.001)
    assert row.memory == 103 * 2**20


def test_tables_keep_the_order_of_cases_and_servers(
    make_run: Callable[[str, int, float, str], Run],
    make_case: Callable[[int], Case],
    by_name: dict[str, Contender],
) -> None:
    """One table a case, one row a server, as they were given."""
    order = [by_name["floor-oip"], by_name["inferd-oip"]]
    runs = [
        make_run(contender.name, 1, rate, case)
        for case, rates in {"forest-1": (30, 20), "forest-2": (10, 5)}.items()
        for contender, rate in zip(order, rates, strict=True)
    ]
    tables = results.tables(runs, [make_case(2), make_case(1)], order)
    assert [table.case.name for table in tables] == ["forest-2", "forest-1"]
    assert [row.contender for row in tables[0].rows] == order
    assert [row.rate for row in tables[0].rows] == [10, 5]


def test_the_time_to_go_follows_the_pace_so_far() -> None:
    """Three of twelve runs in 15 s leave 45 s; before the first run nobody knows."""
    assert results.remaining(3, 12, 15.0) == pytest.approx(45.0)
    assert results.remaining(12, 12, 60.0) == 0
    assert results.remaining(0, 12, 1.0) is None


def test_a_server_that_does_not_take_a_case_is_not_in_its_table(
    make_run: Callable[[str, int, float, str], Run],
    make_case: Callable[[int], Case],
    by_name: dict[str, Contender],
) -> None:
    """Some dialects are measured with one model only."""
    order = [by_name["floor-oip"], by_name["floor-mlflow"]]
    other = replace(make_case(1), model="logistic")
    runs = [make_run(each.name, 1, 9, "forest-1") for each in order]
    runs.append(make_run("floor-oip", 1, 9, "logistic-1"))
    first, second = results.tables(runs, [make_case(1), other], order)
    assert [row.contender.name for row in first.rows] == ["floor-oip", "floor-mlflow"]
    assert [row.contender.name for row in second.rows] == ["floor-oip"]
