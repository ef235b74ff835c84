"""An inference of the Open Inference Protocol over HTTP: which part of a body is read by whom."""

import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, MalformedRequest, Unsupported
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.answers import write_answer
from inferd.protocols.oip.binary import HEADER_LENGTH, Blobs, header_length
from inferd.protocols.oip.document import document_infer
from inferd.protocols.oip.json_tensors import (
    FP16,
    array_of,
    check_read,
    check_written,
    long_array_of,
    unparsable,
)
from inferd.protocols.oip.parameters import (
    BINARY,
    NO_PARAMETERS,
    request_parameters,
    take_turn,
)
from inferd.protocols.oip.raw import read_raw
from inferd.protocols.oip.request import (
    NO_CLASSES,
    CutDocument,
    Document,
    FormedRequest,
    Input,
    forms,
    layout,
)
from inferd.signature import Admitted, Checker
from inferd.tensors import BF16, Array, Datatype, array_from_values, widened
from inferd.wire.json import decode
from inferd.wire.json_large import LARGE, cut

_DOCUMENT, _CUT_DOCUMENT = msgspec.json.Decoder(Document), msgspec.json.Decoder(CutDocument)
DEPTH = 4  # {"inputs": [{"data": [


class Plan(NamedTuple):
    """What a document asks for all of whose tensors are memory: the same whatever is in it."""

    handle: weakref.ref[Handle]
    inputs: tuple[tuple[Input, tuple[Datatype, int]], ...]
    """Each input, and its datatype and number of elements."""
    rows: int
    outputs: Sequence[str]
    binary: Collection[str]
    parameters: Mapping[str, Any]


