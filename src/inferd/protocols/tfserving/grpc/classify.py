"""``Classify`` and ``Regress``: Examples to scores or values. (classification_service.cc,
regression_service.cc)"""

from typing import Any, ClassVar

from inferd.calls import Call, InferRequest, Lookup
from inferd.protocols.base import Message, Method, Payload
from inferd.protocols.tfserving.classify import NO_PARAMETERS, ExamplesRequest, answered
from inferd.protocols.tfserving.grpc import fields
from inferd.protocols.tfserving.grpc.examples import read_input
from inferd.protocols.tfserving.grpc.model_spec import check_present, find_asked, told
from inferd.protocols.tfserving.grpc.results import result
from inferd.protocols.tfserving.signatures import CLASSIFY, DEFAULT, REGRESS, signatures


class SignedRequest(ExamplesRequest, eq=False, kw_only=True):
    """An InferRequest that remembers the signature by which it was asked."""

    signature: str


class _ByExamples(Method):
    """Reads Examples for a signature of ``kind``."""

    call = InferRequest
    message: ClassVar[str]
    kind: ClassVar[str]

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = fields.read(self.message, message.body)
        check_present(request)
        spec = request.model_spec
        handle = find_asked(lookup, spec)
        name = spec.signature_name or DEFAULT
        plan = signatures(handle).by_examples(name, self.kind)
        inputs, rows = read_input(request.input, plan, handle)
        return SignedRequest(
            handle, inputs, (plan.output,), rows, NO_PARAMETERS, plan=plan, signature=name
        )

    def encode(self, call: Call, response: Any) -> Payload:
        request = response.request
        written = result(request.plan, answered(response))
        spec = told(request.handle, request.signature)
        return Payload(fields.field(1, written) + fields.field(2, spec))


class Classify(_ByExamples):
    """``PredictionService/Classify``."""

    message, kind = "tensorflow.serving.ClassificationRequest", CLASSIFY


class Regress(_ByExamples):
    """``PredictionService/Regress``."""

    message, kind = "tensorflow.serving.RegressionRequest", REGRESS
