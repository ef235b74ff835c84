"""Cases and runs that the tests of the benchmark share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.contenders import CONTENDERS, Contender
from bench.models import Case
from bench.results import Run

MakeCase = Callable[[int], Case]
MakeRun = Callable[[str, int, float, str], Run]


@pytest.fixture
def by_name() -> dict[str, Contender]:
    return {contender.name: contender for contender in CONTENDERS}


@pytest.fixture
def make_case() -> MakeCase:
    """Make a case of the model `forest` with so many rows."""

    def make(rows: int) -> Case:
        return Case(
            model="forest",
            title="a forest",
            rows=[[5.1, 3.5]] * rows,
            labels=[0] * rows,
            classes=3,
            onnx=Path("/checkout/.bench/forest.onnx"),
            pickle=Path("/checkout/.bench/forest.joblib"),
        )

    return make


@pytest.fixture
def make_run() -> MakeRun:
    """Make a run of a server in a round at a rate, in a case."""

    def make(contender: str, number: int, rate: float, case: str) -> Run:
        return Run(
            case=case,
            contender=contender,
            round=number,
            rate=rate,
            p50=32 / rate,
            p99=64 / rate,
            cpu=1 / rate,
            memory=(100 + number) * 2**20,
        )

    return make


@pytest.fixture
def noisy_runs(make_run: MakeRun) -> list[Run]:
    """Three rounds on a machine that is half as fast in the second."""
    rates = {"floor-oip": (1000, 500, 1100), "inferd-oip": (900, 480, 880)}
    return [
        make_run(name, number, rates[name][number - 1], "forest-1")
        for number in (1, 2, 3)
        for name in rates
    ]
