"""bench.batching: the bare batches, the model that costs what its file says, and the table."""

import json
from pathlib import Path

import numpy as np

from bench import batching
from bench.batching import Bare, Row
from bench.servers.lined import Lined
from inferd.artifact import Artifact
from inferd.runtimes.base import check_runtime


def _file(folder: Path, fixed: float, per_row: float) -> Path:
    path = folder / "m.lined"
    path.write_text(json.dumps({"fixed": fixed, "per_row": per_row}))
    return path


def test_the_model_keeps_the_contract_of_a_runtime(tmp_path: Path) -> None:
    """It is served as any other."""
    artifact = Artifact(_file(tmp_path, 10, 1))
    assert Lined.recognises(artifact)
    check_runtime(Lined.open(artifact), {"X": np.ones((3, 4), np.float32)}, 3)


def test_a_row_is_answered_with_its_sum(tmp_path: Path) -> None:
    """So that an answer tells whose it is."""
    runtime = Lined.open(Artifact(_file(tmp_path, 10, 1)))
    answer = runtime.run({"X": np.arange(8, dtype=np.float32).reshape(2, 4)}, ["Y"])
    assert answer["Y"].tolist() == [[6], [22]]


def test_the_best_size_is_that_of_most_rows_a_second() -> None:
    """Not that which ran most often, or longest."""
    assert batching.best({1: 10, 8: 80, 64: 64}, {1: 1, 8: 2, 64: 2}) == Bare(40, 8)


def test_bare_batches_of_a_real_model_are_timed(tmp_path: Path) -> None:
    """Each size at least once, though there is hardly any time."""
    found = batching.bare(_file(tmp_path, 100, 1), seconds=0.001)
    assert found.size in batching.SIZES
    assert found.rate > 0


def test_the_table_tells_the_ratio_and_what_waiting_costs_who_is_alone() -> None:
    """In the order in which the models were measured."""
    rows = [
        Row("2 ms", Bare(1000.4, 64), 970, 0.97, 0.98, 0.0102, 0.01),
        Row("x", Bare(1, 1), 1, 1, 1, 1, 1),
    ]
    assert batching.text(rows).splitlines()[2:] == [
        "| 2 ms | 1,000 (by 64) | 970 | 0.970 | 0.980 | 10.20 | 10.00 (+2.0%) |",
        "| x | 1 (by 1) | 1 | 1.000 | 1.000 | 1000.00 | 1000.00 (+0.0%) |",
    ]
