"""The Open Inference Protocol's binary tensors: a document, and raw memory after it."""

import json
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fuzz.dialects.base import Dialect, Known
from fuzz.dialects.oip import outputs
from fuzz.material import JSON, MODELS, NAMES, VERSIONS, inputs, sent
from fuzz.request import MAIN, Request

LENGTH = "inference-header-content-length"
DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "UINT8": "u1", "BOOL": "?"}
ODD_LENGTHS = (
    "0", "1", "-1", "+5", "abc", "", "0x10", "1e2", "99999999999999999999", "10, 10", " 12 ", "٣"
)  # fmt: skip


def pack(kind: str, data: list[Any]) -> bytes:
    """*data* as it lies in memory; each string after its length."""
    if kind == "BYTES":
        return b"".join(
            struct.pack("<I", len(each)) + each for each in (text.encode() for text in data)
        )
    return np.array(data, DTYPES[kind]).tobytes()


@st.composite
def inferences(draw: st.DrawFn) -> Request:
    """An inference whose inputs are partly memory; some sizes are wrong."""
    model = draw(st.sampled_from(sorted(MODELS)))
    document: dict[str, Any] = {"inputs": draw(inputs(model))}
    blobs = []
    for tensor in document["inputs"]:
        if draw(st.integers(0, 4)):
            blob = pack(tensor["datatype"], tensor.pop("data"))
            size: Any = len(blob)
            match draw(st.integers(0, 14)):
                case 0:
                    size = draw(st.integers(-1, 2**65) | JSON)
                case 1:
                    blob = draw(st.binary(max_size=len(blob) + 5))
                case 2:
                    tensor["data"] = []
                case _:
                    pass
            tensor["parameters"] = {"binary_data_size": size}
            blobs.append(blob)
    if draw(st.booleans()):
        document["outputs"] = draw(outputs(model))
    if draw(st.booleans()):
        document["parameters"] = {"binary_data_output": draw(st.booleans())}
    head = json.dumps(document).encode()
    tail = draw(st.just(b"") | st.just(b"") | st.binary(max_size=4))
    if draw(st.integers(0, 7)):
        length = str(len(head) + (draw(st.integers(-3, 3)) if draw(st.integers(0, 9)) == 0 else 0))
    else:
        length = draw(st.sampled_from(ODD_LENGTHS)).encode("ascii", "ignore").decode()
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    target = f"/v2/models/{name}{draw(VERSIONS)}/infer"
    return draw(sent(target, head + b"".join(blobs) + tail, ((LENGTH, length),)))


@st.composite
def raw(draw: st.DrawFn) -> Request:
    """A body that is the only input's memory and nothing else."""
    model = draw(st.sampled_from(sorted(MODELS)))
    body = b"".join(pack(tensor["datatype"], tensor["data"]) for tensor in draw(inputs(model)))
    body = draw(st.just(body) | st.just(body) | st.binary(max_size=40))
    return draw(sent(f"/v2/models/{model}/infer", body, ((LENGTH, "0"),)))


def _known() -> tuple[Known, ...]:
    row = np.array([1, 2, 3, 0], "<f4").tobytes()
    tensor = {"name": "X", "shape": [1, 4], "datatype": "FP32"}
    sized = tensor | {"parameters": {"binary_data_size": len(row)}}
    scores = {"name": "scores", "datatype": "FP32", "shape": [1, 3]}
    wanted = {"inputs": [sized], "outputs": [{"name": "scores"}]}
    head = json.dumps(wanted).encode()
    expected = {
        "model_name": "linear",
        "model_version": "1",
        "outputs": [scores | {"data": [1.0, 4.0, 9.0]}],
    }
    target, length = "/v2/models/linear/infer", ((LENGTH, str(len(head))),)
    short = (head + row)[:-1]
    return (
        Known(Request("POST", target, length, head + row), expected),
        Known(Request("POST", target, length, head + row, (5,), "deflate"), expected),
        Known(Request("POST", target, length, short), None, 400),
        Known(Request("POST", target, ((LENGTH, "99999"),), head + row), None, 400),
        _echo(2),
        _echo(20_000),
    )


def _echo(rows: int) -> Known:
    """Bytes that come back: the answer's document, and the same bytes after it."""
    blob = bytes(at % 256 for at in range(rows * 6))
    tensor = {"name": "cells", "shape": [rows, 2, 3], "datatype": "UINT8"}
    parameters = {"binary_data_size": len(blob)}
    document = {
        "inputs": [tensor | {"parameters": parameters}],
        "outputs": [{"name": "copy", "parameters": {"binary_data": True}}],
    }
    head = json.dumps(document).encode()
    return Known(
        Request("POST", "/v2/models/cube/infer", ((LENGTH, str(len(head))),), head + blob),
        Tail(blob),
    )


class Tail(bytes):
    """What an answer must end with, after its document."""


dialect = Dialect(
    "oip-binary",
    inferences() | inferences() | inferences() | raw(),
    _known(),
    (MAIN, "triton"),
)
