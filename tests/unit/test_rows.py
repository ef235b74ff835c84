"""inferd.rows: rows of features to tensors, and outputs to predictions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inferd.errors import InvalidInput, WrongCount, WrongShape, WrongValue
from inferd.rows import RowReader, predictions, row_of
from inferd.signature import Roles, Signature, TensorSpec


def _reader(*specs: tuple[str, str, tuple[int, ...]]) -> RowReader:
    return RowReader(Signature(tuple(TensorSpec(*spec) for spec in specs), ()))


MATRIX = _reader(("X", "FP32", (-1, 3)))
NAMED = RowReader(Signature((TensorSpec("X", "FP64", (-1, 3)),), ()), ("a", "b", "c"))
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
    for row, text in (
        ([1.0, None, 1], "null for 'name' in row 0, expected strings, which cannot be missing"),
        ([1.0, math.nan, 1], "NaN for 'name' in row 0, expected strings, which cannot be missing"),
        ([1.0, "Ada", None], "null for 'n' in row 0, expected integers, which cannot be missing"),
    ):
        with pytest.raises(WrongValue, match=text):
            COLUMNS.one(row)
    with pytest.raises(WrongValue, match="a string at position 2 in row 0"):
        MATRIX.one([None, 1, "3"])


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_every_float_is_read_alike(datatype: str) -> None:
    """Missing numbers, integers and what is too large are the same alone and among others."""
    reader = _reader(("X", datatype, (-1, 4)))
    row = [None, 3, 1e400, -(10**30)]
    one = reader.one(row)["X"]
    assert one.dtype == reader.many([row])["X"].dtype == np.dtype(datatype.replace("FP", "float"))
    for made in (reader.many([row, row])["X"][1:], reader.many([row])["X"]):
        assert np.array_equal(one, made, equal_nan=True)
    assert math.isnan(one[0, 0])
    with pytest.raises(WrongValue, match="an integer out of range"):
        reader.one([1, 2, 3, 10**400])


def test_columns_take_lists_and_objects() -> None:
    """A row for several inputs is a list in the signature's order, or an object by name."""
    listed = COLUMNS.many([[30, "Ada", 1], [40.5, "Bob", 2]])
    named = COLUMNS.many([{"n": 1, "name": "Ada", "age": 30}, [40.5, "Bob", 2]])
    for name, array in listed.items():
        assert array.tolist() == named[name].tolist()
    assert {n: a.shape for n, a in listed.items()} == {"age": (2, 1), "name": (2, 1), "n": (2,)}
    assert COLUMNS.one([30, "Ada", 1])["name"].tolist() == [["Ada"]]


def test_a_record_is_a_row() -> None:
    """By the names of the columns or of the inputs, in any order, alone or among rows."""
    row, record = [1.5, None, 3], {"c": 3, "a": 1.5, "b": None}
    expected = NAMED.one(row)["X"]
    for made in (NAMED.record(record), NAMED.many([record]), NAMED.many([[1, 2, 3], record])):
        assert np.array_equal(made["X"][-1:], expected, equal_nan=True)
    named = COLUMNS.record({"n": 1, "name": "Ada", "age": 30})
    assert {name: array.tolist() for name, array in named.items()} == {
        "age": [[30.0]],
        "name": [["Ada"]],
        "n": [1],
    }


