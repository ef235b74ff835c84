"""The column form: ``inputs``, each tensor whole. (json_tensor.cc, FillTensorMapFromInputsMap)"""

from typing import Any

import numpy as np

from inferd.errors import InvalidInput
from inferd.protocols.tfserving.body import Long
from inferd.protocols.tfserving.json_tensors import is_b64, leaves, shape_of, uniform, vector
from inferd.protocols.tfserving.rows import Specs
from inferd.signature import TensorSpec
from inferd.tensors import Array

PLAIN_VALUE = (
    "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
    "per tensorinfo_map"
)


def read_columns(value: Any, specs: Specs) -> dict[str, Array]:
    """The inputs that *value* means. Raises InvalidInput."""
    if type(value) is not dict or is_b64(value):
        if len(specs) > 1:
            raise InvalidInput(PLAIN_VALUE)
        ((name, spec),) = specs.items()
        return {name: _tensor(value, spec)}
    arrays = {}
    for name, spec in specs.items():
        if name not in value:
            raise InvalidInput(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = _tensor(value[name], spec)
    return arrays


def _tensor(value: Any, spec: TensorSpec) -> Array:
    if isinstance(value, Long):
        return _joined([_whole(piece, spec) for piece in value])
    return _whole(value, spec)


def _whole(value: Any, spec: TensorSpec) -> Array:
    shape, datatype = shape_of(value), spec.type
    found = uniform(value, shape, datatype) if shape else None
    if found is None:
        found = leaves(value, shape, datatype)
    return vector(found, datatype).reshape(shape)


def _joined(parts: list[Array]) -> Array:
    """The pieces of one long list."""
    inner = parts[0].shape[1:]
    for part in parts:
        if part.shape[1:] != inner:
            raise InvalidInput(
                f"Encountered list of unexpected shape: {list(part.shape[1:])} "
                f"expected: {list(inner)}"
            )
    return np.concatenate(parts)
