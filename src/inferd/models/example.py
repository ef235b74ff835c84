"""One row that a model accepts: the exporter's own where the artifact holds one, otherwise made
from the signature."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from inferd.errors import InvalidInput
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array, array_from_values, flatten


def example_inputs(signature: Signature, given: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays by input name, of one row; *given* holds nested lists, and is left aside where it does
    not fit."""
    return {spec.name: _given(spec, given.get(spec.name)) for spec in signature.inputs}


def repeat_rows(inputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """The same row *rows* times."""
    return {name: np.repeat(array[:1], rows, axis=0) for name, array in inputs.items()}


def _given(spec: TensorSpec, values: Any) -> Array:
    shape = tuple(max(d, 1) for d in spec.shape)
    if values is None:
        return _made(spec, shape)
    try:
        flat = flatten(values)
        # One free dimension beside the batch takes whatever length the exporter's row has.
        free = [at for at, d in enumerate(spec.shape) if d < 0 and at > 0]
        if len(free) == 1:
            length = len(flat) // prod(d for d in spec.shape if d > 0)
            shape = (*shape[: free[0]], length, *shape[free[0] + 1 :])
        return array_from_values(spec.name, flat, spec.type, shape, prod(shape))
    except InvalidInput:
        return _made(spec, shape)


def _made(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    return np.full(shape, "" if spec.datatype == "BYTES" else 0, spec.type.numpy)
