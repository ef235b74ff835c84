"""inferd.signature: specs, the Checker, and which output is the prediction."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.errors import (
    BatchMismatch,
    DuplicateInput,
    InvalidInput,
    MissingInput,
    UnexpectedInput,
    UnexpectedOutput,
    WrongDatatype,
    WrongShape,
)
from inferd.signature import Checker, Layout, Roles, Signature, TensorSpec, roles
from inferd.tensors import TABLE

TWO = Signature(
    (TensorSpec("A", "FP32", (-1, 4)), TensorSpec("B", "INT64", (-1, 2, -1))),
    (TensorSpec("Y", "FP32", (-1, 3)),),
    batch_axis=0,
)
RIGHT: Layout = (("A", "FP32", (5, 4)), ("B", "INT64", (5, 2, 7)))

SHAPES = st.lists(st.integers(-1, 4), max_size=4).map(tuple)
SIZES = st.lists(st.integers(-2, 4), max_size=4).map(tuple)


@given(SHAPES, SIZES)
def test_a_spec_admits_equal_rank_and_equal_fixed_dimensions(
    shape: tuple[int, ...], size: tuple[int, ...]
) -> None:
    """A free dimension takes any number that is not negative, a fixed one only itself."""
    fits = len(shape) == len(size) and all(
        g >= 0 and w in (-1, g) for g, w in zip(size, shape, strict=True)
    )
    assert TensorSpec("X", "FP32", shape).admits(size) == fits


def test_a_signature_reads_as_a_line() -> None:
    """The banner's line shows names, datatypes and shapes, free dimensions as question marks."""
    assert str(TWO) == "(A: FP32[?, 4], B: INT64[?, 2, ?]) -> (Y: FP32[?, 3])"
    assert TWO.input_names == ("A", "B")
    assert TWO.output_names == ("Y",)
    assert {TensorSpec("X", row.name, ()).type for row in TABLE} == set(TABLE)


@pytest.mark.parametrize("layout", [RIGHT, RIGHT[::-1]])
def test_a_fitting_layout_is_admitted_in_the_order_it_was_sent(layout: Layout) -> None:
    """The rows, and each input's datatype and number of elements, are told."""
    for _ in range(2):  # the second time from memory
        admitted = Checker(TWO).admit(layout)
        assert admitted.rows == 5
        counts = {"FP32": 20, "INT64": 70}
        assert [(d.name, n) for d, n in admitted.inputs] == [
            (datatype, counts[datatype]) for _, datatype, _ in layout
        ]


@pytest.mark.parametrize(
    ("layout", "error"),
    [
        ((RIGHT[0], RIGHT[0], ("C", "X", ())), DuplicateInput),
        ((("C", "FP32", (5, 4)), ("A", "FP64", ())), UnexpectedInput),
        ((("A", "FP64", (5, 3)),), WrongDatatype),
        ((("A", "FP32", (5, 3)),), WrongShape),
        ((("A", "FP32", (5,)),), WrongShape),
        ((("A", "FP32", (-5, 4)), RIGHT[1]), WrongShape),
        ((RIGHT[0],), MissingInput),
        ((), MissingInput),
        ((RIGHT[0], ("B", "INT64", (6, 2, 7))), BatchMismatch),
        ((("A", "FP32", (6, 4)), RIGHT[1]), BatchMismatch),
    ],
)
def test_faults_are_told_in_the_order_of_precedence(
    layout: Layout, error: type[InvalidInput]
) -> None:
    """Of several faults the first by the documented order is told, each time it is sent."""
    checker = Checker(TWO)
    for _ in range(2):
        with pytest.raises(error) as caught:
            checker.admit(layout)
        assert type(caught.value) is error