class Infer(Operation):
    """``POST /v2/models/{model}/infer``.

    Where *strict*, what only the main port knows better is refused as in Triton: an input of a
    narrower datatype than the model's, FP16 as JSON, an output named twice; and an empty body is
    the memory of an empty input.
    """

    call = InferRequest
    KEPT, LONGEST = 256, 2048  # documents that were read before, and their bytes

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._admit = Checker.admit if strict else Checker.admit_wider
        self._plans: dict[tuple[str, bytes], Plan] = {}
        """By the model's name and the document."""

    def decode(self, message: Message, lookup: Lookup) -> Call:
        body, told = message.body, message.headers.get(HEADER_LENGTH)
        document_size = len(body) if told is None else header_length(told, len(body))
        if not document_size and (self._strict or told is not None):
            return read_raw(body, _handle(message, lookup))
        text = body if document_size == len(body) else bytes(body[:document_size])
        if document_size > LARGE:
            return self._decode_large(text, message, lookup)
        if text is not body and (plan := self._plans.get((message.path["model"], text))):
            handle = _handle(message, lookup)
            if plan.handle() is handle:
                return _follow(plan, handle, Blobs(body, document_size, handle.model))
        document = decode(text, _DOCUMENT)
        handle = _handle(message, lookup)
        admitted = self._admit(handle.checker, layout(document.inputs))
        inputs: dict[str, Array] = {}
        blobs = Blobs(body, document_size, handle.model) if len(body) != document_size else None
        for sent, (datatype, count) in zip(document.inputs, admitted.inputs):  # noqa: B905 - as many
            if sent.data is None:
                blobs = blobs or Blobs(body, document_size, handle.model)
                inputs[sent.name] = blobs.take(sent, datatype, count)
                continue
            if sent.parameters or datatype is FP16 or datatype is BF16:
                check_read(sent, datatype, strict=self._strict)
            try:
                array = array_from_values(sent.name, sent.data, datatype, sent.shape, count)
            except InvalidInput as error:
                raise unparsable(error) from None
            inputs[sent.name] = array
        if not blobs:
            return self._request(handle, document, inputs, admitted)
        blobs.end()
        request = self._request(handle, document, inputs, admitted)
        self._learn(text, document, admitted, request)
        return request

    def encode(self, call: Call, response: Any) -> Payload:
        return write_answer(response)

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_infer(handle) if handle else None

    def _decode_large(self, text: bytes, message: Message, lookup: Lookup) -> InferRequest:
        """As ``decode``, where the document is *text*, some thousand values at a time."""
        pieces = cut(text, DEPTH, flat=True)
        document = decode(pieces.skeleton, _CUT_DOCUMENT)
        handle = _handle(message, lookup)
        admitted = self._admit(handle.checker, layout(document.inputs))
        if [each.data for each in document.inputs if isinstance(each.data, int)] != list(
            range(len(pieces.arrays))
        ):
            raise MalformedRequest(
                "the JSON does not fit: 'data' is no list, or a long list stands elsewhere"
            )
        inputs: dict[str, Array] = {}
        blobs = Blobs(message.body, len(text), handle.model)
        for sent, (datatype, count) in zip(document.inputs, admitted.inputs, strict=True):
            if sent.data is None:
                inputs[sent.name] = blobs.take(sent, datatype, count)
            else:
                check_read(sent, datatype, strict=self._strict)
                inputs[sent.name] = (
                    array_of(sent, sent.data, datatype, count)
                    if isinstance(sent.data, list)
                    else long_array_of(sent, pieces.arrays[sent.data], datatype, count)
                )
        blobs.end()
        return self._request(handle, document, inputs, admitted)

    def _learn(
        self, text: bytes, document: Document, admitted: Admitted, request: InferRequest
    ) -> None:
        """Keep what *text* asks for, if that lies in its memory alone."""
        if (
            type(request) is not FormedRequest
            or len(text) > self.LONGEST
            or request.id
            or request.classes
            or request.priority
            or request.timeout_us
            or admitted.widened
            or any(sent.data is not None for sent in document.inputs)
        ):
            return
        if len(self._plans) >= self.KEPT:  # filled with what does not come again
            self._plans.clear()
        self._plans[request.handle.model, text] = Plan(
            weakref.ref(request.handle),
            tuple(zip(document.inputs, admitted.inputs, strict=True)),
            request.rows,
            request.outputs,
            request.binary,
            request.parameters,
        )

    def _request(
        self,
        handle: Handle,
        document: Document | CutDocument,
        inputs: dict[str, Array],
        admitted: Admitted,
    ) -> InferRequest:
        for name, narrow, wide in admitted.widened:
            inputs[name] = widened(inputs[name], narrow, wide)
        names: Sequence[str]
        raw: Collection[str]
        names, rows, told = handle.checker.output_names, admitted.rows, document.parameters
        if not (told or document.outputs or self._strict):
            return InferRequest(handle, inputs, names, rows, NO_PARAMETERS, document.id)
        parameters, binary = NO_PARAMETERS, False
        if told and len(told) == 1 and told.get(BINARY) is True:
            binary = True  # as tritonclient asks where no outputs are named
        elif told:
            parameters = request_parameters(told)
            binary = parameters.get(BINARY, False)
        if document.outputs:
            wanted = forms(handle, document.outputs, binary=binary, strict=self._strict)
            names, raw, classes = wanted.names, wanted.binary, wanted.classes
        else:
            raw, classes = names if binary else (), NO_CLASSES
        if self._strict:
            told_as_json = [n for n in names if n not in raw and n not in classes]
            check_written(told_as_json, handle.checker.output_datatypes)
        request = (
            FormedRequest(
                handle,
                inputs,
                names,
                rows,
                parameters,
                document.id,
                binary=raw,
                classes=classes,
            )
            if raw or classes
            else InferRequest(handle, inputs, names, rows, parameters, document.id)
        )
        if parameters:
            take_turn(request)
        return request


def _follow(plan: Plan, handle: Handle, blobs: Blobs) -> FormedRequest:
    """The request that *plan* asks for, of the memory in *blobs*."""
    inputs = {sent.name: blobs.take(sent, *sort) for sent, sort in plan.inputs}
    blobs.end()
    _, _, rows, outputs, binary, parameters = plan
    return FormedRequest(handle, inputs, outputs, rows, parameters, binary=binary)


def _handle(message: Message, lookup: Lookup) -> Handle:
    """The version that the URL names. Raises Unsupported where it answers in parts."""
    handle = lookup(message.path["model"], message.path.get("version"))
    if handle.streams:
        raise Unsupported(
            "HTTP end point doesn't support models with decoupled transaction policy",
            cure="The model answers in parts: ask a streaming URL.",
        )
    return handle
