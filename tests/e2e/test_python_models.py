"""A model in Python answers over every protocol, as any other model does, from a process of its
own."""

import os
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

import inferd
from inferd.server.embedded import Server
from tests.unit.python_files import COUNT, write

SUM = """
import os
import time

class Sum:
    signature = Signature(
        [TensorSpec("x", "FP32", (-1, 2))],
        [TensorSpec(name, "FP32" if name == "sum" else "INT64", (-1,)) for name in OUTPUTS],
        batch_axis=0,
    )

    def predict(self, inputs):
        x = inputs["x"]
        if (x < 0).any():
            raise ValueError("a secret of the model")
        time.sleep(float(x.max()) / 1e3)
        rows = len(x)
        return {"sum": x.sum(axis=1), "pid": [os.getpid()] * rows, "rows": [rows] * rows}
""".replace("OUTPUTS", "('sum', 'pid', 'rows')")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model that adds, and one that counts in parts."""
    folder = tmp_path_factory.mktemp("python")
    paths = [write(folder, SUM, "sum.py"), write(folder, COUNT, "count.py")]
    with inferd.serve(*paths, default_model="sum") as running:
        yield running


QUESTIONS: dict[str, Any] = {
    "/predict": {"features": [[1, 2], [3, 4]]},
    "/v1/predict/sum": {"features": [[1, 2], [3, 4]]},
    "/v2/models/sum/infer": {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}],
        "outputs": [{"name": "sum"}],
    },
    "/v1/models/sum:predict": {"instances": [[1, 2], [3, 4]]},
    "/invocations": {"inputs": [[1, 2], [3, 4]]},
}


@pytest.mark.parametrize("path", QUESTIONS)
def test_it_answers_over_rest(server: Server, path: str) -> None:
    """Rows are summed, whatever asks for it."""
    answer = httpx.post(server.url + path, json=QUESTIONS[path])
    assert answer.status_code == 200, answer.text
    document = answer.json()
    values = document.get("predictions") or document["outputs"][0]["data"]
    values = values["sum"] if isinstance(values, dict) else values
    assert [row["sum"] if isinstance(row, dict) else row for row in values] == [3, 7]


def test_it_is_described(server: Server) -> None:
    """As what it is."""
    metadata = httpx.get(f"{server.url}/v2/models/sum").json()
    assert metadata["platform"] == "python"
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]


def test_it_runs_in_a_process_of_its_own(server: Server) -> None:
    """Always the same one."""
    answers = [ask(server, [1, 2], "pid")["pid"] for _ in range(3)]
    assert len({str(each) for each in answers}) == 1
    assert answers[0] != [os.getpid()]


def test_requests_that_wait_are_one_call(server: Server) -> None:
    """While one runs, the others' rows are joined, and each has its own back."""
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, server, [100, n], "sum", "rows") for n in range(8)]
        answers = [each.result() for each in asked]
    assert [answer["sum"] for answer in answers] == [[100 + n] for n in range(8)]
    assert max(answer["rows"][0] for answer in answers) > 1


def test_an_exception_is_for_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns that the model failed; the log has the user's own line."""
    answer = httpx.post(server.url + "/predict", json={"features": [-1, 2]})
    assert answer.status_code == 500
    assert "model 'sum' failed on this request" in answer.text
    assert "secret" not in answer.text
    assert 'raise ValueError("a secret of the model")' in caplog.text


def ask(server: Server, row: list[float], *outputs: str) -> dict[str, Any]:
    """The named outputs for one row."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": row}
    document = {"inputs": [tensor], "outputs": [{"name": name} for name in outputs]}
    answer = httpx.post(f"{server.url}/v2/models/sum/infer", json=document, timeout=20)
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """A gRPC client."""
    made = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield made
    made.close()


def tensor(name: str, values: Any, datatype: str) -> Any:
    """An input."""
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def counting(upto: int, seconds: float) -> list[Any]:
    """The inputs of the model that counts."""
    return [
        tensor("upto", np.array([upto]), "INT64"),
        tensor("seconds", np.array([seconds]), "FP64"),
    ]


def test_it_answers_over_grpc(client: Any) -> None:
    """As over REST."""
    rows = np.array([[1, 2], [3, 4]], np.float32)
    result = client.infer("sum", [tensor("x", rows, "FP32")])
    assert result.as_numpy("sum").tolist() == [3, 7]
    with pytest.raises(InferenceServerException, match="failed on this request"):
        client.infer("sum", [tensor("x", -rows, "FP32")])


def test_a_call_whose_time_is_over_frees_the_process(client: Any) -> None:
    """A model that would sleep for hours is woken, and answers the next call."""
    asleep = [tensor("x", np.array([[1e7, 0]], np.float32), "FP32")]
    with pytest.raises(InferenceServerException, match="DEADLINE_EXCEEDED"):
        client.infer("sum", asleep, client_timeout=0.5)
    awake = [tensor("x", np.array([[1, 2]], np.float32), "FP32")]
    assert client.infer("sum", awake, client_timeout=10).as_numpy("sum").tolist() == [3]


def test_parts_come_over_grpc(client: Any) -> None:
    """Each as an answer of the stream."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put(error or result))
    client.async_stream_infer("count", counting(3, 0.0))
    parts = [answers.get(timeout=10).as_numpy("number").tolist() for _ in range(3)]
    client.stop_stream()
    assert parts == [[0], [1], [2]]


def test_parts_come_as_events(server: Server) -> None:
    """Each when it is there, and a failure as the last."""
    url = f"{server.url}/v2/models/count/generate_stream"
    with httpx.stream("POST", url, json={"upto": 3, "seconds": 0.0}) as answer:
        events = [line for line in answer.iter_lines() if line]
    assert len(events) == 3
    with httpx.stream("POST", url, json={"upto": -1, "seconds": 0.0}) as answer:
        text = answer.read().decode()
    assert "failed on this request" in text
    assert "secret" not in text


def test_a_client_that_leaves_a_stream_frees_the_process(server: Server) -> None:
    """Within a part that would take an hour."""
    url = f"{server.url}/v2/models/count/generate_stream"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json={"upto": 1, "seconds": 3600.0}, timeout=0.5)
    began = time.monotonic()
    answer = httpx.post(url, json={"upto": 1, "seconds": 0.0}, timeout=15)
    assert '"number":0' in answer.text
    assert time.monotonic() - began < 10