@pytest.mark.parametrize(
    ("spec", "features", "names"),
    [
        (("X", "FP32", (-1, 2)), ("a", "b"), ("a", "b")),
        (("X", "FP32", (-1, -1)), ("a", "b"), ("a", "b")),
        (("X", "FP32", (-1, 2)), ("a", "b", "c"), ()),
        (("X", "FP32", (-1, 2)), ("a", "a"), ()),
        (("X", "FP32", (-1, 2)), (), ()),
        (("X", "FP32", (-1, 1, 2)), ("a", "b"), ()),
        (("X", "BYTES", (-1, 1)), (), ("X",)),
        (("X", "BYTES", (-1,)), (), ("X",)),
        (("X", "BYTES", (-1, 1)), ("a",), ("a",)),
    ],
)
def test_names_are_known_or_not(
    spec: tuple[str, str, tuple[int, ...]], features: tuple[str, ...], names: tuple[str, ...]
) -> None:
    """A record needs one name for each value; an input of one value a row has its own."""
    reader = RowReader(Signature((TensorSpec(*spec),), ()), features)
    assert reader.names == names
    if names:
        value: Any = "x" if spec[1] == "BYTES" else 1.0
        made = reader.many([dict.fromkeys(names, value)])["X"]
        assert made.ravel().tolist() == [value] * len(names)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    """What is unknown, what is missing, and what was meant; no more than a person reads."""
    wide = [f"column {at}" for at in range(1000)]
    reader = RowReader(Signature((TensorSpec("X", "FP64", (-1, 1000)),), ()), wide)
    record = dict.fromkeys(wide, 1.0)
    del record["column 7"]
    record["Column 7"] = record["y" * 10**6] = 1.0
    with pytest.raises(InvalidInput) as raised:
        reader.record(record)
    assert raised.value.got.startswith("unknown 'Column 7', 'yyy")
    assert raised.value.got.endswith("no 'column 7'")
    assert raised.value.cure == "Did you mean 'column 7' by 'Column 7'?"
    assert "and 980 more" in raised.value.expected
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    ("reader", "columns", "text"),
    [
        (NAMED, [[1.0], [2.0]], "'columns' has the wrong number of values: got 2, expected 3"),
        (COLUMNS, [[1.0], ["a"]], "got 2, expected 3"),
        (NAMED, [[1.0], [2.0], ["a"]], "a string for 'c' in row 0"),
        (NAMED, [[1.0], [2.0], np.array(["a"])], "a string for 'c' in row 0"),
        (COLUMNS, [[1.0], [None], [1]], "strings, which cannot be missing"),
        (COLUMNS, [np.ones(1), ["a"], np.ones(1)], "a fraction for 'n' in row 0, expected integer"),
    ],
)
def test_an_unfit_table_is_told(reader: RowReader, columns: list[Any], text: str) -> None:
    """A column too few, and a value of a wrong kind by its column and row."""
    with pytest.raises(InvalidInput, match=text):
        reader.table(columns)


def test_a_table_of_a_free_width() -> None:
    """As many columns as there are."""
    made = _reader(("X", "FP32", (-1, -1))).table([np.ones(2), [1, None]])["X"]
    assert made.shape == (2, 2)


NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-0.0, 5e-324, 1e39, 2**24 + 1, 2**53 + 1, 2**62 + 1]),
)


@given(st.sampled_from(["FP16", "FP32", "FP64"]), st.data())
def test_a_row_a_record_a_table_and_an_array_are_one(datatype: str, data: st.DataObject) -> None:
    """The same numbers, to the last bit, in every form."""
    reader = RowReader(Signature((TensorSpec("X", datatype, (-1, 3)),), ()), ("a", "b", "c"))
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=4))
    expected = reader.many(rows)["X"].tobytes()
    order = data.draw(st.permutations(reader.names))
    records = [{n: row[reader.names.index(n)] for n in order} for row in rows]
    assert reader.many(records)["X"].tobytes() == expected
    assert b"".join(reader.one(row)["X"].tobytes() for row in rows) == expected
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert reader.table(columns)["X"].tobytes() == expected
    if not any(value is None for row in rows for value in row):
        made = [np.array(column) for column in columns]
        if all(array.dtype.kind in "if" for array in made):
            assert reader.table(made)["X"].tobytes() == expected
    wide = np.array([[math.nan if v is None else v for v in row] for row in rows], np.float64)
    assert reader.array(wide)["X"].tobytes() == reader.many(wide.tolist())["X"].tobytes()