def test_the_checker_remembers_only_so_many_layouts() -> None:
    """Ever new shapes cannot make it grow without bound, are all checked, and do not keep it from
    remembering what comes after them."""
    checker = Checker(TWO)
    for rows in range(Checker.REMEMBERED + 10):
        sent = (("A", "FP32", (rows, 4)), ("B", "INT64", (rows, 2, 1)))
        assert checker.admit(sent).rows == rows
        assert len(checker._admitted) <= Checker.REMEMBERED
    assert checker.admit(RIGHT) is checker.admit(RIGHT)
    for rows in range(Checker.REMEMBERED + 10):
        checker.admit_wider((("A", "FP32", (rows, 4)), ("B", "INT32", (rows, 2, 1))))
        assert len(checker._admitted_wider) <= Checker.REMEMBERED
    assert checker.admit_wider(RIGHT) is checker.admit_wider(RIGHT)


def test_a_model_without_a_batch_axis_has_one_row() -> None:
    """Its inputs' first dimensions need not agree."""
    whole = Signature(TWO.inputs, TWO.outputs)
    sent = (("A", "FP32", (3, 4)), ("B", "INT64", (9, 2, 1)))
    assert Checker(whole).admit(sent).rows == 1


def test_a_model_without_inputs_has_one_row() -> None:
    """A batch axis without an input to read the rows from counts one."""
    assert Checker(Signature((), TWO.outputs, 0)).admit(()).rows == 1


def test_unknown_outputs_are_refused() -> None:
    """What is asked for must be in the signature."""
    Checker(TWO).check_outputs(["Y", "Y"])
    with pytest.raises(UnexpectedOutput, match="'Z'"):
        Checker(TWO).check_outputs(["Y", "Z"])


def _spec(shape: Sequence[int], name: str = "Y", datatype: str = "FP32") -> TensorSpec:
    return TensorSpec(name, datatype, tuple(shape))


@pytest.mark.parametrize(
    ("outputs", "axis", "values"),
    [
        ((_spec((-1,)), _spec((-1, 3))), 0, 4),
        ((_spec((-1, 2, 5)),), 0, 10),
        ((_spec((-1, -1)),), 0, 0),
        ((_spec((2, 3)),), None, 0),
    ],
)
def test_the_values_of_a_rows_answer_are_known_where_shapes_are_fixed(
    outputs: tuple[TensorSpec, ...], axis: int | None, values: int
) -> None:
    """Zero stands for: only the model knows."""
    assert Checker(Signature((), outputs, axis)).values_per_row == values


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([_spec((-1,), "l", "INT64"), _spec((-1, 3), "p")], Roles("l", "p")),
        ([_spec((-1, 3), "p"), _spec((-1, 1), "l", "BYTES")], Roles("l", "p")),
        ([_spec((-1,), "l", "BOOL"), _spec((-1, 2), "p", "FP64")], Roles("l", "p")),
        ([_spec((-1, 1), "y")], Roles("y")),
        ([_spec((-1,), "l", "INT64")], Roles("l")),
        ([_spec((-1, 3), "p")], Roles("p")),
        ([_spec((-1, 4), "ids", "INT64"), _spec((-1, 3), "p")], Roles("ids")),
        ([_spec((-1, 3, 2), "box"), _spec((-1,), "l", "INT64")], Roles("box")),
    ],
)
def test_roles_are_told_from_datatypes_and_ranks(
    outputs: list[TensorSpec], expected: Roles
) -> None:
    """A label of one value a row beside a matrix of scores is a classifier; else the first."""
    found = roles(Signature((), tuple(outputs)))
    assert found == expected
    assert found.outputs == tuple(n for n in (expected.prediction, expected.probability) if n)


def test_layouts_are_hashable_as_decoders_make_them() -> None:
    """A shape of numpy's own integers is found in memory like one of Python's."""
    checker = Checker(TWO)
    checker.admit(RIGHT)
    again = tuple((n, d, tuple(np.array(s).tolist())) for n, d, s in RIGHT)
    assert checker.admit(again) is checker.admit(RIGHT)
