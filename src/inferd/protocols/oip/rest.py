"""An inference of the Open Inference Protocol over HTTP: which part of a body is read by whom."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.clock import Nanoseconds, monotonic_ns
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
    FOREVER,
    NO_PARAMETERS,
    deadline,
    request_parameters,
)
from inferd.protocols.oip.raw import read_raw
from inferd.protocols.oip.request import (
    NO_CLASSES,
    CutDocument,
    Document,
    FormedRequest,
    forms,
    layout,
)
from inferd.signature import Admitted, Checker
from inferd.tensors import BF16, Array, array_from_values, widened
from inferd.wire.json import decode
from inferd.wire.json_large import LARGE, cut

_DOCUMENT, _CUT_DOCUMENT = msgspec.json.Decoder(Document), msgspec.json.Decoder(CutDocument)
DEPTH = 4  # {"inputs": [{"data": [


class Infer(Operation):
    """``POST /v2/models/{model}/infer``.

    Where *strict*, what only the main port knows better is refused as in Triton: an input of a
    narrower datatype than the model's, FP16 as JSON, an output named twice; and an empty body is
    the memory of an empty input.
    """

    call = InferRequest

    def __init__(self, *, strict: bool = False, clock: Nanoseconds = monotonic_ns) -> None:
        self._strict, self._clock = strict, clock
        self._admit = Checker.admit if strict else Checker.admit_wider

    def decode(self, message: Message, lookup: Lookup) -> Call:
        body, headers = message.body, message.headers
        document_size = len(body)
        if HEADER_LENGTH in headers:
            document_size = header_length(headers[HEADER_LENGTH], document_size)
        if not document_size and (self._strict or HEADER_LENGTH in headers):
            return read_raw(body, _handle(message, lookup))
        text = body if document_size == len(body) else body[:document_size]
        if document_size > LARGE:
            return self._decode_large(text, message, lookup)
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
        if blobs:
            blobs.end()
        return self._request(handle, document, inputs, admitted)

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
        parameters, until, binary = NO_PARAMETERS, FOREVER, False
        if told and len(told) == 1 and told.get(BINARY) is True:
            binary = True  # as tritonclient asks where no outputs are named
        elif told:
            parameters = request_parameters(told)
            until, binary = deadline(parameters, self._clock), parameters.get(BINARY, False)
        if document.outputs:
            wanted = forms(handle, document.outputs, binary=binary, strict=self._strict)
            names, raw, classes = wanted.names, wanted.binary, wanted.classes
        else:
            raw, classes = names if binary else (), NO_CLASSES
        if self._strict:
            told_as_json = [n for n in names if n not in raw and n not in classes]
            check_written(told_as_json, handle.checker.output_datatypes)
        if not (raw or classes):
            return InferRequest(handle, inputs, names, rows, parameters, document.id, until)
        return FormedRequest(
            handle, inputs, names, rows, parameters, document.id, until, raw, classes
        )


def _handle(message: Message, lookup: Lookup) -> Handle:
    """The version that the URL names. Raises Unsupported where it answers in parts."""
    handle = lookup(message.path["model"], message.path.get("version"))
    if handle.streams:
        raise Unsupported(
            "HTTP end point doesn't support models with decoupled transaction policy",
            cure="The model answers in parts: ask a streaming URL.",
        )
    return handle
