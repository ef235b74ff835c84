"""A request's JSON object, its long lists in pieces where it is large."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from inferd.errors import InvalidInput, MalformedRequest
from inferd.protocols.tfserving.signatures import DEFAULT
from inferd.wire.json_large import LARGE, LongArray, check_weight, cut
from inferd.wire.json_tfserving import decode, dump


class Body(msgspec.Struct):
    """Whatever TensorFlow Serving reads of one; other keys are ignored."""

    signature_name: Any = msgspec.UNSET
    instances: Any = msgspec.UNSET
    inputs: Any = msgspec.UNSET
    context: Any = msgspec.UNSET
    examples: Any = msgspec.UNSET

    def signature(self) -> str:
        """The name of the signature that is asked. Raises InvalidInput."""
        name = self.signature_name
        if name is msgspec.UNSET:
            return DEFAULT
        if type(name) is not str:
            raise InvalidInput(
                f"JSON Value: {self.shown()} not formatted correctly. 'signature_name' key must be "
                "a string value."
            )
        return name or DEFAULT

    def shown(self) -> str:
        """The whole object, as a text shows it."""
        return dump(
            {
                name: value if not isinstance(value, Long) else ["..."]
                for name in self.__struct_fields__
                if (value := getattr(self, name)) is not msgspec.UNSET
            }
        )


class Long:
    """A list that is read in pieces: they may be gone through once, each a list."""

    def __init__(self, array: LongArray) -> None:
        self._array = array

    def __iter__(self) -> Iterator[list[Any]]:
        """The pieces. Raises MalformedRequest, or PayloadTooLarge for one that is too heavy."""
        pieces = self._array.pieces
        for piece in pieces:
            check_weight(piece)
            values = decode(b"[" + piece + b"]", _PIECE, whole=True)
            if not values and len(pieces) > 1:  # two commas in a row, or one at an end
                raise MalformedRequest("JSON Parse error: Invalid value.")
            yield values


def pieces_of(value: Any) -> Iterator[list[Any]]:
    """A list, whether it was long or not, in pieces."""
    return iter(value) if isinstance(value, Long) else iter((value,))


def read_body(document: bytes) -> Body:
    """Read a request's body. Raises MalformedRequest."""
    if len(document) > LARGE:
        return _read_large(document)
    return decode(document, _BODY)


def _read_large(document: bytes) -> Body:
    depth = NAMED if _NAMED_INPUTS.match(document) else LISTED
    parted = cut(document, depth, marker=b' {"\\u0000long":%d} ')
    body = decode(parted.skeleton, _BODY)
    for name in ("instances", "inputs", "examples"):
        setattr(body, name, _unparted(getattr(body, name), parted.arrays))
    if depth == NAMED and isinstance(body.inputs, dict):
        body.inputs = {name: _unparted(value, parted.arrays) for name, value in body.inputs.items()}
    return body


def _unparted(value: Any, arrays: tuple[LongArray, ...]) -> Any:
    """The long list that *value* stands for; *value* itself where it stands for none."""
    if type(value) is not dict or value.keys() != _MARKED:
        return value
    number = value[MARK]
    if type(number) is not int or not 0 <= number < len(arrays):
        return value
    return Long(arrays[number])


MARK = "\0long"
"""A key that no client means: it stands for a list that was cut out."""
_MARKED = {MARK}
LISTED, NAMED = 2, 3  # {"instances": [   {"inputs": {"x": [
_BODY, _PIECE = msgspec.json.Decoder(Body), msgspec.json.Decoder(list[Any])
_NAMED_INPUTS = re.compile(
    rb'\s*\{\s*(?:"signature_name"\s*:\s*"[^"\\]*"\s*,\s*)?"inputs"\s*:\s*\{'
)
