"""inferd.tensors: the table of datatypes, and JSON values to arrays and back."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype

from inferd.errors import InvalidInput, WrongCount, WrongValue
from inferd.tensors import (
    BY_NAME,
    MAX_NESTING,
    TABLE,
    Datatype,
    array_from_values,
    datatype_of,
    flat_array,
    flatten,
    json_schema,
    json_values,
)

WHOLE = [row for row in TABLE if row.numpy.kind in "iu"]
REAL = [row for row in TABLE if row.numpy.kind == "f"]


def _elements(row: Datatype) -> st.SearchStrategy[Any]:
    """JSON values that the datatype holds exactly."""
    if row.numpy.kind in "iu":
        limits = np.iinfo(row.numpy)
        return st.integers(int(limits.min), int(limits.max))
    if row.numpy.kind == "f":
        width: Any = row.numpy.itemsize * 8
        return st.floats(width=width, allow_nan=False)
    return st.booleans() if row.name == "BOOL" else st.text()


TYPED_LISTS = st.sampled_from(TABLE).flatmap(
    lambda row: st.tuples(st.just(row), st.lists(_elements(row), max_size=12))
)


def test_the_table_agrees_with_onnx() -> None:
    """A datatype's numpy dtype is the one that ONNX gives the same name."""
    names = {"FLOAT16": "float16", "FLOAT": "float", "DOUBLE": "double"}
    for name, number in TensorProto.DataType.items():
        text = f"tensor({names.get(name, name.lower())})"
        row = next((row for row in TABLE if row.onnx == text), None)
        if row is not None:
            assert tensor_dtype_to_np_dtype(number) == row.numpy, text


def test_every_column_of_the_table_is_a_key() -> None:
    """No two rows share a name in any of the vocabularies."""
    for column in ("name", "numpy", "tensorflow", "onnx"):
        assert len({getattr(row, column) for row in TABLE}) == len(TABLE), column


@given(TYPED_LISTS)
def test_values_come_back_as_they_went_in(typed: tuple[Datatype, list[Any]]) -> None:
    """A list that a datatype can hold is the same list after an array was made of it."""
    row, values = typed
    array = flat_array("X", values, row)
    assert array.dtype == row.numpy
    assert datatype_of(array) is row
    assert json_values(array) == values


@given(TYPED_LISTS)
def test_nesting_is_not_compared_with_the_shape(typed: tuple[Datatype, list[Any]]) -> None:
    """The same elements, flat or nested, are the same tensor."""
    row, values = typed
    shape = (1, len(values))
    flat = array_from_values("X", values, row, shape, len(values))
    nested = array_from_values("X", [[value] for value in values], row, shape, len(values))
    assert flat.shape == nested.shape == shape
    assert flat.tolist() == nested.tolist()
    assert flat.flags.c_contiguous


def test_a_wrong_number_of_elements_is_counted_over_all_levels() -> None:
    """The error tells how many values there were, nested or not, and how many were due."""
    for values in ([1, 2, 3], [[1, 2], [3]]):
        with pytest.raises(WrongCount, match="got 3, expected 4"):
            array_from_values("X", values, BY_NAME["INT32"], (2, 2), 4)


def test_a_shape_that_no_memory_holds_is_refused_before_allocation() -> None:
    """The elements are counted before anything of the shape's size is made."""
    with pytest.raises(WrongCount):
        array_from_values("X", [1], BY_NAME["INT64"], (2**40, 2**40), 2**80)


@pytest.mark.parametrize("shape", [(0, 2**62), (0, 2**63), (0, 2**70)])
def test_an_empty_tensor_with_an_absurd_dimension_is_the_callers_fault(
    shape: tuple[int, ...],
) -> None:
    """A shape that numpy cannot represent, of no elements, is InvalidInput and no crash."""
    with pytest.raises(InvalidInput):
        array_from_values("X", [], BY_NAME["FP32"], shape, 0)


