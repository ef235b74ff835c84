"""``:classify`` and ``:regress``: Examples to scores or values."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.tfserving.body import Body, Long, pieces_of, read_body
from inferd.protocols.tfserving.document import document_examples
from inferd.protocols.tfserving.examples import (
    NOTHING,
    Example,
    check_shared,
    read_example,
    rows_of,
)
from inferd.protocols.tfserving.places import Place
from inferd.protocols.tfserving.signatures import CLASSIFY, REGRESS, ExamplesPlan, signatures
from inferd.tensors import Array
from inferd.wire.json_tfserving import encode_text, write, write_rows

NO_PARAMETERS: dict[str, Any] = {}
"""Of all requests."""


class ExamplesRequest(InferRequest, eq=False, kw_only=True):
    """An InferRequest that remembers how it was asked."""

    plan: ExamplesPlan


class _ByExamples(Place, Operation):
    """Reads Examples for a signature of ``kind``."""

    call = InferRequest
    method = "POST"
    kind: str

    def decode(self, message: Message, lookup: Lookup) -> Call:
        body = read_body(message.body)
        name = body.signature()
        shared = NOTHING if body.context is msgspec.UNSET else read_example(body.context)
        pieces = list(_examples(body))  # all of them, before the model is even looked for
        handle = self.find(message, lookup)
        plan = signatures(handle).by_examples(name, self.kind)
        check_shared(sum(map(len, pieces)), plan, shared)
        parts, rows = [], 0
        for piece in pieces:
            parts.append(handle.reader.many(rows_of(piece, plan, rows, shared), rows))
            rows += len(piece)
        inputs = parts[0] if len(parts) == 1 else _joined(parts)
        return ExamplesRequest(handle, inputs, (plan.output,), rows, NO_PARAMETERS, plan=plan)

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_examples(handle, self.kind) if handle else None


class Classify(_ByExamples):
    """``POST .../{model}:classify``: the classes' names and scores, in the order of the classes."""

    suffix, kind = ":classify", CLASSIFY

    def encode(self, call: Call, response: Any) -> Payload:
        scores = answered(response)
        width = scores.shape[1]
        labels = [encode_text(name) for name in class_names(response.request.plan, width)]
        pairs = [b"[" + label.replace(b"%", b"%%") + b",%b]" for label in labels]
        form = b"[" + b",".join(pairs) + b"]"
        written = write_rows(scores.ravel())
        rows = [form % tuple(written[at : at + width]) for at in range(0, len(written), width or 1)]
        return Payload(b'{"results":[' + b",".join(rows) + b"]}")


class Regress(_ByExamples):
    """``POST .../{model}:regress``: a value for each Example."""

    suffix, kind = ":regress", REGRESS

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b'{"results":' + write(answered(response).ravel()) + b"}")


def _examples(body: Body) -> Iterator[list[Example]]:
    """The Examples of *body* in pieces. Raises InvalidInput."""
    examples = body.examples
    if examples is msgspec.UNSET:
        raise InvalidInput(
            f"JSON Value: {body.shown()} When method is classify, key 'examples' is expected and "
            "was not found"
        )
    if type(examples) not in (list, Long):
        raise InvalidInput(
            f"JSON Value: {body.shown()} Expecting 'examples' value to be an list/array"
        )
    some = False
    for piece in pieces_of(examples):
        some = some or bool(piece)
        yield [read_example(each) for each in piece]
    if not some:
        raise InvalidInput(f"JSON Value: {body.shown()} 'examples' value is an empty array")


def _joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def answered(response: Any, output: str | None = None) -> Array:
    """The *output*, or the only one, in the precision that the protocol has for it."""
    array = next(iter(response.outputs.values())) if output is None else response.outputs[output]
    with np.errstate(over="ignore"):
        answer: Array = array.astype(np.float32, copy=False)
    return answer


def class_names(plan: ExamplesPlan, width: int) -> Sequence[str]:
    """The classes' names, where there is one for each of *width* scores; else nothing for each."""
    return plan.classes if len(plan.classes) == width else ("",) * width
