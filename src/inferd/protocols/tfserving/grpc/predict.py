"""``Predict``: named tensors to a request, and outputs to named tensors. (predict_util.cc)"""

from collections.abc import Iterable, Sequence
from heapq import nsmallest
from typing import Any

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import Code, InvalidInput
from inferd.protocols.base import Message, Method, Payload, PerHandle
from inferd.protocols.tfserving.grpc import fields
from inferd.protocols.tfserving.grpc.model_spec import check_present, find_asked, told
from inferd.protocols.tfserving.grpc.read_tensor import TensorReader
from inferd.protocols.tfserving.grpc.write_tensor import OutputWriter
from inferd.protocols.tfserving.signatures import DEFAULT, signatures
from inferd.signature import Shape
from inferd.tensors import Array

NO_PARAMETERS: dict[str, Any] = {}


class SignatureNotFound(InvalidInput):
    """A signature that the model lacks, which this method tells in words and a code of its own."""

    code = Code.FAILED_PRECONDITION


class TensorsRequest(InferRequest, eq=False, kw_only=True):
    """An InferRequest that remembers in which order its outputs were asked for, and how they are
    written."""

    wanted: Sequence[str]
    plan: "Plan"


class Predict(Method):
    """``PredictionService/Predict``."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = fields.read("tensorflow.serving.PredictRequest", message.body)
        spec = request.model_spec
        if not spec.name:
            check_present(request)
        handle = find_asked(lookup, spec)
        if spec.signature_name not in _DEFAULTS:
            _check_signature(handle, spec.signature_name)
        plan = plan_of(handle)
        tensors = plan.tensors(request.inputs)
        outputs = wanted = handle.checker.output_names
        if len(asked := request.output_filter):
            wanted = _checked(asked, outputs)
            outputs = tuple([name for name in outputs if name in wanted])
        inputs, rows = plan.read(tensors)
        return TensorsRequest(
            handle, inputs, outputs, rows, NO_PARAMETERS, wanted=wanted, plan=plan
        )

    def encode(self, call: Call, response: Any) -> Payload:
        request, outputs = response.request, response.outputs
        plan: Plan = request.plan
        pieces: list[Any] = []
        writers = plan.writers
        for name in request.wanted:
            pieces += writers[name](outputs[name])
        return Payload(b"".join([*pieces, plan.spec]))


_DEFAULTS = frozenset({"", DEFAULT})


class Plan:
    """What is known of one version: how its inputs are read and its outputs written."""

    KEPT, MOST_SHAPE = 256, 128  # shapes of an only input, and the bytes of one

    def __init__(self, handle: Handle) -> None:
        own = handle.signature
        self._admit, self._names = handle.checker.admit, own.input_names
        self._readers = [TensorReader(spec, place) for place, spec in enumerate(own.inputs)]
        self._known: dict[bytes, tuple[Shape, int, int]] = {}
        self.writers = {spec.name: OutputWriter(spec) for spec in own.outputs}
        self.spec = fields.field(2, told(handle, DEFAULT))
        """The ModelSpec of its answers."""

    def tensors(self, sent: Any) -> list[Any]:
        """The tensors of a request, in the signature's order. Raises InvalidInput."""
        if len(sent) != len(self._names):
            raise self._wrong_size(sent)
        found = [sent.get(name) for name in self._names]
        if None in found:
            raise self._missing(self._names[found.index(None)], sent)
        return found

    def read(self, tensors: Sequence[Any]) -> tuple[dict[str, Array], int]:
        """Their values by name, and the number of rows. Raises InvalidInput."""
        if len(tensors) == 1:  # mostly
            return self._read_only(tensors[0])
        layout = tuple(
            [
                (reader.name, reader.datatype, reader.shape(tensor))
                for reader, tensor in zip(self._readers, tensors, strict=True)
            ]
        )
        rows, admitted, _ = self._admit(layout)
        counts = [count for _, count in admitted]
        read = {
            name: reader.read(tensor, shape, count)
            for (name, _, shape), reader, tensor, count in zip(
                layout, self._readers, tensors, counts, strict=True
            )
        }
        return read, rows

    def _read_only(self, tensor: Any) -> tuple[dict[str, Array], int]:
        (reader,) = self._readers
        sent = tensor.tensor_shape.SerializeToString()  # quicker than looking at its dimensions
        known = self._known.get(sent)
        if known is None or tensor.dtype != reader.number:
            shape = reader.shape(tensor)
            rows, ((_, count),), _ = self._admit(((reader.name, reader.datatype, shape),))
            known = shape, rows, count
            if len(sent) <= self.MOST_SHAPE:
                if len(self._known) >= self.KEPT:  # filled with what does not come again
                    self._known.clear()
                self._known[sent] = known
        shape, rows, count = known
        return {reader.name: reader.read(tensor, shape, count)}, rows

    def _wrong_size(self, sent: Iterable[str]) -> InvalidInput:
        got, expected = set(sent), set(self._names)
        return InvalidInput(
            f"input size does not match signature: {len(got)}!={len(expected)} "
            f"len({_set(got)}) != len({_set(expected)}). Sent extra: {_set(got - expected)}. "
            f"Missing but required: {_set(expected - got)}."
        )

    def _missing(self, name: str, sent: Iterable[str]) -> InvalidInput:
        return InvalidInput(
            f"Signature input alias: {name}(feed name: {name}:0) not found in request and no "
            f"default value provided. Inputs expected to be in the request {_set(sent)}, or "
            "default input alias set: "
        )


plan_of = PerHandle(Plan)


def _check_signature(handle: Handle, name: str) -> None:
    """Raise unless the signature *name* takes tensors; only the default one does."""
    found = signatures(handle).defs.get(name)
    if found is None:
        raise SignatureNotFound(f'Serving signature key "{name}" not found.')
    method = found.method.rpartition("/")[2].capitalize()
    raise SignatureNotFound(f'Serving signature "{name}" takes Examples; ask {method}')


def _checked(asked: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The outputs that were *asked* for, in that order."""
    found: dict[str, None] = {}
    for name in asked:
        if name not in known:
            raise InvalidInput(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {_set(known)}."
            )
        if name in found:
            raise InvalidInput(f"duplicate output tensor alias: {name}")
        found[name] = None
    return tuple(found)


def _set(names: Iterable[str]) -> str:
    """Names as texts list them: as many as a status can tell."""
    return "{" + ",".join(nsmallest(SHOWN, names)) + "}"


SHOWN = 512
