"""The answer to an inference: a document, and after it the outputs that are wanted as memory."""

from typing import Any

from inferd.calls import InferResponse
from inferd.protocols.base import Payload
from inferd.protocols.oip.binary import HEADER_LENGTH, OCTETS, pack
from inferd.protocols.oip.classification import classify
from inferd.protocols.oip.json_tensors import outputs_of, write_output
from inferd.protocols.oip.request import FormedRequest
from inferd.tensors import Array, json_values
from inferd.wire.json import encode
from inferd.wire.json_large import SLICE


def write_answer(response: InferResponse) -> Payload:
    """*response* in the forms that its request asks for."""
    request = response.request
    handle = request.handle
    answer: dict[str, Any] = {"id": request.id} if request.id else {}
    answer["model_name"] = handle.model
    answer["model_version"] = handle.version
    if type(request) is FormedRequest:
        return _write_formed(answer, response, request)
    datatypes = handle.checker.output_datatypes
    if response.size() > SLICE:
        outputs = [
            write_output(_described(name, datatypes[name], array), array)
            for name, array in response.outputs.items()
        ]
        return Payload(_joined(answer, outputs))
    answer["outputs"] = outputs_of(response.outputs, datatypes)
    return Payload(encode(answer))


def _write_formed(
    answer: dict[str, Any], response: InferResponse, request: FormedRequest
) -> Payload:
    datatypes, large = request.handle.checker.output_datatypes, response.size() > SLICE
    outputs: list[dict[str, Any]] = []
    written: list[bytes] = []  # the outputs as JSON, where they are large
    tail: list[bytes | memoryview] = []
    for name, array in response.outputs.items():
        datatype = datatypes[name]
        if name in request.classes:
            array, datatype = _classified(array, name, request), "BYTES"
        output = _described(name, datatype, array)
        if in_memory := name in request.binary:
            tail.append(blob := pack(array))
            output["parameters"] = {"binary_data_size": len(blob)}
        elif not large:
            output["data"] = json_values(array.ravel())
        if large:
            written.append(encode(output) if in_memory else write_output(output, array))
        outputs.append(output)
    body = _joined(answer, written) if large else encode({**answer, "outputs": outputs})
    if not any(tail):  # nothing follows the document, and it is not said that something does
        return Payload(body)
    return Payload(body, OCTETS, ((HEADER_LENGTH, b"%d" % len(body)),), tail)


def _described(name: str, datatype: str, array: Array) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": array.shape}


def _classified(array: Array, name: str, request: FormedRequest) -> Array:
    handle = request.handle
    labels = handle.classes if name == handle.roles.probability else ()
    batched = handle.signature.batch_axis is not None
    return classify(array, request.classes[name], labels, batched=batched)


def _joined(answer: dict[str, Any], outputs: list[bytes]) -> bytes:
    return b"".join([encode(answer)[:-1], b',"outputs":[', b",".join(outputs), b"]}"])
