"""signature and tensors: inputs of a narrower datatype than the model's, where nothing is lost."""

import itertools
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inferd.config import Settings
from inferd.errors import InvalidInput, MissingInput, WrongDatatype, WrongShape
from inferd.pipeline import Pipeline
from inferd.signature import ANY_BY_NAME, Checker, Signature, TensorSpec
from inferd.tensors import BF16, BY_NAME, TABLE, holds, widened
from tests.unit.oip_models import CLIENT_TYPES, decoded, request, tensor, write_identities

PAIRS = [
    (narrow, wide)
    for narrow, wide in itertools.product([*TABLE, BF16], TABLE)
    if narrow is not wide and holds(wide, narrow)
]


def test_what_holds_what() -> None:
    """Whole numbers up to as many bits as a fraction has; never back, and never truths or
    strings."""
    taken: dict[str, set[str]] = {}
    for narrow, wide in PAIRS:
        taken.setdefault(wide.name, set()).add(narrow.name)
    small = {"INT8", "UINT8"}
    assert taken == {
        "FP16": small,
        "FP32": small | {"INT16", "UINT16", "FP16", "BF16"},
        "FP64": small | {"INT16", "UINT16", "INT32", "UINT32", "FP16", "BF16", "FP32"},
        "INT16": small,
        "UINT16": {"UINT8"},
        "INT32": small | {"INT16", "UINT16"},
        "UINT32": {"UINT8", "UINT16"},
        "INT64": small | {"INT16", "UINT16", "INT32", "UINT32"},
        "UINT64": {"UINT8", "UINT16", "UINT32"},
    }


@pytest.mark.parametrize(("narrow", "wide"), PAIRS, ids=lambda row: row.name)
@settings(max_examples=20)
@given(data=st.data())
def test_each_value_is_kept(narrow: object, wide: object, data: st.DataObject) -> None:
    """There and back is where it was, bit by bit but for the inside of a NaN."""
    assert isinstance(narrow, type(BF16))
    assert isinstance(wide, type(BF16))
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    bits = data.draw(arrays.arrays(f"u{narrow.numpy.itemsize}", shape))
    sent = bits.view(narrow.numpy)
    got = widened(sent, narrow, wide)
    assert (got.dtype, got.shape) == (wide.numpy, shape)
    own = ml_dtypes.bfloat16 if narrow is BF16 else narrow.numpy
    with np.errstate(invalid="ignore"):
        back, there = got.astype(own).astype(np.float64), bits.view(own).astype(np.float64)
    np.testing.assert_array_equal(back, there)


CHECKER = Checker(
    Signature(
        (TensorSpec("A", "FP64", (-1, 2)), TensorSpec("B", "INT64", (-1,))),
        (TensorSpec("Y", "FP64", (-1,)),),
        batch_axis=0,
    )
)


def test_a_wider_admission_tells_what_to_widen() -> None:
    """Each input is read as it was sent; those that are the model's own are left alone."""
    layout = (("B", "INT64", (3,)), ("A", "FP16", (3, 2)))
    for _ in range(2):  # the second time from memory
        admitted = CHECKER.admit_wider(layout)
        assert admitted.rows == 3
        assert admitted.inputs == ((BY_NAME["INT64"], 3), (BY_NAME["FP16"], 6))
        assert admitted.widened == (("A", BY_NAME["FP16"], BY_NAME["FP64"]),)
    plain = (("A", "FP64", (1, 2)), ("B", "INT64", (1,)))
    assert CHECKER.admit_wider(plain) == CHECKER.admit(plain)
    assert not CHECKER.admit(plain).widened


def test_otherwise_nothing_else_is_admitted() -> None:
    """What loses, what is unknown and what has another shape is refused as ever; and what one way
    of asking remembers the other does not."""
    for datatype in ("UINT64", "BOOL", "BYTES", "FP99"):
        with pytest.raises(WrongDatatype):
            CHECKER.admit_wider((("A", datatype, (1, 2)), ("B", "INT64", (1,))))
    with pytest.raises(WrongShape):
        CHECKER.admit_wider((("A", "FP32", (1, 3)), ("B", "INT64", (1,))))
    with pytest.raises(MissingInput):
        CHECKER.admit_wider((("A", "FP32", (1, 2)),))
    narrow = (("A", "FP32", (1, 2)), ("B", "INT32", (1,)))
    CHECKER.admit_wider(narrow)
    with pytest.raises(WrongDatatype):
        CHECKER.admit(narrow)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype."""
    made = Pipeline(Settings(), cores=1)
    made.load(write_identities(tmp_path_factory.mktemp("identities")))
    yield made
    made.close()


@pytest.mark.parametrize(("narrow", "wide"), PAIRS, ids=lambda row: row.name)
def test_a_narrower_tensor_is_taken_on_the_main_port_only(
    served: Pipeline, narrow: object, wide: object
) -> None:
    """As memory and as JSON alike; at Triton's door the model's datatype is asked for."""
    assert isinstance(narrow, type(BF16))
    assert isinstance(wide, type(BF16))
    array = np.array([[1, 2], [3, 100]], CLIENT_TYPES[narrow.name])
    for binary in (True, False) if narrow is not BF16 else (True,):
        sent = request([tensor(array, narrow.name, binary=binary)])
        got = decoded(served, wide.name, sent).inputs["X"]
        assert got.dtype == wide.numpy
        assert got.tolist() == [[1, 2], [3, 100]]
        with pytest.raises(WrongDatatype):
            decoded(served, wide.name, sent, strict=True)


def test_a_bf16_does_not_come_as_json(served: Pipeline) -> None:
    """Refused in Triton's words."""
    assert "BF16" in ANY_BY_NAME
    body = b'{"inputs":[{"name":"X","shape":[1,1],"datatype":"BF16","data":[1]}]}'
    told = "receiving BF16 data via JSON is not supported. Please use the binary data format for"
    with pytest.raises(InvalidInput, match=told):
        decoded(served, "FP32", request([])._replace(body=body))
