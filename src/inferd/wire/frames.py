"""Frames between the server and a model's own process: a message, and tensors as raw bytes. No IO.

    prefix    the sizes of the header and of all that follows the prefix
    header    MessagePack: the message, and of each tensor its name, datatype, shape and size
    tensors   the elements in C order; each begins at a multiple of ALIGNMENT

Nothing in a frame is code: what came from a model's process is read as numbers and strings only.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from inferd.errors import RunFailed
from inferd.tensors import BY_NAME, Array, datatype_of
from inferd.wire.messages import Message

PREFIX = struct.Struct("<QQ")
ALIGNMENT = 16  # of every dtype; some libraries refuse an array that is not at a multiple of 8
MAX_BYTES = 1 << 31  # many times what the largest request makes; a wrong size asks for no more

Buffer: TypeAlias = bytes | memoryview


class Broken(ConnectionError):
    """What was read is no frame: the connection is of no use any more."""


class Frame(NamedTuple):
    """What one frame carries."""

    message: Message
    tensors: dict[str, Array]


class Sizes(NamedTuple):
    """What a frame's prefix says."""

    header: int
    payload: int
    """All that follows the prefix."""


def encode(message: Message, tensors: Mapping[str, Array] | None = None) -> list[Buffer]:
    """The pieces of a frame, in order. Those of large tensors are views of the arrays.

    Raises RunFailed where a tensor is of a kind that no protocol carries, or all are too large.
    """
    described, pieces = [], []
    for name, array in (tensors or {}).items():
        datatype, content = _content(name, array)
        size = sum(map(len, content))
        described.append(_Tensor(name, datatype, array.shape, size))
        pieces += [*content, _padding(size)]
    header = _ENCODER.encode(_Header(message, described))
    pieces = [header, _padding(len(header)), *pieces]
    payload = sum(map(len, pieces))
    if payload > MAX_BYTES:
        raise RunFailed(
            "the tensors are too large for the model's own process",
            got=f"{payload} bytes",
            expected=f"at most {MAX_BYTES}",
            cure="Send fewer rows at once.",
        )
    return [PREFIX.pack(len(header), payload), *pieces]


def sizes(prefix: Buffer) -> Sizes:
    """What the PREFIX.size bytes at the start of a frame say. Raises Broken."""
    told = Sizes(*PREFIX.unpack(prefix))
    if not told.header <= told.payload <= MAX_BYTES:
        raise Broken(f"a frame of {told.payload} bytes, of which {told.header} are its header")
    return told


def decode(payload: Array, header_size: int) -> Frame:
    """The frame whose bytes after the prefix are *payload*, which its tensors are views of.

    Raises Broken.
    """
    try:
        header = _DECODER.decode(payload[:header_size].data)
        return Frame(header.message, dict(_tensors(header.tensors, payload, header_size)))
    except (ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise Broken(f"a frame that cannot be read: {error}") from None


class _Tensor(msgspec.Struct, array_like=True):
    name: str
    datatype: str
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    size: Annotated[int, msgspec.Meta(ge=0)]


class _Header(msgspec.Struct, array_like=True):
    message: Message
    tensors: list[_Tensor]


def _plain(value: Any) -> Any:
    """Paths and numpy's scalars, which an artifact and an example may hold, as MessagePack has
    them."""
    return str(value) if isinstance(value, Path) else value.tolist()


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)
_DECODER = msgspec.msgpack.Decoder(_Header, dec_hook=lambda kind, value: kind(value))


def _tensors(
    described: Sequence[_Tensor], payload: Array, header_size: int
) -> Iterator[tuple[str, Array]]:
    at = header_size + len(_padding(header_size))
    for tensor in described:
        content = payload[at : at + tensor.size]
        if len(content) != tensor.size or tensor.datatype not in BY_NAME:
            raise Broken(f"tensor {tensor.name!r} is cut off, or of no known datatype")
        yield tensor.name, _array(tensor, content)
        at += tensor.size + len(_padding(tensor.size))
    if at != len(payload):
        raise Broken(f"a frame of {len(payload)} bytes holds tensors of {at}")


def _content(name: str, array: Array) -> tuple[str, list[Buffer]]:
    """The name of the array's datatype, and its bytes in as many pieces as need no copy."""
    try:
        datatype = datatype_of(array).name
    except KeyError:
        raise RunFailed(f"no protocol can carry tensor {name!r}", got=str(array.dtype)) from None
    if datatype == "BYTES":
        return datatype, _pack_texts(name, array)
    whole: memoryview = np.asarray(array, order="C").reshape(-1).view(np.uint8).data
    return datatype, [whole]


def _array(tensor: _Tensor, content: Array) -> Array:
    if tensor.datatype == "BYTES":
        return _unpack_texts(content.data, prod(tensor.shape)).reshape(tensor.shape)
    return content.view(BY_NAME[tensor.datatype].numpy).reshape(tensor.shape)


def _pack_texts(name: str, array: Array) -> list[Buffer]:
    """Strings and bytes: of each its length and which of the two it is, as one number; then all.

    A string that is no Unicode, as JSON can hold, goes over as it is.
    """
    values = array.reshape(-1).tolist()
    try:
        texts = [v if isinstance(v, bytes) else v.encode("utf-8", "surrogatepass") for v in values]
        numbers = [len(t) << 1 | isinstance(v, bytes) for t, v in zip(texts, values, strict=True)]
        return [np.array(numbers, _NUMBER).tobytes(), b"".join(texts)]
    except (AttributeError, OverflowError):
        raise RunFailed(
            f"no protocol can carry tensor {name!r}", got="other objects", expected="strings"
        ) from None


_NUMBER = np.dtype("<u4")


def _unpack_texts(content: memoryview, count: int) -> Array:
    numbers = np.frombuffer(content, _NUMBER, count).astype(np.int64)
    ends = (count * _NUMBER.itemsize + np.cumsum(numbers >> 1)).tolist()
    if (ends[-1] if ends else 0) != len(content):
        raise Broken(f"{count} strings do not fill {len(content)} bytes")
    texts = np.empty(count, np.object_)
    start = count * _NUMBER.itemsize
    for at, (end, is_bytes) in enumerate(zip(ends, (numbers & 1).tolist(), strict=True)):
        text = bytes(content[start:end])
        texts[at] = text if is_bytes else text.decode("utf-8", "surrogatepass")
        start = end
    return texts


def _padding(size: int) -> bytes:
    return bytes(-size % ALIGNMENT)
