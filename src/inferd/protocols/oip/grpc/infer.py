"""An inference over gRPC: one message in, one out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InferdError, InvalidInput, Unsupported, WrongDatatype, short
from inferd.protocols.base import Message, Method, Payload
from inferd.protocols.oip.binary import Blobs
from inferd.protocols.oip.grpc.answers import write_answer
from inferd.protocols.oip.grpc.contents import check_contents, read_contents
from inferd.protocols.oip.grpc.names import model_of, version_of
from inferd.protocols.oip.grpc.parameters import REGION, read_output, read_parameters
from inferd.protocols.oip.grpc.plans import Plans
from inferd.protocols.oip.grpc.reading import read
from inferd.protocols.oip.parameters import NO_PARAMETERS, take_turn
from inferd.protocols.oip.request import (
    NO_CLASSES,
    FormedRequest,
    Input,
    InputParameters,
    Wanted,
    forms,
)
from inferd.protocols.oip.texts import triton_text
from inferd.signature import ANY_BY_NAME, Admitted, Checker, Layout
from inferd.tensors import Array, widened

REQUEST = "inference.ModelInferRequest"


class ModelInfer(Method):
    """``ModelInfer``: a model that answers in parts is not asked so.

    Where *strict*, what only the main port knows better is refused as in Triton, or passed over as
    there: an input of a narrower datatype than the model's, FP16 as typed contents, an output named
    twice; and memory for more inputs than there are is ignored.
    """

    call = InferRequest

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._admit = Checker.admit if strict else Checker.admit_wider
        self._plans = Plans()

    def decode(self, message: Message, lookup: Lookup) -> Call:
        planned = self._plans.follow(message.body, lookup)
        if planned is not None:
            return planned
        sent = read(REQUEST, message.body)
        version = version_of(sent.model_version, strict=self._strict)
        handle = lookup(model_of(sent.model_name), version)
        self._check_parts(handle)
        try:
            return self._request(sent, handle, message.body)
        except InvalidInput as error:
            raise InvalidInput(infer_text(error, handle.model)) from None

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(write_answer(response))

    def _check_parts(self, handle: Handle) -> None:
        if handle.streams:
            raise Unsupported(
                "ModelInfer RPC doesn't support models with decoupled transaction policy",
                cure="The model answers in parts: ask ModelStreamInfer.",
            )

    def _request(self, sent: Any, handle: Handle, body: bytes) -> InferRequest:
        parameters = NO_PARAMETERS
        if sent.parameters:
            parameters = read_parameters(sent.parameters, strict=self._strict)
        inputs, blobs = sent.inputs, sent.raw_input_contents
        self._check_sources(inputs, len(blobs), handle.model)
        layout: Layout = tuple([(each.name, each.datatype, tuple(each.shape)) for each in inputs])
        admitted = self._admit(handle.checker, layout)
        arrays = _arrays(sent, layout, admitted, handle.model)
        names: Sequence[str] = handle.checker.output_names
        classes: Mapping[str, int] = NO_CLASSES
        if sent.outputs:
            wanted = [
                Wanted(each.name, read_output(each.parameters, strict=self._strict))
                for each in sent.outputs
            ]
            told = forms(handle, wanted, binary=True, strict=self._strict)
            names, classes = told.names, told.classes
        known = handle, arrays, names, admitted.rows, parameters, sent.id
        if classes:
            request: InferRequest = FormedRequest(*known, binary=names, classes=classes)
        else:
            request = InferRequest(*known)
        if parameters:
            take_turn(request)
        waits_like_all = not (request.priority or request.timeout_us)
        in_memory = len(blobs) == len(inputs)
        if in_memory and waits_like_all and not (admitted.widened or classes):
            self._plans.learn(body, sent, request, [datatype for datatype, _ in admitted.inputs])
        return request

    def _check_sources(self, inputs: Collection[Any], blobs: int, model: str) -> None:
        """Raise InvalidInput unless exactly one place is told for the elements of each input."""
        for at, sent in enumerate(inputs):
            if REGION in sent.parameters:
                raise InvalidInput(
                    "shared memory is not read",
                    expected=f"raw_input_contents or contents of input {short(sent.name)!r}",
                )
            if sent.HasField("contents"):
                if blobs:
                    raise InvalidInput(
                        "contents field must not be specified when using raw_input_contents for "
                        f"'{short(sent.name)}' for model '{model}'"
                    )
                check_contents(sent, model, strict=self._strict)
            elif at >= blobs:
                raise InvalidInput(
                    f"unable to find data for input tensor '{short(sent.name)}' for model "
                    f"'{model}' in request."
                )
        if blobs > len(inputs) and not self._strict:
            raise InvalidInput(f"unexpected additional input data for model '{model}'")


def _arrays(sent: Any, layout: Layout, admitted: Admitted, model: str) -> dict[str, Array]:
    """The inputs of the message *sent*, which was admitted."""
    arrays: dict[str, Array] = {}
    blobs = sent.raw_input_contents
    for at, (datatype, count) in enumerate(admitted.inputs):
        name, told, shape = layout[at]
        if blobs:
            blob = blobs[at]
            lying = Input(name, shape, told, parameters=InputParameters(len(blob)))
            arrays[name] = Blobs(blob, 0, model).take(lying, datatype, count)
        else:
            arrays[name] = read_contents(sent.inputs[at], datatype, count, shape, model)
    for name, narrow, wide in admitted.widened:
        arrays[name] = widened(arrays[name], narrow, wide)
    return arrays


def infer_text(error: InferdError, model: str) -> str:
    """What Triton says over gRPC of *error* about a request for *model*."""
    if isinstance(error, WrongDatatype) and error.got not in ANY_BY_NAME:
        expects = f"but model '{model}' expects '{error.expected}'"
        return f"inference input '{error.name}' data-type is '<invalid>', {expects}"
    return triton_text(error, model)
