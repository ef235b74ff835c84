"""finite: what a model refuses, found by asking it, and held against requests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd import finite
from inferd.errors import WrongValue
from inferd.finite import FiniteCheck, Refused, find
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

WIDE = Signature((TensorSpec("X", "FP64", (-1, 6)),), (), 0)
MIXED = Signature((TensorSpec("a", "FP32", (-1, 1)), TensorSpec("b", "BYTES", (-1, 1))), (), 0)


def _model(nan: set[int], infinite: set[int], calls: list[int]) -> Any:
    def run(inputs: Mapping[str, Array]) -> None:
        calls.append(1)
        row = inputs["X"][0]
        if any(np.isnan(row[list(nan)])) or any(np.isinf(row[list(infinite)])):
            raise ValueError("no")

    return run


@given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_each_column_that_is_refused_is_found(nan: set[int], infinite: set[int]) -> None:
    """And no other; a model that takes all is asked twice."""
    calls: list[int] = []
    found = find(_model(nan, infinite, calls), {"X": np.zeros((1, 6))}, WIDE)
    expected = Refused(tuple(sorted(nan)), tuple(sorted(infinite)))
    assert found.get("X", Refused()) == expected
    if not nan | infinite:
        assert len(calls) == 3


def test_strings_are_not_tried() -> None:
    """Only numbers can be missing or infinite."""
    row = {"a": np.zeros((1, 1), np.float32), "b": np.array([["x"]], object)}

    def run(inputs: Mapping[str, Array]) -> None:
        assert inputs["b"][0, 0] == "x"
        if np.isnan(inputs["a"]).any():
            raise ValueError("no")

    assert find(run, row, MIXED) == {"a": Refused((0,), ())}


def test_a_very_wide_model_is_asked_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Columns that are not reached count as refusing, so that no answer is made up."""
    monkeypatch.setattr(finite, "TRIES", 3)
    calls: list[int] = []
    found = find(_model({0, 1, 5}, set(), calls), {"X": np.zeros((1, 6))}, WIDE)
    assert {0, 1, 5} <= set(found["X"].nan)
    assert len(calls) <= 3 + 2


def test_a_request_is_refused_with_its_place() -> None:
    """Row and column are told, by name where it is known; and never the value."""
    check = FiniteCheck({"X": Refused((1,), (0, 1))}, ["width", "height"])
    check({"X": np.array([[np.nan, 1.0], [0.0, 2.0]])})
    with pytest.raises(WrongValue, match="a missing number in row 1, column 'height'"):
        check({"X": np.array([[0.0, 1.0], [0.0, np.nan]])})
    with pytest.raises(WrongValue, match="an infinity in row 0, column 'width'"):
        check({"X": np.array([[-np.inf, 1.0]])})


def test_a_column_without_a_name_is_told_by_its_number() -> None:
    """Counted from 0."""
    with pytest.raises(WrongValue, match="row 0, column 2"):
        FiniteCheck({"X": Refused((2,), ())})({"X": np.array([[0, 0, np.nan]])})


def test_an_input_that_takes_all_is_not_looked_at() -> None:
    """It need not even be of numbers."""
    FiniteCheck({})({"X": np.array(["x"], object)})
