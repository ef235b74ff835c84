"""What comes before an answer's memory, written once for all answers of the same shapes."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from inferd.calls import Handle
from inferd.protocols.base import PerHandle
from inferd.protocols.oip.binary import HEADER_LENGTH
from inferd.signature import Shape
from inferd.tensors import Array
from inferd.wire.json import encode

Key: TypeAlias = tuple[Sequence[str] | Shape, ...]
"""The names of outputs, then the shape of each."""


class Frame(NamedTuple):
    """A document whose values follow it as memory, and the header that says where they begin."""

    document: bytes
    size: int
    """Of the memory that follows."""
    headers: tuple[tuple[bytes, bytes], ...]


class Frames:
    """Those of one version."""

    KEPT = 256  # shapes; a caller chooses how many rows he sends

    def __init__(self, handle: Handle) -> None:
        self._handle_names = handle.model, handle.version
        self._datatypes = handle.checker.output_datatypes
        self.fit = "BYTES" not in self._datatypes.values()
        """Whether the sizes of answers are told by their shapes."""
        self._known: dict[Key, Frame] = {}

    def __call__(self, names: Sequence[str], arrays: Sequence[Array], id_: str) -> Frame:
        """What comes before *arrays*, the outputs *names*, in the answer to a request of that
        id."""
        if id_:  # which hardly comes again
            return self._made(names, arrays, id_)
        key = (tuple(names), *[array.shape for array in arrays])
        frame = self._known.get(key)
        if frame is None:
            if len(self._known) >= self.KEPT:  # filled with what does not come again
                self._known.clear()
            frame = self._known[key] = self._made(names, arrays, id_)
        return frame

    def _made(self, names: Sequence[str], arrays: Sequence[Array], id_: str) -> Frame:
        outputs = [
            {
                **described(name, self._datatypes[name], array),
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in zip(names, arrays, strict=True)
        ]
        document = encode({**head(*self._handle_names, id_), "outputs": outputs})
        return frame_of(document, sum(array.nbytes for array in arrays))


frames = PerHandle(Frames)


def frame_of(document: bytes, size: int) -> Frame:
    """*document*, as one that is followed by *size* bytes of memory."""
    return Frame(document, size, ((HEADER_LENGTH, b"%d" % len(document)),))


def head(model: str, version: str, id_: str) -> dict[str, Any]:
    """What every answer begins with."""
    named = {"model_name": model, "model_version": version}
    return {"id": id_, **named} if id_ else named


def described(name: str, datatype: str, array: Array) -> dict[str, Any]:
    """What is told of an output beside its values."""
    return {"name": name, "datatype": datatype, "shape": array.shape}
