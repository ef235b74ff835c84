"""``MultiInference``: several signatures of one model asked with the same Examples, by one run.
(multi_inference.cc)"""

from collections.abc import Sequence
from typing import Any

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput, Unsupported
from inferd.protocols.base import Message, Method, Payload
from inferd.protocols.tfserving.classify import NO_PARAMETERS, answered
from inferd.protocols.tfserving.grpc import fields
from inferd.protocols.tfserving.grpc.examples import read_input
from inferd.protocols.tfserving.grpc.model_spec import NO_NAME, find_asked, told
from inferd.protocols.tfserving.grpc.results import result
from inferd.protocols.tfserving.signatures import (
    CLASSIFY,
    DEFAULT,
    REGRESS,
    ExamplesPlan,
    signatures,
)

RESULTS = {CLASSIFY: 2, REGRESS: 3}
"""The field of an InferenceResult, by the method that was asked."""


class TasksRequest(InferRequest, eq=False):
    """An InferRequest that remembers its tasks, each by its signature and how it is answered."""

    tasks: Sequence[tuple[str, ExamplesPlan]] = ()


class MultiInference(Method):
    """``PredictionService/MultiInference``. The first task's ModelSpec picks the version."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = fields.read("tensorflow.serving.MultiInferenceRequest", message.body)
        if not len(request.tasks):
            raise InvalidInput(NO_NAME)
        handle = find_asked(lookup, request.tasks[0].model_spec)
        tasks = _tasks(request.tasks, handle)
        plans = [plan for _, plan in tasks]
        inputs, rows = read_input(request.input, plans[0], handle)
        asked = {plan.output for plan in plans}
        outputs = tuple([name for name in handle.checker.output_names if name in asked])
        return TasksRequest(handle, inputs, outputs, rows, NO_PARAMETERS, tasks=tasks)

    def encode(self, call: Call, response: Any) -> Payload:
        request = response.request
        written = []
        for name, plan in request.tasks:
            spec = fields.field(1, told(request.handle, name))
            each = result(plan, answered(response, plan.output))
            written.append(fields.field(1, spec + fields.field(RESULTS[plan.method], each)))
        return Payload(b"".join(written))


def _tasks(sent: Any, handle: Handle) -> list[tuple[str, ExamplesPlan]]:
    """The signature and the plan of each task. Raises InvalidInput or Unsupported."""
    known = signatures(handle)
    found: dict[str, ExamplesPlan] = {}
    for task in sent:
        model, name = task.model_spec.name, task.model_spec.signature_name or DEFAULT
        if not model:
            raise InvalidInput("Found ModelSpec with an empty model name.")
        if model != handle.model:
            raise InvalidInput(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        if name in found:
            raise InvalidInput(f"Duplicate evaluation of signature: {name}")
        if name not in known.defs:
            raise InvalidInput(f"Requested signature not found in model graph: {name}")
        if task.method_name not in RESULTS:
            raise Unsupported(f"Unsupported signature method_name: {task.method_name}")
        found[name] = known.by_examples(name, task.method_name)
    return list(found.items())
