"""The answer to an inference: a document, and after it the outputs that are wanted as memory."""

from typing import Any

from inferd.calls import InferResponse
from inferd.protocols.base import Payload
from inferd.protocols.oip.binary import OCTETS, SMALL, pack
from inferd.protocols.oip.classification import classify
from inferd.protocols.oip.frames import Frame, Frames, described, frame_of, frames, head
from inferd.protocols.oip.json_tensors import outputs_of, write_output
from inferd.protocols.oip.request import FormedRequest
from inferd.tensors import Array, json_values
from inferd.wire.json import encode
from inferd.wire.json_large import SLICE


def write_answer(response: InferResponse) -> Payload:
    """*response* in the forms that its request asks for."""
    request = response.request
    handle = request.handle
    if type(request) is FormedRequest:
        known = frames(handle)
        if known.fit and len(request.binary) == len(request.outputs) and not request.classes:
            return _write_memory(known, response)
        return _write_formed(response, request)
    answer = head(handle.model, handle.version, request.id)
    datatypes = handle.checker.output_datatypes
    if response.size() > SLICE:
        written = [
            write_output(described(name, datatypes[name], array), array)
            for name, array in response.outputs.items()
        ]
        return Payload(_joined(answer, written))
    answer["outputs"] = outputs_of(response.outputs, datatypes)
    return Payload(encode(answer))


def _write_memory(known: Frames, response: InferResponse) -> Payload:
    """All outputs as memory, and none of them strings."""
    request, arrays = response.request, [*response.outputs.values()]
    frame = known(request.outputs, arrays, request.id)
    if frame.size > SMALL:
        return _framed(frame, [pack(array) for array in arrays])
    return _framed(frame, [array.tobytes() for array in arrays])


def _write_formed(response: InferResponse, request: FormedRequest) -> Payload:
    """Each output in its own form."""
    handle, large = request.handle, response.size() > SLICE
    written: list[bytes] = []
    blobs: list[bytes | memoryview] = []
    for name, array in response.outputs.items():
        datatype = handle.checker.output_datatypes[name]
        if name in request.classes:
            array, datatype = classified(array, name, request), "BYTES"
        output = described(name, datatype, array)
        if name in request.binary:
            blobs.append(blob := pack(array))
            written.append(encode({**output, "parameters": {"binary_data_size": len(blob)}}))
        elif large:
            written.append(write_output(output, array))
        else:
            written.append(encode({**output, "data": json_values(array.ravel())}))
    document = _joined(head(handle.model, handle.version, request.id), written)
    return _framed(frame_of(document, sum(map(len, blobs))), blobs)


def _framed(frame: Frame, blobs: list[bytes | memoryview]) -> Payload:
    """The answer of a document and memory."""
    document, size, headers = frame
    if not size:  # nothing follows the document, and it is not said that something does
        return Payload(document)
    if size > SMALL:
        return Payload(document, OCTETS, headers, blobs)
    return Payload(b"".join([document, *blobs]), OCTETS, headers)


def classified(array: Array, name: str, request: FormedRequest) -> Array:
    """The output *name* as *request* asks for it: the greatest elements of each row, as texts."""
    handle = request.handle
    labels = handle.classes if name == handle.roles.probability else ()
    batched = handle.signature.batch_axis is not None
    return classify(array, request.classes[name], labels, batched=batched)


def _joined(answer: dict[str, Any], outputs: list[bytes]) -> bytes:
    return b"".join([encode(answer)[:-1], b',"outputs":[', b",".join(outputs), b"]}"])
