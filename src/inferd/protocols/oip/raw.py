"""A request without a document: the body is the only input's memory."""

from collections.abc import Sequence
from math import prod

import numpy as np

from inferd.calls import Handle
from inferd.errors import InvalidInput
from inferd.protocols.oip.binary import Blobs
from inferd.protocols.oip.request import FormedRequest, Input, InputParameters
from inferd.signature import TensorSpec


def read_raw(body: bytes, handle: Handle) -> FormedRequest:
    """The request that *body* alone makes: one row, where the model counts rows; every output is
    told as memory. Raises InvalidInput where the input's shape cannot be told from its size."""
    specs, model = handle.signature.inputs, handle.model
    if len(specs) != 1:
        raise InvalidInput(
            "Raw request must only have 1 input (found 1) to be deduced but got "
            f"{len(specs)} inputs in '{model}' model configuration"
        )
    spec = specs[0]
    shape = spec.shape if handle.signature.batch_axis is None else (1, *spec.shape[1:])
    blobs = Blobs(body, 0, model)
    if spec.datatype == "BYTES":
        if prod(shape) != 1:
            raise InvalidInput(
                f"For BYTE datatype raw input '{spec.name}', the model must have input shape [1]"
            )
        array = np.array([blobs.text(spec.name, 0, len(body))], np.object_).reshape(shape)
    else:
        parameters = InputParameters(binary_data_size=len(body))
        full = _deduce(spec, shape, len(body))
        sent = Input(spec.name, full, spec.datatype, parameters=parameters)
        array = blobs.take(sent, spec.type, prod(full))
    admitted = handle.checker.admit(((spec.name, spec.datatype, array.shape),))
    names = handle.checker.output_names
    return FormedRequest(handle, {spec.name: array}, names, admitted.rows, {}, binary=names)


def _deduce(spec: TensorSpec, shape: Sequence[int], size: int) -> tuple[int, ...]:
    """*shape*, its only free dimension as long as *size* bytes make it."""
    if sum(d < 0 for d in shape) > 1:
        raise InvalidInput(
            f"The shape of the raw input '{spec.name}' can not be deduced because there are more "
            "than one variable-sized dimension"
        )
    rest = prod([d for d in shape if d >= 0]) * spec.type.numpy.itemsize
    return tuple([d if d >= 0 else size // max(rest, 1) for d in shape])
