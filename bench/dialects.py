"""Request bodies and answers of the dialects that are measured; no IO."""

import json
import struct
from dataclasses import dataclass, field
from typing import Any, Literal

from bench import messages

Dialect = Literal[
    "oip",
    "oip-binary",
    "plain",
    "tfserving",
    "kserve",
    "mlflow",
    "grpc",
    "grpc-live",
    "mlserver",
    "label",
    "labels",
    "add-sub",
    "live",
]

JSON_TYPE = {"content-type": "application/json"}
JSON_LENGTH = "Inference-Header-Content-Length"
GRPC: tuple[Dialect, ...] = ("grpc", "grpc-live")
LABELS_ALONE: tuple[Dialect, ...] = ("kserve", "mlflow", "mlserver", "label", "labels", "add-sub")
GRPC_TYPE = {"content-type": "application/grpc", "te": "trailers"}


@dataclass(frozen=True)
class Question:
    """What is sent: a body and the headers that it needs."""

    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: JSON_TYPE)
    method: str = "POST"


@dataclass(frozen=True)
class Answer:
    """What every server must agree on: the labels, and how many probabilities came with them."""

    labels: list[int]
    probabilities: int


def question(dialect: Dialect, rows: list[list[float]], model: str) -> Question:
    if dialect in GRPC:
        message = messages.infer(rows, model) if dialect == "grpc" else b""
        return Question(messages.framed(message), GRPC_TYPE)
    return _http_question(dialect, rows)


def _http_question(dialect: Dialect, rows: list[list[float]]) -> Question:
    if dialect == "oip-binary":
        return _binary(rows)
    if dialect == "live":
        return Question(b"", {}, "GET")
    return Question(_compact(_document(dialect, rows)))


def _document(dialect: Dialect, rows: list[list[float]]) -> dict[str, Any]:
    match dialect:
        case "oip" | "mlserver":
            return _oip(rows)
        case "plain" | "label":
            return {"features": rows[0] if len(rows) == 1 else rows}
        case "labels":
            return {"features": rows}
        case "add-sub":
            return _add_sub(rows)
        case "tfserving" | "kserve":
            return {"instances": rows}
        case _:  # mlflow
            return {"inputs": rows}


def read(dialect: Dialect, reply: bytes) -> Answer:
    if dialect == "live":
        return Answer([], 0)
    if dialect == "oip-binary":
        return _read_binary(reply)
    if dialect == "grpc":
        return Answer(*messages.read_infer(reply))
    if dialect == "grpc-live":
        return Answer([], 0 if reply == messages.ALIVE else -1)
    return _read_json(dialect, reply)


def _read_json(dialect: Dialect, reply: bytes) -> Answer:
    document = json.loads(reply)
    if dialect in LABELS_ALONE:
        return Answer(_labels(dialect, document), 0)
    match dialect:
        case "oip":
            labels, probabilities = (output["data"] for output in document["outputs"])
            return Answer(labels, len(probabilities))
        case "tfserving":
            rows = document["predictions"]
            return Answer([r["label"] for r in rows], sum(len(r["probabilities"]) for r in rows))
        case _:  # plain
            return _read_plain(document)


def _labels(dialect: Dialect, document: Any) -> Any:
    match dialect:
        case "label":
            return [document["prediction"]]
        case "labels":
            return document
        case "mlserver":
            return document["outputs"][0]["data"]
        case "add-sub":
            found = {output["name"]: output["data"] for output in document["outputs"]}
            return [*found["OUTPUT0"], *found["OUTPUT1"]]
        case _:  # kserve, mlflow
            return document["predictions"]


def expected(dialect: Dialect, labels: list[int], classes: int) -> Answer:
    """The right answer: some dialects tell what a scikit-learn model's `predict` does, and some
    nothing of a model."""
    if dialect in ("grpc-live", "live"):
        return Answer([], 0)
    return Answer(labels, 0 if dialect in LABELS_ALONE else len(labels) * classes)


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _oip(rows: list[list[float]]) -> dict[str, Any]:
    data = [value for row in rows for value in row]
    shape = [len(rows), len(rows[0])]
    return {"inputs": [{"name": "X", "shape": shape, "datatype": "FP32", "data": data}]}


def _add_sub(rows: list[list[float]]) -> dict[str, Any]:
    """Two tensors of one row each."""
    return {
        "inputs": [
            {"name": f"INPUT{number}", "shape": [len(row)], "datatype": "FP32", "data": row}
            for number, row in enumerate(rows)
        ]
    }


def _binary(rows: list[list[float]]) -> Question:
    values = [value for row in rows for value in row]
    blob = struct.pack(f"<{len(values)}f", *values)
    tensor = {
        "name": "X",
        "shape": [len(rows), len(rows[0])],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(blob)},
    }
    head = _compact({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"content-type": "application/octet-stream", JSON_LENGTH: str(len(head))}
    return Question(head + blob, headers)


def _read_binary(reply: bytes) -> Answer:
    """The document is ASCII and ends where the first tensor's memory begins."""
    document, end = json.JSONDecoder().raw_decode(reply.decode("latin-1"))
    label, shares = (output["parameters"]["binary_data_size"] for output in document["outputs"])
    labels = struct.unpack_from(f"<{label // 8}q", reply, end)
    if end + label + shares != len(reply):
        return Answer(list(labels), -1)
    return Answer(list(labels), shares // 4)


def _read_plain(document: Any) -> Answer:
    if "prediction" in document:
        return Answer([document["prediction"]], len(document["probability"]))
    return Answer(document["predictions"], sum(map(len, document["probabilities"])))
