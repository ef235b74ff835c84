"""Models of one tensor of each datatype, and Triton's own client to make requests for them and read
the answers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt
import tritonclient.http as triton
from onnx import TensorProto

from inferd.calls import InferRequest, InferResponse
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message, Payload
from inferd.protocols.oip.rest import Infer
from tests.unit import onnx_files

Array = npt.NDArray[Any]
LENGTH = b"inference-header-content-length"
KINDS = {
    "BOOL": (TensorProto.BOOL, np.bool_),
    "UINT8": (TensorProto.UINT8, np.uint8),
    "UINT16": (TensorProto.UINT16, np.uint16),
    "UINT32": (TensorProto.UINT32, np.uint32),
    "UINT64": (TensorProto.UINT64, np.uint64),
    "INT8": (TensorProto.INT8, np.int8),
    "INT16": (TensorProto.INT16, np.int16),
    "INT32": (TensorProto.INT32, np.int32),
    "INT64": (TensorProto.INT64, np.int64),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "BYTES": (TensorProto.STRING, np.object_),
}
"""Of each datatype its ONNX kind and its numpy type."""
CLIENT_TYPES: Mapping[str, Any] = {name: kind for name, (_, kind) in KINDS.items()} | {
    "BF16": ml_dtypes.bfloat16
}


def write_identities(folder: Path) -> list[Path]:
    """A model of each datatype, called as that, whose only tensor comes back as it went in."""
    return [
        onnx_files.identity(folder / f"{name}.onnx", [None, None], kind)
        for name, (kind, _) in KINDS.items()
    ]


class Sent(NamedTuple):
    """A request as Triton's client writes it."""

    body: Any
    """Bytes; or a bytearray, as a lane has large ones."""
    headers: Mapping[bytes, bytes]


def tensor(array: Array, datatype: str, *, binary: bool = True, name: str = "X") -> Any:
    """An input."""
    made = triton.InferInput(name, list(array.shape), datatype)
    return made.set_data_from_numpy(array, binary_data=binary)


def request(inputs: Sequence[Any], outputs: Sequence[Any] | None = None, **more: Any) -> Sent:
    """A whole request."""
    body, length = triton.InferenceServerClient.generate_request_body(
        inputs, outputs=outputs, **more
    )
    return Sent(body, {} if length is None else {LENGTH: b"%d" % length})


def header(document: Any, *blobs: bytes) -> Sent:
    """A request whose document is written by hand."""
    text = json.dumps(document).encode()
    return Sent(text + b"".join(blobs), {LENGTH: b"%d" % len(text)})


def decoded(
    served: Pipeline, model: str, sent: Sent, *, strict: bool = False, **more: Any
) -> InferRequest:
    """What becomes of a request."""
    message = Message(sent.body, {"model": model}, sent.headers)
    call = Infer(strict=strict, **more).decode(message, served.manager.lookup)
    assert isinstance(call, InferRequest)
    return call


def answered(request: InferRequest, **outputs: Array) -> Payload:
    """How these outputs are told."""
    return Infer().encode(request, InferResponse(request, outputs))


def read(payload: Payload) -> Any:
    """The answer as Triton's client reads it."""
    lengths = dict(payload.headers)
    whole = payload.body + b"".join(payload.tail)
    assert len(whole) == payload.size
    length = int(lengths[LENGTH]) if LENGTH in lengths else None
    assert (length is None) == (payload.content_type == b"application/json")
    return triton.InferenceServerClient.parse_response_body(whole, header_length=length)
