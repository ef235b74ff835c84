"""inferd.models.example: a row that a model accepts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.models.example import example_inputs, repeat_rows
from inferd.signature import Checker, Signature, TensorSpec
from inferd.tensors import TABLE, json_values

SPECS = st.builds(
    TensorSpec,
    st.just("X"),
    st.sampled_from([row.name for row in TABLE]),
    st.lists(st.sampled_from([-1, 1, 3]), max_size=3).map(tuple),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(-9, 9) | st.text(max_size=3),
    lambda v: st.lists(v, max_size=4),
)


@given(SPECS, st.lists(ANYTHING, min_size=1, max_size=3))
def test_the_example_fits_whatever_the_exporter_wrote(spec: TensorSpec, given_: list[Any]) -> None:
    """A row that does not fit the signature is left aside."""
    for example in ({}, {"X": given_}, {"Z": given_}):
        inputs = example_inputs(Signature((spec,), ()), example)
        layout = (("X", spec.datatype, inputs["X"].shape),)
        Checker(Signature((spec,), ())).admit(layout)
        assert inputs["X"].dtype == spec.type.numpy


@pytest.mark.parametrize(
    ("shape", "values", "expected"),
    [
        ((-1, 2), [[1, 2.5]], [[1, 2.5]]),
        ((-1, -1), [[1, 2, 3]], [[1, 2, 3]]),
        ((-1, 2, 2), [[[1, 2], [3, 4]]], [[[1, 2], [3, 4]]]),
        ((-1, 2), [[1]], [[0, 0]]),
        ((-1, 2), [["a", 1]], [[0, 0]]),
        ((-1, 2), [[1, [2]]], [[0, 0]]),
        ((2,), None, [0, 0]),
    ],
)
def test_the_exporters_row_is_taken_where_it_fits(
    shape: tuple[int, ...], values: Any, expected: list[Any]
) -> None:
    """A free dimension takes the row's length; what does not fit is replaced by zeros."""
    signature = Signature((TensorSpec("X", "FP32", shape),), ())
    assert example_inputs(signature, {"X": values})["X"].tolist() == expected


def test_strings_are_empty_where_none_are_given() -> None:
    """Every datatype has something that stands for nothing."""
    spec = TensorSpec("X", "BYTES", (-1, 2))
    assert json_values(example_inputs(Signature((spec,), ()), {})["X"]) == [["", ""]]


def test_rows_are_repeated() -> None:
    """The first row, so many times."""
    inputs = {"A": np.array([[1, 2]]), "B": np.array(["x"], object)}
    repeated = repeat_rows(inputs, 3)
    assert repeated["A"].tolist() == [[1, 2]] * 3
    assert repeated["B"].tolist() == ["x"] * 3
