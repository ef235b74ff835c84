"""Requests whose tensors are memory, recognised by their bytes: everything but the memory was read
before, so that no message is made of them again."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inferd.calls import Handle, InferRequest, Lookup
from inferd.protocols.oip.binary import SMALL, view
from inferd.protocols.oip.grpc.fields import opening
from inferd.protocols.oip.grpc.reading import unreadable
from inferd.signature import Shape
from inferd.tensors import Datatype

RAW_INPUT_CONTENTS = 7


class Lying(NamedTuple):
    """A tensor, and where in the message it lies."""

    name: str
    datatype: Datatype
    elements: int
    shape: Shape
    mark: int
    """Where the bytes begin that tell its length."""
    start: int
    end: int
    opening: bytes
    """What those bytes are."""


class Plan(NamedTuple):
    """What a message asks for: the same whatever is in its memory."""

    handle: weakref.ref[Handle]
    model: str
    version: str | None
    inputs: tuple[Lying, ...]
    rows: int
    outputs: Sequence[str]
    parameters: Mapping[str, Any]


class Plans:
    """Those of one method."""

    KEPT, LONGEST = 256, 2048  # messages that were read before, and their bytes without the memory
    LENGTHS = 4  # plans may differ in where the memory begins, though their messages are as long

    def __init__(self) -> None:
        self._plans: dict[bytes, Plan] = {}
        """By all that stands before the first tensor's memory."""
        self._starts: dict[int, tuple[int, ...]] = {}
        """Where memory may begin in a message, by its length."""

    def follow(self, body: bytes, lookup: Lookup) -> InferRequest | None:
        """The request that *body* is, where one like it was learnt: but for its id."""
        planned = self._follow(body, lookup)
        if planned is None and self._plans and len(body) <= SMALL:
            id_, rest = _cut_id(body)
            if id_ and (planned := self._follow(rest, lookup)):
                planned.id = id_
        return planned

    def _follow(self, body: bytes, lookup: Lookup) -> InferRequest | None:
        for start in self._starts.get(len(body), ()):
            plan = self._plans.get(bytes(body[:start]))
            if plan is None:
                continue
            handle_ref, model, version, inputs, rows, outputs, parameters = plan
            handle = lookup(model, version)
            if handle_ref() is not handle:
                return None
            arrays = {}
            small = len(body) <= SMALL
            for name, datatype, count, shape, mark, begin, end, told in inputs:
                if mark > start and body[mark:begin] != told:
                    return None
                if small:  # a copy, which lies as numbers must
                    arrays[name] = np.ndarray(shape, datatype.numpy, body[begin:end])
                else:
                    arrays[name] = view(body, datatype, count, begin).reshape(shape)
            return InferRequest(handle, arrays, outputs, rows, parameters)
        return None

    def learn(
        self, body: bytes, sent: Any, request: InferRequest, datatypes: Sequence[Datatype]
    ) -> None:
        """Keep what *body* asks for, which was read as the message *sent* and made to *request*,
        its inputs of *datatypes*; if all of it but the id stands before the tensors' memory."""
        if sent.id:
            if len(body) > SMALL:
                return
            _, body = _cut_id(body)
        inputs, at = [], len(body)
        lying = zip(request.inputs.items(), datatypes, sent.raw_input_contents, strict=True)
        for (name, array), datatype, blob in reversed(list(lying)):
            told, end = opening(RAW_INPUT_CONTENTS, len(blob)), at
            at = end - len(blob) - len(told)
            if datatype.name in ("BOOL", "BYTES") or not array.size or at < 0:
                return
            start = at + len(told)
            if body[at:start] != told:
                return
            inputs.append(Lying(name, datatype, array.size, array.shape, at, start, end, told))
        head = bytes(body[:at])
        if not inputs or at > self.LONGEST or not _is_whole(type(sent), head):
            return
        first = inputs[-1].start
        if len(self._plans) >= self.KEPT:  # filled with what does not come again
            self._plans.clear()
            self._starts.clear()
        handle = request.handle
        self._plans[bytes(body[:first])] = Plan(
            weakref.ref(handle),
            sent.model_name,
            request.handle.version if sent.model_version else None,
            tuple(reversed(inputs)),
            request.rows,
            request.outputs,
            request.parameters,
        )
        starts = self._starts.get(len(body), ())
        if first not in starts:
            self._starts[len(body)] = (first, *starts[: self.LENGTHS - 1])


def _cut_id(body: bytes) -> tuple[str, bytes]:
    """The id in a request, if it stands where the fields' order has it, and the rest."""
    at, end = 0, len(body) - 1
    for tag in _UP_TO_ID:
        if at >= end or body[at] != tag:
            continue
        start = at + 2
        after = start + body[at + 1]
        if body[at + 1] >= _LONG or after > end:
            break
        if tag == _ID:
            try:
                return str(body[start:after], "utf-8"), body[:at] + body[after:]
            except UnicodeDecodeError:
                break
        at = after
    return "", body


_ID = 0x1A
_UP_TO_ID = b"\x0a\x12\x1a"  # the tags of model_name, model_version and id
_EMPTY_ID = b"\x1a\x00"  # would hide the id of a request that is recognised
_LONG = 0x80  # lengths from here on take more than a byte


def _is_whole(kind: Any, head: bytes) -> bool:
    """Whether *head*, what stands before the memory, is a message without any, and without an id:
    then the memory behind it is what it seems to be, and not a part of something else."""
    try:
        sent = kind.FromString(head)
    except unreadable():
        return False
    return not (sent.raw_input_contents or sent.id or _EMPTY_ID in head)
