"""The answer to an inference: a message written by hand, of which all but the outputs' memory is
kept for the next answer of the same shapes."""

from collections.abc import Sequence
from typing import TypeAlias

from inferd.calls import Handle, InferResponse
from inferd.protocols.base import PerHandle
from inferd.protocols.oip.answers import classified
from inferd.protocols.oip.binary import pack
from inferd.protocols.oip.grpc.fields import field, numbers, opening, text
from inferd.protocols.oip.request import FormedRequest
from inferd.signature import Shape
from inferd.tensors import Array

# The numbers of the fields of ModelInferResponse, and of its InferOutputTensor.
MODEL_NAME, MODEL_VERSION, ID, PARAMETERS, OUTPUTS, RAW_OUTPUT_CONTENTS = range(1, 7)
NAME, DATATYPE, SHAPE = range(1, 4)

Key: TypeAlias = tuple[Sequence[str] | Shape, ...]
"""The names of outputs, then the shape of each."""


class Frames:
    """What stands before the memory of each output in the answers of one version."""

    KEPT = 256  # shapes; a caller chooses how many rows he sends

    def __init__(self, handle: Handle) -> None:
        self.head = text(MODEL_NAME, handle.model) + text(MODEL_VERSION, handle.version)
        self.datatypes = handle.checker.output_datatypes
        self.fit = "BYTES" not in self.datatypes.values()
        """Whether the sizes of answers are told by their shapes."""
        self._known: dict[Key, list[bytes]] = {}

    def __call__(self, names: Sequence[str], arrays: Sequence[Array]) -> list[bytes]:
        """What stands before each of *arrays*, the outputs *names*."""
        key = (tuple(names), *[array.shape for array in arrays])
        frame = self._known.get(key)
        if frame is None:
            if len(self._known) >= self.KEPT:  # filled with what does not come again
                self._known.clear()
            outputs = [
                described(name, self.datatypes[name], array)
                for name, array in zip(names, arrays, strict=True)
            ]
            frame = [opening(RAW_OUTPUT_CONTENTS, array.nbytes) for array in arrays]
            frame[0] = self.head + b"".join(outputs) + frame[0]
            self._known[key] = frame
        return frame


frames = PerHandle(Frames)


def write_answer(response: InferResponse) -> bytes:
    """*response* as a ModelInferResponse.

    Its id, if it has one, stands first: the fields of a message may stand in any order, and so all
    that follows is the same whatever the id.
    """
    request = response.request
    known = frames(request.handle)
    if known.fit and type(request) is not FormedRequest:
        arrays = [*response.outputs.values()]
        frame = known(request.outputs, arrays)
        if len(frame) == 1:
            answer = frame[0] + arrays[0].tobytes()
        else:
            pieces: list[bytes] = []
            for before, array in zip(frame, arrays):  # noqa: B905 - as many
                pieces += before, array.tobytes()
            answer = b"".join(pieces)
    else:
        answer = _write_formed(response, known)
    return text(ID, request.id) + answer if request.id else answer


def _write_formed(response: InferResponse, known: Frames) -> bytes:
    """Each output in its own form; a text's size is told by no shape."""
    request = response.request
    outputs: list[bytes] = []
    blobs: list[bytes | memoryview] = []
    for name, array in response.outputs.items():
        datatype = known.datatypes[name]
        if type(request) is FormedRequest and name in request.classes:
            array, datatype = classified(array, name, request), "BYTES"
        outputs.append(described(name, datatype, array))
        blob = pack(array)
        blobs += opening(RAW_OUTPUT_CONTENTS, len(blob)), blob
    return b"".join([known.head, *outputs, *blobs])


def described(name: str, datatype: str, array: Array) -> bytes:
    """What is told of an output beside its values."""
    tensor = text(NAME, name) + text(DATATYPE, datatype) + numbers(SHAPE, array.shape)
    return field(OUTPUTS, tensor)
