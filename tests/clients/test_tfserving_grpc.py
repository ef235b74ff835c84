"""TensorFlow's tensors and inferd's are the same bytes, and TensorFlow Serving's own gRPC client
asks inferd in place of it."""

import base64
import json
import subprocess
from typing import Any

import numpy as np
import pytest

from inferd.protocols.tfserving.grpc.read_tensor import TensorReader
from inferd.protocols.tfserving.grpc.write_tensor import OutputWriter
from inferd.server.embedded import Server
from inferd.signature import TensorSpec
from inferd.tensors import BY_NAME, TABLE, Array
from inferd.wire.proto import message
from tests.clients.conftest import PYTHON, Ask
from tests.conftest import Models

pytestmark = pytest.mark.clients

TENSOR, REQUEST = "tensorflow.TensorProto", "tensorflow.serving.PredictRequest"
BY_TENSORFLOW = {row.numpy.name if row.name != "BYTES" else "string": row.name for row in TABLE}
TWO = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]  # the rows that the script sends
SHAPES = {"matrix": (2, 3), "scalar": (), "row": (2, 100)}


def array(datatype: str, shape: tuple[int, ...]) -> Array:
    """Some values of a datatype."""
    count = int(np.prod(shape))
    if datatype == "BYTES":
        texts = np.empty(count, np.object_)
        texts[:] = ["ü" * (at % 3) for at in range(count)]
        return texts.reshape(shape)
    numbers = np.arange(count) - (datatype[0] not in "BU") * 3
    return numbers.astype(BY_NAME[datatype].numpy).reshape(shape)


def ours(datatype: str, sent: Array) -> str:
    """The TensorProto that an answer has, in base64."""
    entry = b"".join(OutputWriter(TensorSpec("y", datatype, ()))(sent))
    answer = message("tensorflow.serving.PredictResponse").FromString(entry)
    return base64.b64encode(answer.outputs["y"].SerializeToString()).decode()


def read(datatype: str, sent: str) -> Array:
    """What our reader makes of a TensorProto in base64."""
    tensor = message(TENSOR).FromString(base64.b64decode(sent))
    reader = TensorReader(TensorSpec("x", datatype, ()), 0)
    shape = reader.shape(tensor)
    return reader.read(tensor, shape, int(np.prod(shape)))


@pytest.fixture(scope="module")
def installed(ask: Ask) -> None:
    """Skips where its client is not there."""
    look = "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow_serving') is None)"
    if subprocess.run([PYTHON, "-c", look], check=False).returncode:
        pytest.skip("tensorflow-serving-api is not installed")


@pytest.fixture(scope="module")
def told(ask: Ask, installed: None) -> Any:
    """What TensorFlow makes of ours, and makes of its own."""
    written = {
        f"{datatype} {form}": ours(datatype, array(datatype, shape))
        for datatype in BY_NAME
        for form, shape in SHAPES.items()
    }
    return ask("tfserving_tensors.py", json.dumps(written))


def test_it_reads_ours(told: Any) -> None:
    """In Python and in its runtime: datatype, shape and every value."""
    expected = {
        f"{datatype} {form}": {
            "dtype": name,
            "shape": list(shape),
            "values": array(datatype, shape).ravel().tolist(),
        }
        for name, datatype in BY_TENSORFLOW.items()
        for form, shape in SHAPES.items()
    }
    assert told["read"] == expected


@pytest.mark.parametrize("name", sorted(BY_TENSORFLOW))
def test_we_read_its(told: Any, name: str) -> None:
    """Whatever it is that writes them, and however few of the values it sends."""
    text = name == "string"
    matrix: Any = [["a", "bc", ""], ["ü", "d", "e"]] if text else [[0, 1, 1], [1, 0, 1]]
    one: Any = "ü" if text else 1
    answers = {
        "matrix": matrix,
        "scalar": one,
        "repeated": [[one] * 3] * 2,
        "serialized": matrix,
        "compressed": matrix,
    }
    datatype = BY_TENSORFLOW[name]
    got = {form: read(datatype, sent) for form, sent in told["written"][name].items()}
    assert {form: each.tolist() for form, each in got.items()} == answers
    assert {each.dtype for each in got.values()} == {BY_NAME[datatype].numpy}


def test_we_read_its_requests(told: Any) -> None:
    """A PredictRequest of its classes has the same fields in ours."""
    request = message(REQUEST).FromString(base64.b64decode(told["request"]))
    spec = request.model_spec
    assert (spec.name, spec.signature_name) == ("iris", "serving_default")
    assert list(request.output_filter) == ["label"]
    row = read("FP32", base64.b64encode(request.inputs["X"].SerializeToString()).decode())
    np.testing.assert_array_equal(row, np.array([[5.1, 3.5, 1.4, 0.2]], np.float32))


@pytest.mark.parametrize("door", ["main", "tfserving"])
def test_its_own_client(
    doors: Server, models: Models, ask: Ask, answers: Any, installed: None, door: str
) -> None:
    """Every method, by tensorflow-serving-api: ONNX Runtime's own answers, and its own errors."""
    told = ask("tfserving_grpc.py", doors.urls[door].removeprefix("http://"))
    own = {
        name: each.tolist()
        for name, each in answers(models.iris, {"X": np.array(TWO, np.float32)}).items()
    }
    label, scores = own
    assert told["whole"] == told["typed"] == own
    assert told["spec"] == [1, "serving_default"]
    assert told["filtered"] == [label]
    assert told["classified"] == told["inferred"] == own[scores]
    assert told["signatures"] == ["classify", "serving_default"]
    assert told["states"] == [[1, 30]]
    assert told["errors"].pop("long")[1].endswith("...TRUNCATED")
    assert {name: code for name, (code, _) in told["errors"].items()} == {
        "unknown": "NOT_FOUND",
        "dtype": "INVALID_ARGUMENT",
        "shape": "INVALID_ARGUMENT",
        "regress": "FAILED_PRECONDITION",
        "reload": "UNIMPLEMENTED",
    }
    assert told["errors"]["unknown"][1] == "Servable not found for request: Latest(nobody)"
