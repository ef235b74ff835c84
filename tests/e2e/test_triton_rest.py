"""Triton's REST extensions over a real socket: tritonclient for what it asks, requests for what it
does not, on the main port and at Triton's own."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

import inferd
from inferd import plugins
from inferd.server.embedded import Server
from tests.conftest import ROW, Models

TOYS = Path(__file__).parents[1] / "contracts" / "toy"
LIMIT = 10.0  # seconds for any answer
PORTS = ("main", "triton")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model that answers in parts lies."""
    return tmp_path_factory.mktemp("rest")


@pytest.fixture(scope="module")
def served(models: Models, folder: Path) -> Iterator[Server]:
    """A server of iris and of a model that answers in parts, a third party's."""
    shutil.copy(TOYS / "streaming_runtime.py", folder)
    info = folder / "toy-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[inferd.runtimes]\nparts = streaming_runtime\n")
    (folder / "parts.toy").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        plugins._third_party.cache_clear()
        with inferd.serve(models.iris, folder / "parts.toy", triton=0) as running:
            yield running
    plugins._third_party.cache_clear()


@pytest.fixture(params=PORTS)
def url(request: pytest.FixtureRequest, served: Server) -> str:
    """Each port that speaks it."""
    return served.urls[request.param]


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    """tritonclient at each port."""
    made = triton.InferenceServerClient(url.removeprefix("http://"))
    yield made
    made.close()


@pytest.fixture
def diary(served: Server, folder: Path) -> Path:
    """What the model that answers in parts writes: a ``c`` for each answer that ended."""
    return folder / "parts.diary"


def _ends(diary: Path) -> int:
    return diary.read_bytes().count(b"c") if diary.exists() else 0


def _post(url: str, **fields: Any) -> requests.Response:
    return requests.post(url, json=fields, timeout=LIMIT)


def _events(answer: requests.Response) -> list[Any]:
    """The documents of a stream of events, which must be nothing else."""
    text = answer.content.decode()
    assert text == "" or text.endswith("\n\n")
    events = text.split("\n\n")[:-1]
    assert all(event.startswith("data: ") for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_health(client: Any) -> None:
    """Live and ready, server and models; what is not there is not ready."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready("iris", "2")


def test_health_has_a_body_on_the_main_port_and_none_at_tritons(served: Server) -> None:
    """KServe's client reads one; Triton sends none."""
    for port, body in (("main", b'{"ready":true}'), ("triton", b"")):
        answer = requests.get(f"{served.urls[port]}/v2/health/ready", timeout=LIMIT)
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-length"] == str(len(body))


def test_metadata(client: Any) -> None:
    """The server's extensions are those that it speaks."""
    told = client.get_server_metadata()
    assert (told["name"], told["version"]) == ("inferd", inferd.__version__)
    assert {"statistics", "model_configuration", "binary_tensor_data"} <= set(told["extensions"])
    assert not {"sequence", "cuda_shared_memory", "trace"} & set(told["extensions"])
    model = client.get_model_metadata("iris", "1")
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]


def test_config(client: Any) -> None:
    """A configuration's dimensions are without the batch."""
    told = client.get_model_config("iris")
    assert told["name"] == "iris"
    assert told["max_batch_size"] > 1
    assert [each["dims"] for each in told["input"]] == [[4]]
    assert client.get_model_config("parts", "1")["model_transaction_policy"] == {"decoupled": True}
    with pytest.raises(InferenceServerException, match="unknown model: 'nobody'"):
        client.get_model_config("nobody")


def test_statistics(client: Any) -> None:
    """What was inferred is counted: rows, calls of the model, and requests."""
    tensor = triton.InferInput("X", [3, 4], "FP32")
    tensor.set_data_from_numpy(np.array([ROW] * 3, np.float32))
    (before,) = client.get_inference_statistics("iris")["model_stats"]
    client.infer("iris", [tensor])
    client.infer("iris", [tensor])
    (after,) = client.get_inference_statistics("iris", "1")["model_stats"]
    assert after["inference_count"] - before["inference_count"] == 6
    assert after["execution_count"] - before["execution_count"] == 2
    requests_before, requests_after = (s["inference_stats"]["success"] for s in (before, after))
    assert requests_after["count"] - requests_before["count"] == 2
    assert requests_after["ns"] > requests_before["ns"]
    assert 3 in [size["batch_size"] for size in after["batch_stats"]]
    every = client.get_inference_statistics()["model_stats"]
    assert [each["name"] for each in every] == ["iris", "parts"]


def test_statistics_of_nobody_are_400_at_tritons_port(served: Server) -> None:
    """Triton says that it is a wrong argument; the main port, that it is not there."""
    for port, status in (("main", 404), ("triton", 400)):
        answer = requests.get(f"{served.urls[port]}/v2/models/nobody/stats", timeout=LIMIT)
        assert answer.status_code == status


def test_index(client: Any) -> None:
    """Every model and its state."""
    told = client.get_model_repository_index()
    assert told == [
        {"name": "iris", "version": "1", "state": "READY"},
        {"name": "parts", "version": "1", "state": "READY"},
    ]


def test_models_are_not_loaded_from_outside(client: Any) -> None:
    """As where Triton's model control is off."""
    for ask in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="explicit model load / unload") as told:
            ask("iris")
        assert told.value.status() == "503"
    assert client.is_model_ready("iris")


