"""Tests of bench/scaling.py: cores, and the table."""

from pathlib import Path

from bench import scaling
from bench.measure import Plan
from bench.scaling import Scaled

PLAN = Plan(5, 4, 0, 1, Path("/checkout/.bench"))


def test_the_load_has_its_own_cores_where_there_are_enough() -> None:
    """Otherwise all share all."""
    apart = scaling.spread_out(PLAN, {0, 1, 2, 3, 4})
    assert (apart.server_cpu, apart.load_cpu) == ("0,1", "2,3")
    shared = scaling.spread_out(PLAN, {4, 6})
    assert (shared.server_cpu, shared.load_cpu) == ("4,6", "4,6")


def test_the_part_tells_the_median_of_the_rounds() -> None:
    """And the extremes."""
    found = [
        Scaled(1, 1000, 1e-5, 2**20, [1.0] * 5),
        Scaled(2, 1900, 1.04e-5, 2**21, [1.2, 0.9, 1.05, 1.04, 1.0]),
    ]
    part = scaling.markdown(found, {"CPU": "a fast one"}, "2025-01-31")
    assert "| 2 | 1,900 | 10.4 | 1.04 (0.90-1.20) | 2 |" in part
    assert "median of 5 rounds" in part
    assert "Measured on 2025-01-31: CPU a fast one." in part
    assert len({len(line) for line in scaling.text(found).splitlines()}) == 1
