"""Request bodies and answers of the dialects that are measured; no IO."""

import json
from dataclasses import dataclass
from typing import Any, Literal

Dialect = Literal["oip", "plain"]


@dataclass(frozen=True)
class Answer:
    """What every server must agree on: the labels, and how many probabilities came with them."""

    labels: list[int]
    probabilities: int


def body(dialect: Dialect, rows: list[list[float]]) -> str:
    document = _oip(rows) if dialect == "oip" else _plain(rows)
    return json.dumps(document, separators=(",", ":"))


def read(dialect: Dialect, reply: bytes) -> Answer:
    document = json.loads(reply)
    return _read_oip(document) if dialect == "oip" else _read_plain(document)


def _oip(rows: list[list[float]]) -> dict[str, Any]:
    data = [value for row in rows for value in row]
    shape = [len(rows), len(rows[0])]
    return {"inputs": [{"name": "X", "shape": shape, "datatype": "FP32", "data": data}]}


def _plain(rows: list[list[float]]) -> dict[str, Any]:
    return {"features": rows[0] if len(rows) == 1 else rows}


def _read_oip(document: Any) -> Answer:
    labels, probabilities = (output["data"] for output in document["outputs"])
    return Answer(labels, len(probabilities))


def _read_plain(document: Any) -> Answer:
    if "prediction" in document:
        return Answer([document["prediction"]], len(document["probability"]))
    return Answer(document["predictions"], sum(map(len, document["probabilities"])))
