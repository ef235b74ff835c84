"""The gRPC clients of Triton and of KServe, as they are installed, ask inferd in place of their
own."""

from typing import Any

import numpy as np
import pytest

from inferd.server.embedded import Server
from tests.clients.conftest import Ask
from tests.conftest import Models

pytestmark = pytest.mark.clients

TWO = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]  # the rows that the scripts send
UNKNOWN = "Request for unknown model: 'nobody' is not found"


@pytest.fixture(scope="module")
def own(models: Models, answers: Any) -> dict[str, Any]:
    """What ONNX Runtime itself answers to the two rows."""
    found = answers(models.iris, {"X": np.array(TWO, np.float32)})
    return {name: array.tolist() for name, array in found.items()}


@pytest.mark.parametrize("door", ["main", "triton"])
def test_triton(doors: Server, ask: Ask, own: dict[str, Any], door: str) -> None:
    """Questions, single requests, large ones, a stream that goes on after an error, refusals."""
    told = ask("triton_grpc.py", doors.urls[door].removeprefix("http://"), *own)
    assert told["live"] is told["ready"] is told["model"] is True
    assert told["nobody"] is False
    assert (told["server"], told["metadata"]) == ("inferd", ["iris", [-1, 4]])
    assert told["plain"] == told["named"] == told["packed"] == own
    assert (told["id"], told["many"]) == ("7", 50_000)
    assert told["stream"] == [["1", True, own], UNKNOWN, ["3", True, own]]
    assert told["batch"] > 1
    assert told["inferences"] >= 50_000
    assert set(told["index"]) == {"flowers", "iris"}
    assert (told["log"], told["regions"]) == ("default", 0)
    assert told["unknown"] == ["StatusCode.NOT_FOUND", UNKNOWN]
    status, text = told["narrow"]
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert text.endswith("Expected [-1,4], got [2,2]")
    assert told["load"][0] == "StatusCode.UNAVAILABLE"


def test_triton_under_asyncio(doors: Server, ask: Ask, own: dict[str, Any]) -> None:
    """A hundred requests at once, and a stream."""
    told = ask("triton_grpc_aio.py", doors.urls["main"].removeprefix("http://"), *own)
    assert told["live"] is True
    assert told["answers"] == [own] * 100
    assert told["streamed"] == [[str(at), own, None] for at in range(3)]


@pytest.mark.parametrize("door", ["main", "kserve"])
def test_kserve(doors: Server, ask: Ask, own: dict[str, Any], door: str) -> None:
    """Readiness, and rows as raw memory and as typed contents."""
    told = ask("kserve_grpc.py", doors.urls[door].removeprefix("http://"))
    assert told["live"] is told["ready"] is told["model"] is True
    assert told["nobody"] is False
    for form in ("memory", "contents"):
        assert told[form].pop("id") == "7"
        assert told[form] == own