def test_settings_and_shared_memory(client: Any) -> None:
    """Told, and not changed; nothing is registered."""
    assert client.get_trace_settings()["trace_level"] == ["OFF"]
    assert client.get_log_settings()["log_error"] is True
    assert client.get_system_shared_memory_status() == []
    client.unregister_system_shared_memory()
    with pytest.raises(InferenceServerException) as told:
        client.register_system_shared_memory("x", "/x", 64)
    assert told.value.status() == "501"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/v2/", 404, "Not Found"),
        ("GET", "/v2/models", 404, "Not Found"),
        ("GET", "/v2/models/iris/versions/abc", 404, "Not Found"),
        ("GET", "/predict", 404, "Not Found"),
        ("GET", "/v2/repository/index", 405, "Method Not Allowed"),
        ("POST", "/v2/health/live", 405, "Method Not Allowed"),
        ("DELETE", "/v2/models/iris/infer", 405, "Method Not Allowed"),
    ],
)
def test_what_is_not_there_at_tritons_port(
    served: Server, method: str, path: str, status: int, text: str
) -> None:
    """Triton's two generic failures, in its words."""
    answer = requests.request(method, served.urls["triton"] + path, timeout=LIMIT)
    assert (answer.status_code, answer.json()) == (status, {"error": text})


def test_a_stream_has_an_event_for_each_part(url: str) -> None:
    """As many as the model gives, and the connection goes on after them."""
    with requests.Session() as session:
        for count in (3, 1, 2):
            answer = session.post(
                f"{url}/v2/models/parts/generate_stream",
                json={"X": [count, 2], "id": "i"},
                timeout=LIMIT,
            )
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert _events(answer) == [
                {"Y": [at, at], "id": "i", "model_name": "parts", "model_version": "1"}
                for at in range(count)
            ]


def test_the_parts_come_as_they_are_made(url: str, diary: Path) -> None:
    """The first is read while the model has far more to give; when its reader leaves, it stops."""
    ended = _ends(diary)
    answer = requests.post(
        f"{url}/v2/models/parts/versions/1/generate_stream",
        json={"parameters": {"X": [1_000_000, 1000]}},
        stream=True,
        timeout=LIMIT,
    )
    lines = answer.iter_lines()
    assert json.loads(next(lines).removeprefix(b"data: "))["Y"] == [0.0] * 1000
    assert next(lines) == b""
    assert json.loads(next(lines).removeprefix(b"data: "))["Y"] == [1.0] * 1000
    assert _ends(diary) == ended
    answer.close()
    deadline = time.monotonic() + LIMIT
    while _ends(diary) == ended:
        assert time.monotonic() < deadline, "the model goes on for nobody"


def test_an_error_after_the_first_part_is_an_event(url: str) -> None:
    """The status is told by then; the stream ends properly, and tells nothing of the inside."""
    with requests.Session() as session:
        address = f"{url}/v2/models/parts/generate_stream"
        answer = session.post(address, json={"X": [-2, 1]}, timeout=LIMIT)
        assert answer.status_code == 200
        *parts, last = _events(answer)
        assert [part["Y"] for part in parts] == [0.0, 1.0]
        told = "model 'parts' failed on this request. The server's log says why."
        assert last == {"error": told}
        assert session.post(address, json={"X": [1, 1]}, timeout=LIMIT).status_code == 200


def test_an_error_before_the_first_part_is_a_status(url: str) -> None:
    """And so is every mistake in the request."""
    address = f"{url}/v2/models/parts/generate_stream"
    answer = _post(address, X=[1, -1])
    assert answer.status_code == 500
    assert "failed on this request" in answer.json()["error"]
    assert _post(address).status_code == 400
    assert _post(address.replace("parts", "nobody"), X=[1, 1]).status_code == 404


def test_a_stream_of_no_parts_is_empty(url: str) -> None:
    """200 and nothing."""
    answer = _post(f"{url}/v2/models/parts/generate_stream", X=[0, 1])
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_generate_answers_whole(url: str) -> None:
    """One part is an answer, for any model; more or fewer are an error, and not 200."""
    address = f"{url}/v2/models/parts/generate"
    assert _post(address, X=[1, 2]).json()["Y"] == [0.0, 0.0]
    answer = _post(address, X=[2, 2])
    assert (answer.status_code, "in parts" in answer.json()["error"]) == (501, True)
    assert _post(address, X=[0, 2]).status_code == 500
    whole = _post(f"{url}/v2/models/iris/generate", X=ROW).json()
    assert (whole["label"], len(whole["probabilities"])) == (0, 3)


def test_a_wrong_type_is_500_at_tritons_port_and_400_on_the_main_one(served: Server) -> None:
    """Triton's JSON library reports it as the server's fault."""
    for port, status in (("main", 400), ("triton", 500)):
        answer = _post(f"{served.urls[port]}/v2/models/iris/generate", X=["a"] * 4)
        assert answer.status_code == status


def test_the_page_tells_what_a_stream_is_and_which_body_may_be_left_out(served: Server) -> None:
    """The schema's content types and bodies are those that are spoken; what is refused to
    everybody is not on it."""
    paths = requests.get(f"{served.urls['main']}/openapi.json", timeout=LIMIT).json()["paths"]
    stream = paths["/v2/models/parts/generate_stream"]["post"]
    assert list(stream["responses"]["200"]["content"]) == ["text/event-stream"]
    assert stream["requestBody"]["required"] is True
    assert list(stream["requestBody"]["content"]) == ["application/json"]
    assert paths["/v2/repository/index"]["post"]["requestBody"]["required"] is False
    assert "post" not in paths["/v2/logging"]
