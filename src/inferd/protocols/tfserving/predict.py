"""``:predict``: instances or inputs to tensors, and tensors to predictions or outputs."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from inferd.calls import Call, Handle, InferRequest, Lookup
from inferd.errors import InvalidInput
from inferd.protocols.base import Documentation, Message, Operation, Payload, PerHandle
from inferd.protocols.tfserving.answers import columns, one_row, rows
from inferd.protocols.tfserving.body import Body, Long, pieces_of, read_body
from inferd.protocols.tfserving.columns import read_columns
from inferd.protocols.tfserving.document import document_predict
from inferd.protocols.tfserving.places import Place
from inferd.protocols.tfserving.rows import read_rows
from inferd.protocols.tfserving.signatures import DEFAULT, signatures
from inferd.signature import TensorSpec
from inferd.tensors import Array, Datatype

NO_PARAMETERS: dict[str, Any] = {}


class PredictRequest(InferRequest, eq=False):
    """An InferRequest that remembers the form of its answer."""

    by_rows: bool = True


class Quick:
    """Reads the commonest of requests at once: rows of one list of numbers each, for the only
    input."""

    def __init__(self, handle: Handle) -> None:
        inputs = handle.signature.inputs
        self.width = -1
        if len(inputs) == 1 and len(inputs[0].shape) == 2 and handle.signature.batch_axis == 0:
            spec: TensorSpec = inputs[0]
            self.width, self.name = spec.shape[1], spec.name
            datatype: Datatype = spec.type
            self.values, self.numpy = datatype.values, datatype.numpy

    def read(self, rows: Any) -> Array | None:
        """The input that one row means; None where it is not so."""
        row = rows[0]
        if type(row) is list and len(row) == self.width and self.values.issuperset(map(type, row)):
            try:
                return np.array(rows, self.numpy)
            except (OverflowError, RuntimeWarning):
                pass  # told, or done without a warning, by who reads any
        return None


quick = PerHandle(Quick)


class Predict(Place, Operation):
    """``POST .../{model}:predict``."""

    call = InferRequest
    method, suffix = "POST", ":predict"

    def decode(self, message: Message, lookup: Lookup) -> Call:
        body = read_body(message.body)
        name = body.signature()
        handle = self.find(message, lookup)
        instances = body.instances
        one = type(instances) is list and len(instances) == 1
        if one and name is DEFAULT and body.inputs is msgspec.UNSET:
            fit = quick(handle)
            array = fit.read(instances)
            if array is not None:
                outputs = handle.checker.output_names
                return PredictRequest(handle, {fit.name: array}, outputs, 1, NO_PARAMETERS)
        return _request(handle, body, name)

    def encode(self, call: Call, response: Any) -> Payload:
        request, outputs = response.request, response.outputs
        if not request.by_rows:
            return Payload(columns(outputs))
        if request.rows == 1:
            form = one_row(request.handle)
            if form.fits:
                return Payload(form.write(outputs))
        return Payload(rows(outputs))

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_predict(handle) if handle else None


def _request(handle: Handle, body: Body, name: str) -> PredictRequest:
    """What *body* asks of the signature *name*. Raises InvalidInput."""
    known = signatures(handle)
    known.by_tensors(name)
    specs = known.inputs
    by_rows = body.instances is not msgspec.UNSET
    if by_rows and body.inputs is not msgspec.UNSET:
        raise InvalidInput(
            f"JSON Value: {body.shown()} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if by_rows:
        inputs = read_rows(_instances(body), specs)
    elif body.inputs is msgspec.UNSET:
        raise InvalidInput("Missing 'inputs' or 'instances' key")
    else:
        inputs = read_columns(body.inputs, specs)
    admitted = handle.checker.admit(
        tuple([(name, specs[name].datatype, array.shape) for name, array in inputs.items()])
    )
    return PredictRequest(
        handle,
        inputs,
        handle.checker.output_names,
        admitted.rows,
        NO_PARAMETERS,
        by_rows=by_rows,
    )


def _instances(body: Body) -> Iterator[list[Any]]:
    """The pieces of the instances, of which there must be some. Raises InvalidInput."""
    if type(body.instances) not in (list, Long):
        raise InvalidInput(f"JSON Value: {body.shown()} Expecting 'instances' to be an list/array")
    pieces = pieces_of(body.instances)
    first = next(pieces)
    if not first:
        raise InvalidInput(f"JSON Value: {body.shown()} No values in 'instances' array")
    return chain([first], pieces)
