"""protocols/oip, the classification extension: the greatest elements as texts."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inferd.config import Settings
from inferd.errors import InvalidInput, UnexpectedOutput
from inferd.pipeline import Pipeline
from inferd.protocols.oip.classification import CLASSIFIED, MOST_ELEMENTS, classify
from tests.unit import onnx_files
from tests.unit.oip_models import (
    CLIENT_TYPES,
    Array,
    answered,
    decoded,
    read,
    request,
    tensor,
    write_identities,
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, one whose tensors have no rows, and a classifier."""
    folder = tmp_path_factory.mktemp("classified")
    made = Pipeline(Settings(), cores=1)
    whole = onnx_files.identity(folder / "whole.onnx", [1, 3])
    iris = onnx_files.classifier(folder / "iris.onnx")
    made.load([*write_identities(folder), whole, iris])
    yield made
    made.close()


def best(array: Array, count: int, *labels: str, batched: bool = True) -> object:
    """The texts, as lists."""
    return classify(array, count, labels, batched=batched).tolist()


def test_the_greatest_come_first_with_six_decimals() -> None:
    """Of each row its own; equal ones in their order."""
    scores = np.array([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]], np.float32)
    assert best(scores, 2) == [["0.500000:1", "0.250000:0"], ["1.000000:0", "0.000000:1"]]


def test_integers_are_written_plain() -> None:
    """As in Triton: ``16:15``, and with the name of the class behind it, where it is known."""
    counts = np.arange(1, 17, dtype=np.int32).reshape(1, 16)
    labels = [f"lab{at}" for at in range(16)]
    assert best(counts, 2, *labels) == [["16:15:lab15", "15:14:lab14"]]
    assert best(counts, 2, "only one") == [["16:15", "15:14"]]


def test_without_rows_all_elements_are_one_row() -> None:
    """The answer then has one dimension."""
    assert best(np.array([[1, 5], [7, 3]]), 3, batched=False) == ["7:2", "5:1", "3:3"]
    assert best(np.array(4.0), 3, batched=False) == ["4.000000:0"]


def test_rows_may_have_several_dimensions_or_none() -> None:
    """The position is counted over all of a row's elements."""
    assert best(np.array([[[1, 2], [9, 4]]]), 1) == [["9:2"]]
    assert best(np.array([7, 8]), 5) == [["7:0"], ["8:0"]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_nothing_has_no_greatest(shape: tuple[int, int]) -> None:
    """No rows, or rows of no elements: an empty answer, and not the end of the process."""
    assert classify(np.zeros(shape), 2, (), batched=True).shape == (shape[0], min(2, shape[1]))


def test_what_is_no_number_comes_last() -> None:
    """Whatever stands before or behind it."""
    values = np.array([[np.nan, 1.0, np.inf, -1.0]], np.float16)
    assert best(values, 9) == [["inf:2", "1.000000:1", "-1.000000:3", "nan:0"]]


def test_a_row_of_too_many_elements_is_refused() -> None:
    """In Triton's words."""
    with pytest.raises(InvalidInput, match="classification output tensor too large"):
        classify(np.zeros((1, MOST_ELEMENTS + 1), np.int8), 1, (), batched=True)


@given(
    st.sampled_from(["INT8", "UINT64", "INT64", "FP32"]).flatmap(
        lambda name: arrays.arrays(
            CLIENT_TYPES[name],
            arrays.array_shapes(min_dims=2, max_dims=2, max_side=5),
            elements={"allow_nan": False} if name == "FP32" else None,
        )
    ),
    st.integers(1, 6),
)
def test_any_row_is_sorted_as_python_sorts_it(array: Array, count: int) -> None:
    """By value downwards, then by position, over the whole range of each datatype."""
    expected = [
        [f"{values[at]:.6f}:{at}" if array.dtype.kind == "f" else f"{values[at]}:{at}"
         for at in sorted(range(len(values)), key=lambda at: (-values[at], at))[:count]]
        for values in array.tolist()
    ]  # fmt: skip
    assert best(array, count) == expected


def wanted(name: str, count: int, *, binary: bool = True) -> list[triton.InferRequestedOutput]:
    """What the client asks for."""
    return [triton.InferRequestedOutput(name, binary_data=binary, class_count=count)]


@pytest.mark.parametrize("datatype", sorted(CLASSIFIED))
@pytest.mark.parametrize("binary", [False, True])
def test_a_client_reads_the_texts(served: Pipeline, datatype: str, binary: bool) -> None:
    """As memory or as JSON: BYTES of two dimensions."""
    array = np.array([[1, 3, 2]], CLIENT_TYPES[datatype])
    asked = decoded(
        served, datatype, request([tensor(array, datatype)], wanted("Y", 2, binary=binary))
    )
    result = read(answered(asked, Y=asked.inputs["X"]))
    assert result.get_output("Y")["datatype"] == "BYTES"
    texts = [v.decode() if binary else v for v in result.as_numpy("Y").ravel()]
    point = ".000000" if datatype.startswith("F") else ""
    assert texts == [f"3{point}:1", f"2{point}:2"]
    assert result.get_output("Y")["shape"] == [1, 2]


def test_a_model_without_rows_answers_in_one_dimension(served: Pipeline) -> None:
    """Its first dimension is no batch."""
    array = np.array([[1, 3, 2]], np.float32)
    asked = decoded(served, "whole", request([tensor(array, "FP32")], wanted("Y", 1)))
    assert read(answered(asked, Y=array)).as_numpy("Y").tolist() == [b"3.000000:1"]


def test_no_count_is_no_classification(served: Pipeline) -> None:
    """Zero, as a client's default is."""
    array = np.array([[1, 3, 2]], np.float32)
    asked = decoded(served, "FP32", request([tensor(array, "FP32")], wanted("Y", 0)))
    np.testing.assert_array_equal(read(answered(asked, Y=array)).as_numpy("Y"), array)


@pytest.mark.parametrize(("datatype", "value"), [("BYTES", "a"), ("BOOL", True)])
def test_what_is_no_number_has_no_classes(served: Pipeline, datatype: str, value: object) -> None:
    """It is refused, in Triton's words, before the model is run."""
    array = np.array([[value]], CLIENT_TYPES[datatype])
    told = f"class result not available for output due to unsupported type '{datatype}'"
    with pytest.raises(InvalidInput, match=told):
        decoded(served, datatype, request([tensor(array, datatype)], wanted("Y", 1)))


def test_an_unknown_output_has_no_classes(served: Pipeline) -> None:
    """The name is looked at first."""
    array = np.zeros((1, 1), np.float32)
    with pytest.raises(UnexpectedOutput):
        decoded(served, "FP32", request([tensor(array, "FP32")], wanted("Z", 1)))


def test_the_names_of_the_classes_stand_behind_probabilities(served: Pipeline) -> None:
    """And behind nothing else."""
    served.manager.lookup("iris").classes = ("a", "b", "c")
    row = np.zeros((1, 4), np.float32)
    both = [*wanted("label", 1), *wanted("scores", 2)]
    asked = decoded(served, "iris", request([tensor(row, "FP32")], both))
    outputs = {"label": np.array([2]), "scores": np.array([[0.25, 0.5, 0.125]], np.float32)}
    result = read(answered(asked, **outputs))
    assert result.as_numpy("label").tolist() == [[b"2:0"]]
    assert result.as_numpy("scores").tolist() == [[b"0.500000:1:b", b"0.250000:0:a"]]
