"""inferd.rows: rows of features to tensors, and outputs to predictions."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.errors import InvalidInput, WrongCount, WrongShape, WrongValue
from inferd.rows import RowReader, predictions, row_of
from inferd.signature import Roles, Signature, TensorSpec


def _reader(*specs: tuple[str, str, tuple[int, ...]]) -> RowReader:
    return RowReader(Signature(tuple(TensorSpec(*spec) for spec in specs), ()))


MATRIX = _reader(("X", "FP32", (-1, 3)))
COLUMNS = _reader(("age", "FP32", (-1, 1)), ("name", "BYTES", (-1, 1)), ("n", "INT64", (-1,)))


@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), max_size=5))
def test_rows_become_a_matrix(rows: list[list[float]]) -> None:
    """Each row is a row of the only input, whether they come together or one by one."""
    together = MATRIX.many(rows)["X"]
    assert together.dtype == np.float32
    assert np.array_equal(together, np.array(rows, np.float32).reshape(-1, 3), equal_nan=True)
    for at, row in enumerate(rows):
        assert np.array_equal(MATRIX.one(row)["X"], together[at : at + 1], equal_nan=True)


def test_a_missing_number_is_nan() -> None:
    """None stands for NaN in a matrix and in a column of fractions, and nowhere else."""
    assert math.isnan(MATRIX.one([1, None, 3.5])["X"][0, 1])
    assert math.isnan(COLUMNS.one([None, "Ada", 1])["age"][0, 0])
    for row in ([1.0, None, 1], [1.0, "Ada", None]):
        with pytest.raises(WrongValue, match="null at position 0"):
            COLUMNS.one(row)
    with pytest.raises(WrongValue, match="a string at position 2"):
        MATRIX.one([None, 1, "3"])


def test_columns_take_lists_and_objects() -> None:
    """A row for several inputs is a list in the signature's order, or an object by name."""
    listed = COLUMNS.many([[30, "Ada", 1], [40.5, "Bob", 2]])
    named = COLUMNS.many([{"n": 1, "name": "Ada", "age": 30}, [40.5, "Bob", 2]])
    for name, array in listed.items():
        assert array.tolist() == named[name].tolist()
    assert {n: a.shape for n, a in listed.items()} == {"age": (2, 1), "name": (2, 1), "n": (2,)}
    assert COLUMNS.one([30, "Ada", 1])["name"].tolist() == [["Ada"]]


@pytest.mark.parametrize(
    ("reader", "rows", "error", "text"),
    [
        (MATRIX, [[1, 2, 3], [1, 2]], WrongCount, "in row 8: got 2, expected 3"),
        (MATRIX, [[1, 2, 3], 4], WrongValue, "row 8 that is no list"),
        (MATRIX, [{"X": 1}], WrongValue, "row 7 that is no list"),
        (MATRIX, [[1, 2, [3]]], WrongValue, "a list at position 2"),
        (COLUMNS, [[1, "a"]], WrongCount, "in row 7: got 2, expected 3"),
        (COLUMNS, [5], WrongValue, "row 7 that is no list"),
        (COLUMNS, [{"age": 1, "name": "a"}], WrongValue, "no 'n' in row 7"),
        (COLUMNS, [{"age": 1, "name": "a", "x": 1}], WrongValue, "unknown 'x' in row 7"),
    ],
)
def test_an_unfit_row_is_told_with_its_number(
    reader: RowReader, rows: list[Any], error: type[InvalidInput], text: str
) -> None:
    """The first unfit row is named, counted from where the piece begins."""
    with pytest.raises(error, match=text):
        reader.many(rows, 7)


def test_an_image_is_taken_flat_or_nested() -> None:
    """The values of a row fill the inner dimensions in order, however they are nested."""
    reader = _reader(("X", "INT32", (-1, 2, 2)))
    for row in ([1, 2, 3, 4], [[1, 2], [3, 4]]):
        assert reader.many([row])["X"].tolist() == [[[1, 2], [3, 4]]]
    assert reader.one([1, 2, 3, 4])["X"].tolist() == [[[1, 2], [3, 4]]]
    with pytest.raises(WrongValue, match="no list"):
        reader.many([1])


def test_one_free_dimension_is_as_long_as_the_first_row() -> None:
    """Rows of equal length fit a free width; others and several free dimensions do not."""
    reader = _reader(("X", "FP32", (-1, -1)))
    assert reader.many([[1, 2], [3, 4]])["X"].shape == (2, 2)
    assert reader.one([1, 2, 3])["X"].shape == (1, 3)
    with pytest.raises(WrongCount, match="in row 1"):
        reader.many([[1, 2], [3]])
    with pytest.raises(WrongValue, match="row 0 that is no list"):
        reader.many([1, 2])
    with pytest.raises(InvalidInput, match="several free dimensions"):
        _reader(("X", "FP32", (-1, -1, -1))).one([1, 2])


def test_a_model_of_a_fixed_number_of_rows_takes_no_other() -> None:
    """The shape as a whole is held against the signature."""
    reader = _reader(("X", "FP32", (1, 2)))
    assert reader.one([1, 2])["X"].shape == (1, 2)
    with pytest.raises(WrongShape, match=r"got \[2,2\], expected \[1,2\]"):
        reader.many([[1, 2], [3, 4]])


def test_a_scalar_input_has_no_place_for_rows() -> None:
    """A model of scalars is refused by shape, not by a crash."""
    with pytest.raises(InvalidInput):
        _reader(("X", "FP32", ())).one([1])


def test_a_row_has_one_value_for_each_of_several_inputs() -> None:
    """An input of several values a row cannot be filled from a column."""
    reader = _reader(("A", "FP32", (-1, 1)), ("B", "FP32", (-1, 2)))
    with pytest.raises(InvalidInput, match="no place for input 'B'"):
        reader.one([1, 2])


@pytest.mark.parametrize(
    ("reader", "row"),
    [(MATRIX, [1.0, 2.0, 3.0]), (COLUMNS, [1.5, "Ada", 3])],
)
def test_the_row_of_inputs_is_the_inverse_of_reading_it(reader: RowReader, row: list[Any]) -> None:
    """What a row became is shown as the same row."""
    assert row_of(reader.one(row)) == row


def test_a_column_of_predictions_is_flattened() -> None:
    """One value a row is a list of values; the probabilities stay a matrix."""
    outputs = {"y": np.array([[1.0], [2.0]]), "p": np.eye(2)}
    prediction, probability = predictions(outputs, Roles("y", "p"))
    assert prediction.tolist() == [1.0, 2.0]
    assert probability is outputs["p"]
    assert predictions({"y": np.eye(2)}, Roles("y"))[0].shape == (2, 2)
    assert predictions(outputs, Roles("y"))[1] is None
