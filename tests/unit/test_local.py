"""inferd.local: whatever holds rows means the same rows."""

import datetime
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.errors import InvalidInput
from inferd.local import read_rows
from inferd.rows import RowReader
from inferd.signature import Signature, TensorSpec

NAMES = ("a", "b", "c")


def _reader(*columns: tuple[str, str]) -> RowReader:
    return RowReader(Signature(tuple(TensorSpec(*each, (-1, 1)) for each in columns), ()))


def _matrix(datatype: str = "FP64", names: tuple[str, ...] = NAMES) -> RowReader:
    return RowReader(Signature((TensorSpec("X", datatype, (-1, 3)),), ()), names)


NUMBERS = _matrix()
UNNAMED = _matrix(names=())
MIXED = _reader(("colour", "BYTES"), ("size", "FP64"), ("count", "INT64"), ("new", "BOOL"))


def _same(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape)
        assert got[name].flags.c_contiguous
        assert got[name].tolist() == array.tolist() or np.array_equal(
            got[name], array, equal_nan=True
        )


@settings(max_examples=30, deadline=None)  # pandas takes its time
@given(
    st.sampled_from(["FP32", "FP64"]),
    st.lists(
        st.tuples(st.floats(), st.none() | st.floats(), st.integers(-(2**60), 2**60)), min_size=1
    ),
    st.permutations(NAMES),
)
def test_numbers_mean_the_same_however_they_are_held(
    datatype: str, rows: list[tuple[Any, ...]], order: list[str]
) -> None:
    """Lists, tuples, records, a DataFrame of mixed dtypes in any order, and an array of records."""
    reader = _matrix(datatype)
    wanted = reader.many([list(row) for row in rows])
    frame = pd.DataFrame({n: [row[at] for row in rows] for at, n in enumerate(NAMES)})
    held = np.array([(r[0], math.nan if r[1] is None else r[1], r[2]) for r in rows], HELD)
    for given_rows in (
        rows,
        [list(row) for row in rows],
        [{n: row[NAMES.index(n)] for n in order} for row in rows],
        frame,
        frame[order],
        frame.assign(extra="x")[["extra", *order]],
        frame.astype({"b": "Float64", "c": "Int64"}),
        frame.astype(object),
        held,
    ):
        _same(read_rows(given_rows, reader), wanted)


HELD = np.dtype([("a", np.float64), ("b", np.float64), ("c", np.int64)])


@settings(max_examples=30, deadline=None)  # pandas takes its time
@given(
    st.lists(
        st.tuples(
            st.text(), st.none() | st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans()
        ),
        min_size=1,
    ),
    st.permutations(MIXED.names),
)
def test_mixed_columns_mean_the_same_however_they_are_held(
    rows: list[tuple[Any, ...]], order: list[str]
) -> None:
    """Strings, numbers, integers, and true and false side by side."""
    wanted = MIXED.many([list(row) for row in rows])
    frame = pd.DataFrame(rows, columns=list(MIXED.names))
    frame["size"] = frame["size"].astype(float)
    for given_rows in (
        rows,
        [dict(zip(MIXED.names, row, strict=True)) for row in rows],
        [{n: row[MIXED.names.index(n)] for n in order} for row in rows],
        np.array(rows, object),
        frame,
        frame[order],
        frame.astype({"colour": "category", "count": "Int64", "new": "boolean"}),
        frame.astype({"colour": "string", "count": "category", "size": "Float64"}),
        frame.astype(object),
    ):
        _same(read_rows(given_rows, MIXED), wanted)


@pytest.mark.parametrize(
    "row",
    [
        [1, None, 2.5],
        (1, np.nan, 2.5),
        [1, pd.NA, 2.5],
        [1, pd.NaT, np.float32(2.5)],
        {"c": 2.5, "a": 1, "b": None},
        {"c": 2.5, "a": np.int64(1), "b": pd.NA},
        np.array([1, np.nan, 2.5]),
        np.array([1, None, 2.5], object),
        np.array([1, np.nan, 2.5], np.float16),
        pd.Series([1, None, 2.5]),
        pd.Series({"c": 2.5, "b": None, "a": 1}),
        pd.DataFrame({"c": [2.5], "b": [None], "a": [1]}).iloc[0],
        pd.DataFrame({"c": [2.5], "b": [None], "a": [True]}),
        pd.DataFrame({"c": [2.5], "b": [pd.NA], "a": pd.array([1], "UInt8")}),
        pd.DataFrame([[1, None, 2.5]]),
        [pd.Series({"c": 2.5, "b": None, "a": 1})],
        (row for row in [[1, None, 2.5]]),
    ],
)
def test_one_row_in_every_form(row: Any) -> None:
    """A row needs no list around it, and a missing number has many names."""
    _same(read_rows(row, NUMBERS), NUMBERS.one([1, None, 2.5]))


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[True, False, True]]),
        pd.DataFrame({"a": [True], "b": [False], "c": pd.array([True], "boolean")}),
        pd.DataFrame({"a": [1], "b": [0], "c": pd.Series([True], dtype="category")}),
        pd.DataFrame({"a": [1], "b": [0], "c": pd.Series([True], dtype=object)}),
    ],
)
def test_true_and_false_of_an_array_are_numbers(rows: Any) -> None:
    """A column of them is what a model of numbers was trained on."""
    _same(read_rows(rows, NUMBERS), NUMBERS.one([1, 0, 1]))


