"""protocols/oip, requests without a document: the body is the only input's memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from inferd.config import Settings
from inferd.errors import InvalidInput, MalformedRequest
from inferd.pipeline import Pipeline
from tests.unit import onnx_files
from tests.unit.oip_models import LENGTH, Sent, answered, decoded, read


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Models of one input with several shapes, and one of two inputs."""
    folder: Path = tmp_path_factory.mktemp("raw")
    made = Pipeline(Settings(), cores=1)
    made.load(
        [
            onnx_files.identity(folder / "row.onnx", [None, 4]),
            onnx_files.identity(folder / "wide.onnx", [None, None]),
            onnx_files.identity(folder / "free.onnx", [None, None, None]),
            onnx_files.identity(folder / "scalar.onnx", []),
            onnx_files.identity(folder / "fixed.onnx", [2, 2]),
            onnx_files.identity(folder / "word.onnx", [None, 1], onnx_files.STRING),
            onnx_files.identity(folder / "words.onnx", [None, 2], onnx_files.STRING),
            onnx_files.identity(folder / "flag.onnx", [None, 2], TensorProto.BOOL),
            onnx_files.adder(folder / "simple.onnx"),
        ]
    )
    yield made
    made.close()


def raw(body: bytes) -> Sent:
    """What a client sends that has no document."""
    return Sent(body, {LENGTH: b"0"})


FOUR = np.array([1, 2, 3, 4], np.float32)


@pytest.mark.parametrize(("model", "shape"), [("row", (1, 4)), ("wide", (1, 4)), ("fixed", (2, 2))])
@pytest.mark.parametrize("strict", [False, True])
def test_the_body_is_the_only_input(
    served: Pipeline, model: str, shape: tuple[int, ...], strict: bool
) -> None:
    """One row of it; a dimension that is free is as long as the body makes it; and all outputs are
    memory, too."""
    asked = decoded(served, model, raw(FOUR.tobytes()), strict=strict)
    np.testing.assert_array_equal(asked.inputs["X"], FOUR.reshape(shape))
    assert asked.rows == 1
    result = read(answered(asked, Y=asked.inputs["X"]))
    np.testing.assert_array_equal(result.as_numpy("Y"), FOUR.reshape(shape))
    assert result.get_output("Y")["parameters"] == {"binary_data_size": 16}


def test_a_scalar_and_truths(served: Pipeline) -> None:
    """No dimension at all is one element; a truth is one byte."""
    assert decoded(served, "scalar", raw(FOUR[1:2].tobytes())).inputs["X"].tolist() == 2.0
    assert decoded(served, "flag", raw(b"\0\1")).inputs["X"].tolist() == [[False, True]]


def test_the_body_of_a_string_is_the_string(served: Pipeline) -> None:
    """Without its length, which the body has."""
    asked = decoded(served, "word", raw("é\0".encode()))
    assert asked.inputs["X"].tolist() == [["é\0"]]
    assert read(answered(asked, Y=asked.inputs["X"])).as_numpy("Y").tolist() == [[b"\xc3\xa9\0"]]
    assert decoded(served, "word", raw(b"")).inputs["X"].tolist() == [[""]]


@pytest.mark.parametrize(
    ("model", "size", "text"),
    [
        (
            "simple",
            8,
            "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in "
            "'simple' model configuration",
        ),
        (
            "free",
            8,
            "The shape of the raw input 'X' can not be deduced because there are more than one "
            "variable-sized dimension",
        ),
        ("words", 8, "For BYTE datatype raw input 'X', the model must have input shape [1]"),
        ("row", 12, "input byte size mismatch for input 'X' for model 'row'. Expected 16, got 12"),
        ("row", 32, "input byte size mismatch for input 'X' for model 'row'. Expected 16, got 32"),
        ("wide", 7, "input byte size mismatch for input 'X' for model 'wide'. Expected 4, got 7"),
        ("scalar", 0, "input byte size mismatch for input 'X' for model 'scalar'. Expected 4, got"),
    ],
)
def test_what_cannot_be_told_from_a_body_is_refused(
    served: Pipeline, model: str, size: int, text: str
) -> None:
    """In Triton's words."""
    with pytest.raises(InvalidInput) as raised:
        decoded(served, model, raw(bytes(size)))
    assert text in str(raised.value)


def test_a_string_that_is_no_text_is_refused(served: Pipeline) -> None:
    """Models take text."""
    with pytest.raises(InvalidInput, match="not UTF-8"):
        decoded(served, "word", raw(b"\xff"))


def test_an_empty_body_is_a_raw_request_to_triton_only(served: Pipeline) -> None:
    """Triton takes it for one; on the main port it is a document that is missing."""
    with pytest.raises(InvalidInput, match="Raw request must only have 1 input"):
        decoded(served, "simple", Sent(b"", {}), strict=True)
    with pytest.raises(MalformedRequest, match="not JSON"):
        decoded(served, "simple", Sent(b"", {}))
    assert decoded(served, "wide", Sent(b"", {}), strict=True).inputs["X"].shape == (1, 0)
