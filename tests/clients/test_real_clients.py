"""The clients of other servers, as they are installed, ask inferd in place of their own."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inferd
from inferd.server.embedded import Server
from tests.clients.conftest import SCRIPTS, Ask, output
from tests.conftest import FEATURES, Models

pytestmark = pytest.mark.clients

TWO = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]  # the rows that the scripts send
NAMES = ["setosa", "virginica"]
MISSING = "got no 'sepal width'"


@pytest.fixture(scope="session")
def own(models: Models, answers: Any) -> dict[str, Any]:
    """What ONNX Runtime itself answers to the two rows."""
    found = answers(models.iris, {"X": np.array(TWO, np.float32)})
    return {name: array.tolist() for name, array in found.items()}


def near(values: Any) -> Any:
    """Equal but for the last digit of a single-precision number."""
    return pytest.approx(np.array(values), rel=1e-6)


def test_kserve_v1(doors: Server, ask: Ask) -> None:
    """KServe's client at KServe's port, first protocol: readiness, predictions by both names of the
    field, and its own errors."""
    told = ask("kserve_v1.py", doors.urls["kserve"])
    assert told["live"] is told["ready"] is True
    assert told["rows"] == {"predictions": ["setosa", "setosa"]}
    assert told["inputs"] == {"predictions": ["setosa"]}
    status, text = told["unknown"]
    assert (status, text.split(",")[0]) == (404, "Model with name nobody does not exist.")
    status, text = told["narrow"]
    assert status == 400
    assert "got 2, expected 4" in text


@pytest.mark.parametrize("door", ["main", "kserve"])
def test_kserve_v2(doors: Server, ask: Ask, own: dict[str, Any], door: str) -> None:
    """KServe's client by the Open Inference Protocol, at its own port and at the main one: raw
    memory and JSON, ONNX Runtime's own answers."""
    told = ask("kserve_v2.py", doors.urls[door], *own)
    assert told["live"] is told["ready"] is told["model"] is True
    for form in ("binary", "json"):
        assert told[form].pop("id") == "7"
        assert told[form].pop("raw") is (form == "binary")
        assert told[form] == own


def test_mlflow(doors: Server, ask: Ask) -> None:
    """MLflow's client: it waits, asks the version, and sends frames and arrays; a frame's
    columns are found by name, and further ones ignored."""
    told = ask("mlflow_scoring.py", doors.url)
    assert told.pop("version") == inferd.__version__
    text = told.pop("missing")
    assert "error code 400" in text
    assert MISSING in json.loads(text[text.index("{") : text.rindex("}") + 1])["message"]
    assert told.pop("as frame") == NAMES
    assert sorted(told) == ["array", "frame", "list", "other order"]
    assert all(answer == {"predictions": NAMES} for answer in told.values())


@pytest.mark.parametrize("door", ["main", "triton"])
def test_triton(doors: Server, ask: Ask, own: dict[str, Any], door: str) -> None:
    """Triton's blocking client: raw memory, JSON, from threads, and compressed both ways."""
    told = ask("triton_sync.py", doors.urls[door].removeprefix("http://"), *own)
    assert told["live"] is told["ready"] is told["model"] is True
    for form in ("binary", "json", "async", "packed"):
        assert told[form] == own
    assert "unknown model: 'nobody'" in told["unknown"]


@pytest.mark.parametrize("door", ["main", "triton"])
def test_triton_under_asyncio(doors: Server, ask: Ask, own: dict[str, Any], door: str) -> None:
    """Triton's asynchronous client, many requests at once on its connections."""
    told = ask("triton_aio.py", doors.urls[door].removeprefix("http://"), *own)
    assert told["live"] is told["model"] is True
    assert len(told["answers"]) == 20
    assert all(answer == own for answer in told["answers"])


@pytest.mark.parametrize("door", ["main", "tfserving"])
def test_tensorflow_serving(doors: Server, ask: Ask, own: dict[str, Any], door: str) -> None:
    """What scripts send to TensorFlow Serving's REST port: status, metadata, rows and columns."""
    told = ask("tfserving_requests.py", doors.urls[door])
    statuses = {name: status for name, (status, _) in told.items()}
    assert statuses.pop("unknown") == 404
    assert set(statuses.values()) == {200}
    answers = {name: document for name, (_, document) in told.items()}
    assert answers["status"]["model_version_status"][0]["state"] == "AVAILABLE"
    assert answers["metadata"]["model_spec"]["name"] == "iris"
    columns = answers["columns"]["outputs"]
    assert {name: near(columns[name]) for name in columns} == own
    for form in ("rows", "version"):
        rows = answers[form]["predictions"]
        assert {name: near([row[name] for row in rows]) for name in own} == own


@pytest.mark.skipif(not shutil.which("curl"), reason="needs Debian's package curl")
def test_curl(doors: Server, own: dict[str, Any]) -> None:
    """curl sends a tensor as raw memory, and gets one back."""
    label = next(iter(own))
    printed = output(["bash", str(SCRIPTS / "curl_binary.sh"), doors.url, label]).splitlines()
    (answered,) = json.loads(printed[0])["outputs"]
    assert (answered["name"], answered["datatype"], answered["shape"]) == (label, "INT64", [1])
    assert answered["parameters"] == {"binary_data_size": 8}
    assert [int(printed[1])] == own[label][:1]


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's package chromium")
def test_a_browser(doors: Server, ask: Ask, own: dict[str, Any]) -> None:
    """The server's own page asks it with fetch: every dialect answers a browser."""
    told = ask("browser_fetch.py", str(shutil.which("chromium")), doors.url)
    assert told["page"] == "/docs"
    assert told["health"] == [200, {"status": "healthy"}]
    status, answer = told["predict"]
    assert (status, answer["prediction"]) == (200, NAMES[0])
    assert math.isclose(sum(answer["probability"]), 1, rel_tol=1e-6)
    assert told["invocations"] == [200, {"predictions": NAMES[:1]}]
    status, answer = told["infer"]
    assert (status, answer["outputs"][0]["data"]) == (200, next(iter(own.values()))[:1])
    assert told["unknown"][0] == 404


def test_the_scripts_send_the_names_of_the_features() -> None:
    """What the scripts write out by hand is what the models were trained with."""
    text = (Path(SCRIPTS) / "mlflow_scoring.py").read_text()
    assert all(repr(name).replace("'", '"') in text for name in FEATURES)