def test_true_and_false_beside_missing_values_are_numbers() -> None:
    """As objects, or as pandas' own boolean dtype."""
    objects = pd.Series([True, None, False], dtype=object)
    for column in (objects, objects.astype("boolean")):
        made = read_rows(pd.DataFrame({"a": column, "b": 0, "c": 0}), NUMBERS)["X"][:, 0]
        assert np.array_equal(made, [1, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize("rows", [[True, 2, 3], {"a": True, "b": 2, "c": 3}, [[np.True_, 2, 3]]])
def test_true_and_false_of_a_list_are_no_numbers(rows: Any) -> None:
    """As in a request: nothing is coerced, and the text says what to write."""
    with pytest.raises(
        InvalidInput, match=r"true or false for 'a' in row 0, expected numbers \(1 f"
    ):
        read_rows(rows, NUMBERS)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"a": [1], "b": [2]}, "the table lacks columns of the model: got no 'c', expected 'a'"),
        ({"a": [1], "b": [2], "C": [3]}, "got unknown 'C' and no 'c'"),
        ({"alpha": [1], "beta": [2], "gamma": [3]}, "got unknown 'alpha', 'beta', 'gamma' and no"),
        ({0: [1], 1: [2]}, "wrong number of values: got 2, expected 3"),
        ({"a": [1], "b": [2], "c": ["x"]}, "got a string for 'c' in row 0, expected numbers"),
        ({"a": [1], "b": [2], "c": [Decimal(1)]}, "got a Decimal for 'c' in row 0"),
        ({"a": [1], "b": [2], "c": [datetime.date(2020, 1, 1)]}, "got a date for 'c' in row 0"),
        ({"a": [1], "b": [2], "c": pd.to_datetime(["2020"])}, "got a datetime64 for 'c' in row 0"),
        ({"a": [1], "b": [2], "c": [1j]}, "got a complex for 'c' in row 0"),
    ],
)
def test_an_unfit_frame_is_told(frame: dict[Any, Any], text: str) -> None:
    """Columns that are missing, with what they may be called, and values of a wrong kind."""
    with pytest.raises(InvalidInput, match=text):
        read_rows(pd.DataFrame(frame), NUMBERS)


def test_a_string_cannot_be_missing() -> None:
    """However it is missing, and whatever holds it."""
    reader = _reader(("colour", "BYTES"), ("size", "FP32"))
    frame = pd.DataFrame({"colour": ["red", None], "size": [1, 2]})
    for rows in (
        frame,
        frame.astype({"colour": "category"}),
        frame.astype({"colour": "string"}),
        [["red", 1], [None, 2]],
        [["red", 1], [np.nan, 2]],
        frame.to_dict("records"),
    ):
        with pytest.raises(
            InvalidInput, match=r"for 'colour' in row 1, .* which cannot be missing"
        ):
            read_rows(rows, reader)


def test_a_table_with_a_name_twice_is_refused() -> None:
    """Nobody can tell which column is meant."""
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=["a", "b", "c", "c"])
    with pytest.raises(InvalidInput, match="several columns of one name"):
        read_rows(frame, NUMBERS)


def test_a_model_without_names_reads_a_table_in_order() -> None:
    """Also one whose columns are called x0, x1, ... for want of names."""
    frame = pd.DataFrame({"height": [1], "width": [2], "depth": [3]})
    for reader in (UNNAMED, _matrix(names=("x0", "x1", "x2")), _matrix(names=("0", "1", "2"))):
        _same(read_rows(frame, reader), NUMBERS.one([1, 2, 3]))
        _same(
            read_rows(pd.Series({"height": 1, "width": 2, "depth": 3}), reader),
            reader.one([1, 2, 3]),
        )
    shuffled = pd.DataFrame({"x2": [3], "x0": [1], "x1": [2]})
    _same(read_rows(shuffled, _matrix(names=("x0", "x1", "x2"))), NUMBERS.one([1, 2, 3]))


@pytest.mark.parametrize(
    "rows", [[], (), np.zeros((0, 3)), pd.DataFrame(columns=list(NAMES)), np.zeros(0), 5, None, "a"]
)
def test_no_rows_are_told(rows: Any) -> None:
    """An empty table, and what is none."""
    with pytest.raises(InvalidInput, match="no rows"):
        read_rows(rows, NUMBERS)
