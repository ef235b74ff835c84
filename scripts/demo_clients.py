"""The demo's questions: one entry for each pair of a real client and a dialect.

A new dialect is one more function and one more line in ``QUESTIONS``.
"""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import requests
from tritonclient import grpc
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

import inferd

Rows = npt.NDArray[np.float32]


class Served(NamedTuple):
    """Where the model is: on the server, and as a file."""

    url: str
    model: str
    path: Path


class Answer(NamedTuple):
    """What came back for some rows, and how long it took the client."""

    labels: list[int]
    probabilities: list[list[float]] | None
    """None where the protocol has only the predictions."""
    seconds: float


class Question(NamedTuple):
    """One row of the demo's table: who asks, in which dialect, about how many rows."""

    client: str
    dialect: str
    rows: int
    ask: Callable[[Served, Rows], Answer]


def ask_plain_with_curl(served: Served, rows: Rows) -> Answer:
    reply, seconds = _curl(f"{served.url}/predict", {"features": _numbers(rows)[0]})
    return Answer([reply["prediction"]], [reply["probability"]], seconds)


def ask_plain_with_requests(served: Served, rows: Rows) -> Answer:
    start = time.perf_counter()
    reply = requests.post(
        f"{served.url}/v1/predict/{served.model}", json={"features": _numbers(rows)}, timeout=10
    )
    seconds = time.perf_counter() - start
    reply.raise_for_status()
    document = reply.json()
    return Answer(document["predictions"], document["probabilities"], seconds)


def ask_oip_with_curl(served: Served, rows: Rows) -> Answer:
    metadata, _ = _curl(f"{served.url}/v2/models/{served.model}")
    tensor = {
        "name": metadata["inputs"][0]["name"],
        "shape": rows.shape,
        "datatype": metadata["inputs"][0]["datatype"],
        "data": [number for row in _numbers(rows) for number in row],
    }
    reply, seconds = _curl(f"{served.url}/v2/models/{served.model}/infer", {"inputs": [tensor]})
    labels, probabilities = (
        np.reshape(output["data"], output["shape"]) for output in reply["outputs"]
    )
    return Answer(labels.tolist(), probabilities.tolist(), seconds)


def ask_oip_with_tritonclient(served: Served, rows: Rows) -> Answer:
    client = InferenceServerClient(served.url.removeprefix("http://"))
    metadata = client.get_model_metadata(served.model)
    tensor = InferInput(metadata["inputs"][0]["name"], rows.shape, "FP32")
    tensor.set_data_from_numpy(rows)
    wanted = [InferRequestedOutput(output["name"]) for output in metadata["outputs"]]
    start = time.perf_counter()
    reply = client.infer(served.model, [tensor], outputs=wanted)
    seconds = time.perf_counter() - start
    labels, probabilities = (reply.as_numpy(output.name()) for output in wanted)
    client.close()
    return Answer(labels.tolist(), probabilities.tolist(), seconds)


def ask_oip_with_grpc(served: Served, rows: Rows) -> Answer:
    client = grpc.InferenceServerClient(served.url.removeprefix("http://"))
    metadata = client.get_model_metadata(served.model)
    tensor = grpc.InferInput(metadata.inputs[0].name, rows.shape, "FP32")
    tensor.set_data_from_numpy(rows)
    start = time.perf_counter()
    reply = client.infer(served.model, [tensor])
    seconds = time.perf_counter() - start
    labels, probabilities = (reply.as_numpy(output.name) for output in metadata.outputs)
    client.close()
    return Answer(labels.tolist(), probabilities.tolist(), seconds)


def ask_tfserving_with_curl(served: Served, rows: Rows) -> Answer:
    url = f"{served.url}/v1/models/{served.model}:predict"
    reply, seconds = _curl(url, {"instances": _numbers(rows)})
    outputs = [list(row.values()) for row in reply["predictions"]]
    return Answer([label for label, _ in outputs], [p for _, p in outputs], seconds)


def ask_mlflow_with_requests(served: Served, rows: Rows) -> Answer:
    start = time.perf_counter()
    body = {"inputs": _numbers(rows)}
    reply = requests.post(f"{served.url}/invocations", json=body, timeout=10)
    seconds = time.perf_counter() - start
    reply.raise_for_status()
    return Answer(reply.json()["predictions"], None, seconds)


def ask_file_with_python(served: Served, rows: Rows) -> Answer:
    model = inferd.load(served.path)
    start = time.perf_counter()
    result = model.predict(rows)
    seconds = time.perf_counter() - start
    return Answer(result.prediction.tolist(), np.asarray(result.probability).tolist(), seconds)


QUESTIONS = (
    Question("curl", "plain", 1, ask_plain_with_curl),
    Question("requests", "plain", 3, ask_plain_with_requests),
    Question("curl", "Open Inference", 1, ask_oip_with_curl),
    Question("tritonclient", "Open Inference, binary", 3, ask_oip_with_tritonclient),
    Question("tritonclient", "Open Inference, gRPC", 3, ask_oip_with_grpc),
    Question("curl", "TensorFlow Serving", 3, ask_tfserving_with_curl),
    Question("requests", "MLflow", 3, ask_mlflow_with_requests),
    Question("inferd.load", "(in Python)", 3, ask_file_with_python),
)


def _curl(url: str, document: Any = None) -> tuple[Any, float]:
    """The reply's document, and the time by curl's own clock, without the start of the process."""
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10"]
    if document is not None:
        command += ["--header", "Content-Type: application/json", "--data", json.dumps(document)]
    done = subprocess.run(
        [*command, "--write-out", "\n%{time_total}", url], capture_output=True, text=True
    )
    reply, _, seconds = done.stdout.rpartition("\n")
    if done.returncode:
        raise RuntimeError(f"curl: {done.stderr.strip()} {reply}")
    return json.loads(reply), float(seconds)


def _numbers(rows: Rows) -> list[list[float]]:
    """The rows as a person would write them: as the shortest decimals that are these numbers."""
    return [[float(str(value)) for value in row] for row in rows]