@pytest.mark.parametrize("row", WHOLE, ids=lambda row: row.name)
def test_a_whole_number_out_of_range_is_refused(row: Datatype) -> None:
    """Integers are never wrapped around."""
    limits = np.iinfo(row.numpy)
    for value in (int(limits.min) - 1, int(limits.max) + 1):
        with pytest.raises(WrongValue, match="out of range"):
            array_from_values("X", [value], row, (1,), 1)


@pytest.mark.parametrize("row", REAL, ids=lambda row: row.name)
def test_whole_numbers_are_numbers(row: Datatype) -> None:
    """A tensor of fractions takes integers, and NaN and the infinities."""
    values = [1, 0.5, math.inf, -math.inf]
    assert flat_array("X", values, row).tolist() == values
    assert math.isnan(flat_array("X", [math.nan], row)[0])


def test_an_integer_beyond_all_floats_is_refused() -> None:
    """An integer that no float can hold is out of range, not an infinity."""
    with pytest.raises(WrongValue, match="out of range"):
        flat_array("X", [10**400], BY_NAME["FP32"])


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("INT32", 1.0, "a fraction at position 1"),
        ("INT32", True, "true or false at position 1"),
        ("INT32", "1", "a string at position 1"),
        ("FP32", False, "true or false at position 1"),
        ("FP32", None, "null at position 1"),
        ("FP32", {}, "an object at position 1"),
        ("BYTES", 1, "an integer at position 1"),
        ("BOOL", 0, "an integer at position 1"),
    ],
)
def test_nothing_is_coerced_between_kinds_of_json(name: str, value: Any, got: str) -> None:
    """A value of another kind is refused with its place and kind, and never repeated."""
    good: Any = {"INT32": 1, "FP32": 1.5, "BYTES": "a", "BOOL": True}[name]
    with pytest.raises(WrongValue) as caught:
        flat_array("X", [good, value], BY_NAME[name])
    assert caught.value.got == got


@given(st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=20))
def test_flattening_keeps_the_order_or_refuses(values: Any) -> None:
    """Leaves come out in the order of the text; lists beside values are refused."""

    def leaves(value: Any) -> list[Any]:
        return [leaf for v in value for leaf in leaves(v)] if isinstance(value, list) else [value]

    listed = values if isinstance(values, list) else [values]
    try:
        flat = flatten(listed)
    except InvalidInput as error:
        assert "side by side" in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert flat == leaves(listed)


def test_nesting_deeper_than_any_tensor_is_refused() -> None:
    """Lists of more levels than numpy has dimensions are an attack or a mistake."""
    values: list[Any] = [1]
    for _ in range(MAX_NESTING - 1):
        values = [values]
    assert flatten(values) == [1]
    with pytest.raises(InvalidInput, match="nested too deep"):
        flatten([values])


def test_bytes_are_read_as_utf8() -> None:
    """Strings of a model reach JSON, whether it gives text, bytes, or bytes that are no text."""
    array = np.array([["a", b"\xc3\xa9"], [b"\xff", "ok"]], object)
    assert json_values(array) == [["a", "é"], ["\ufffd", "ok"]]
    assert json_values(np.array([b"ab"], "S2")) == ["ab"]


def test_fixed_width_strings_are_bytes() -> None:
    """numpy's own strings count as BYTES; a dtype that no protocol carries has no datatype."""
    assert datatype_of(np.array(["ab"])).name == datatype_of(np.array([b"ab"])).name == "BYTES"
    with pytest.raises(KeyError):
        datatype_of(np.array([1j]))


def test_every_datatype_has_a_schema() -> None:
    """The page in /docs can describe an element of any datatype."""
    kinds = {row.name: json_schema(row)["type"] for row in TABLE}
    assert kinds["INT64"] == kinds["UINT8"] == "integer"
    assert (kinds["FP16"], kinds["BOOL"], kinds["BYTES"]) == ("number", "boolean", "string")
