"""tritonclient.http with JSON tensors, as its users write it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from inferd.server.embedded import Server
from tests.conftest import Models


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """A client of the running server."""
    made = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield made
    made.close()


def tensor(name: str, values: Any, datatype: str) -> Any:
    """An input as JSON."""
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=False)
    return made


def wanted(*names: str) -> list[Any]:
    """Outputs as JSON."""
    return [triton.InferRequestedOutput(name, binary_data=False) for name in names]


def test_health(client: Any) -> None:
    """Live and ready, server and models."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready("iris", "2")


def test_metadata(client: Any) -> None:
    """What the server and a model say of themselves."""
    assert client.get_server_metadata()["name"] == "inferd"
    metadata = client.get_model_metadata("iris")
    assert metadata["name"] == "iris"
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]


def test_infer(client: Any, models: Models, answers: Any) -> None:
    """All rows, all outputs: ONNX Runtime's own answers."""
    own = answers(models.iris, {"X": models.rows})
    result = client.infer(
        "iris", [tensor("X", models.rows, "FP32")], outputs=wanted(*own), request_id="seven"
    )
    assert result.get_response()["id"] == "seven"
    for name, expected in own.items():
        np.testing.assert_array_equal(result.as_numpy(name), expected)


def test_infer_one_output(client: Any, models: Models, answers: Any) -> None:
    """Only what is asked for comes back."""
    name = list(answers(models.iris, {"X": models.rows[:1]}))[1]
    result = client.infer("iris", [tensor("X", models.rows[:1], "FP32")], outputs=wanted(name))
    assert [output["name"] for output in result.get_response()["outputs"]] == [name]


def test_infer_strings(client: Any, models: Models, answers: Any) -> None:
    """Strings go in and come out."""
    inputs = {
        "colour": np.array([["red"], ["blue"]], np.object_),
        "size": np.array([[1.0], [5.0]], np.float32),
    }
    own = answers(models.columns, inputs)
    sent = [tensor("colour", inputs["colour"], "BYTES"), tensor("size", inputs["size"], "FP32")]
    result = client.infer("columns", sent, outputs=wanted(*own))
    for name, expected in own.items():
        np.testing.assert_array_equal(result.as_numpy(name), expected)


def test_labels_that_are_strings(client: Any, models: Models, answers: Any) -> None:
    """A classifier's names come back as names."""
    name, own = next(iter(answers(models.species, {"X": models.rows}).items()))
    result = client.infer("species", [tensor("X", models.rows, "FP32")], outputs=wanted(name))
    got = result.get_response()["outputs"][0]["data"]
    assert got == own.tolist()


@pytest.mark.parametrize(
    ("name", "shape", "datatype", "told"),
    [
        ("Y", (1, 4), "FP32", "unexpected inference input 'Y' for model 'iris'"),
        ("X", (1, 3), "FP32", "unexpected shape for input 'X' for model 'iris'"),
        ("X", (4,), "FP32", "unexpected shape for input 'X' for model 'iris'"),
        ("X", (1, 4), "FP64", "data-type is 'FP64'"),
    ],
)
def test_errors(client: Any, name: str, shape: tuple[int, ...], datatype: str, told: str) -> None:
    """Errors are Triton's, in its words."""
    kind = np.float64 if datatype == "FP64" else np.float32
    with pytest.raises(InferenceServerException, match=told) as raised:
        client.infer("iris", [tensor(name, np.zeros(shape, kind), datatype)])
    assert raised.value.status() == "400"


def test_unknown_model(client: Any) -> None:
    """A model that is not there is Triton's 'unknown model'."""
    with pytest.raises(InferenceServerException, match="unknown model: 'nobody'"):
        client.infer("nobody", [tensor("X", np.zeros((1, 4), np.float32), "FP32")])
    with pytest.raises(InferenceServerException, match="unknown model: 'nobody'"):
        client.get_model_metadata("nobody")