@given(
    st.sampled_from([np.bool_, np.int8, np.uint16, np.int32, np.int64, np.uint64, np.float16]),
    st.sampled_from(["FP16", "FP32", "FP64", "INT64", "INT8"]),
    st.data(),
)
def test_an_array_means_what_its_values_do(kind: Any, datatype: str, data: st.DataObject) -> None:
    """Any dtype becomes the datatype as its values one by one do, or is refused as they are."""
    reader = _reader(("X", datatype, (-1, 2)))
    array = data.draw(arrays(kind, (2, 2)))
    values = array.astype(np.int8).tolist() if kind is np.bool_ else array.tolist()
    expected = _outcome(reader.many, values)
    for each in (array, np.asfortranarray(array)):
        assert _outcome(reader.array, each) == expected


def _outcome(read: Callable[[Any], dict[str, Any]], rows: Any) -> Any:
    """The bytes that rows became, or why they did not."""
    try:
        (made,) = read(rows).values()
    except WrongValue as error:
        return str(error)
    assert made.flags.c_contiguous
    return made.dtype, made.shape, np.nan_to_num(made, nan=0.125).tobytes()


def test_an_array_that_is_no_matrix_is_told_as_its_lists_are() -> None:
    """Wrong widths, strings, several inputs: the same as the lists."""
    for rows in (np.zeros((2, 2)), np.array([["a", "b", "c"]]), np.zeros(3)):
        with pytest.raises(InvalidInput, match="expected"):
            MATRIX.array(rows)
    pair = _reader(("A", "FP32", (-1, 1)), ("B", "FP64", (-1,)))
    assert pair.array(np.array([[1, 2], [3, 4]], np.float64))["B"].tolist() == [2, 4]
    assert pair.array(np.array([[True, False]]))["A"].tolist() == [[1.0]]
    with pytest.raises(WrongCount, match="got 3, expected 2"):
        pair.array(np.zeros((1, 3)))
    with pytest.raises(WrongValue, match="row 0 that is no list"):
        pair.array(np.zeros(2))
    image = _reader(("X", "FP32", (-1, 2, 2)))
    assert image.array(np.arange(8).reshape(2, 2, 2))["X"].shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("reader", "rows", "error", "text"),
    [
        (MATRIX, [[1, 2, 3], [1, 2]], WrongCount, "in row 8: got 2, expected 3"),
        (MATRIX, [[1, 2, 3], 4], WrongValue, "row 8 that is no list"),
        (MATRIX, [{"X": 1}], InvalidInput, "row 7 is an object, and the names of this model's"),
        (MATRIX, [[1, 2, 3], [1, "2", 3]], WrongValue, "a string at position 1 in row 8"),
        (NAMED, [[1, 2, 3], [1, "2", 3]], WrongValue, "a string for 'b' in row 8"),
        (NAMED, [[1, 2, True]], WrongValue, r"true or false for 'c' in row 7, expected numbers \("),
        (NAMED, [[1, 2]], WrongCount, "in row 7: got 2, expected 3"),
        (NAMED, [7], WrongValue, "row 7 that is no list, expected a list, or an object by name"),
        (MATRIX, [[1, 2, [3]]], WrongValue, "a list at position 2"),
        (COLUMNS, [[1, "a"]], WrongCount, "in row 7: got 2, expected 3"),
        (COLUMNS, [5], WrongValue, "row 7 that is no list"),
        (COLUMNS, [{"age": 1, "name": "a"}], InvalidInput, "row 7 does not .*: got no 'n'"),
        (COLUMNS, [{"age": 1, "name": "a", "x": 1}], InvalidInput, "unknown 'x' and no 'n'"),
        (COLUMNS, [[1, "a", 2**64]], WrongValue, "an integer out of range"),
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


def test_a_missing_number_is_shown_as_none() -> None:
    """The example on a page is JSON."""
    assert row_of(NAMED.one([1.5, None, 3])) == [1.5, None, 3.0]


def test_a_column_of_predictions_is_flattened() -> None:
    """One value a row is a list of values; the probabilities stay a matrix."""
    outputs = {"y": np.array([[1.0], [2.0]]), "p": np.eye(2)}
    prediction, probability = predictions(outputs, Roles("y", "p"))
    assert prediction.tolist() == [1.0, 2.0]
    assert probability is outputs["p"]
    assert predictions({"y": np.eye(2)}, Roles("y"))[0].shape == (2, 2)
    assert predictions(outputs, Roles("y"))[1] is None
