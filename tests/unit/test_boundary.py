"""Rows next to where an answer changes."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from inferd.compiling.boundary import Steps, boundary
from inferd.tensors import Array

CUT = 0.7310585786300049


def steps_at(cut: float) -> Any:
    """A key that changes where the first column passes *cut*."""
    return lambda rows: rows["X"][:, 0] <= cut


def way(
    first: Any, second: Any, dtype: Any = np.float64
) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    return {"X": np.array([first], dtype)}, {"X": np.array([second], dtype)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cut", [CUT, -3.5e-9, 1e30, 0.0])
def test_adjacent_ends_are_neighbours(dtype: Any, cut: float) -> None:
    """Asked for adjacent rows, it finds the last number on this side and the first beyond."""
    cut = float(dtype(cut))
    ends = way([-1.0, 5.0], [2.0 * max(1.0, cut), 5.0], dtype)
    found = boundary(steps_at(cut), *ends, Steps(adjacent=True))["X"][:, 0]
    assert found.dtype == dtype
    assert {dtype(cut), np.nextafter(dtype(cut), dtype(np.inf))} <= set(found)


def test_near_rows_lie_on_both_sides() -> None:
    """Thirty halvings come within 1e-9 of the way, from either side."""
    found = boundary(steps_at(CUT), *way([0.0], [1.0]))["X"][:, 0]
    below, above = found[found <= CUT].max(), found[found > CUT].min()
    assert 0 < above - below <= 1e-9


def test_rows_are_kept_from_float32s_reach_on() -> None:
    """Nothing farther than a millionth of the way is kept, and something at each halving is."""
    found = np.sort(boundary(steps_at(CUT), *way([0.0], [1.0]))["X"][:, 0])
    assert np.abs(found - CUT).max() <= 2**-20
    assert len(found) >= 10


def test_equal_answers_are_left_out() -> None:
    """A way between two rows with the same answer gives no rows, and NaN is an answer as well."""
    assert len(boundary(steps_at(9.0), *way([0.0], [1.0]))["X"]) == 0
    assert len(boundary(lambda rows: rows["X"] * np.nan, *way([0.0], [1.0]))["X"]) == 0


def test_all_ways_go_together() -> None:
    """However many ways there are, the model is asked once a step."""
    asked: list[int] = []

    def key(rows: Mapping[str, Array]) -> Array:
        asked.append(len(rows["X"]))
        return np.asarray(rows["X"].sum(axis=1) > 1)

    rng = np.random.default_rng(0)
    boundary(key, {"X": rng.normal(size=(50, 3))}, {"X": rng.normal(size=(50, 3)) + 1}, Steps(25))
    assert len(asked) == 25 + 2


def test_strings_stay() -> None:
    """A way leads through numbers alone: strings stay those of its first row."""
    first = {"x": np.array([[0.0]]), "s": np.array([["a"]], object)}
    second = {"x": np.array([[1.0]]), "s": np.array([["b"]], object)}
    found = boundary(lambda rows: rows["x"][:, 0] > CUT, first, second)
    assert set(found["s"][:, 0]) == {"a"}
    assert len(found["x"]) == len(found["s"]) > 2


def test_it_stops_when_time_is_up() -> None:
    """No halving begins after the time is up, and the ends as they are then come back."""
    turns = itertools.chain([True] * 3, itertools.repeat(False))
    found = boundary(steps_at(CUT), *way([0.0], [1.0]), Steps(in_time=lambda: next(turns)))
    assert set(found["X"][:, 0]) == {0.625, 0.75}


def test_the_largest_numbers_can_be_halved() -> None:
    """Ends whose sum or difference no float can hold still meet."""
    found = boundary(steps_at(1.0), *way([-1.7e308], [1.7e308]), Steps(adjacent=True))
    assert np.isfinite(found["X"]).all()
    assert len(found["X"]) > 2
