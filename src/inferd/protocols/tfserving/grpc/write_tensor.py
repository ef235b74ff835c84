"""Array to TensorProto: an output as an entry of ``outputs``, its values in their typed field, as
clients read them. (tensor.cc, Tensor::AsProtoField)"""

from math import prod
from typing import Any

import numpy as np

from inferd.protocols.tfserving.grpc.dtypes import NUMBERS, VALUES
from inferd.protocols.tfserving.grpc.fields import FIRST_LONG, field, tag, varint
from inferd.signature import Shape, TensorSpec
from inferd.tensors import Array
from inferd.wire.proto import message

TENSOR = "tensorflow.TensorProto"
FEW = 64  # values up to which Python looks at them quicker than numpy
LARGE = 1 << 12  # values from which on one copy of their memory less is worth a look at it


class OutputWriter:
    """Writes one output. One a version and output."""

    KEPT = 256  # shapes; a caller chooses how many rows he sends

    def __init__(self, spec: TensorSpec) -> None:
        self._number, self._values = NUMBERS[spec.datatype], VALUES[spec.datatype]
        self._tag, self._key = tag(self._values.number), field(1, spec.name.encode())
        self._numpy, self._kind = spec.type.numpy, spec.type.numpy.kind
        self._whole = self._kind in "iu"
        self._as_it_lies = spec.datatype in ("FP32", "FP64", "BOOL")
        self._size = self._numpy.itemsize if self._as_it_lies else 1
        self._heads: dict[Shape, bytes] = {}

    def __call__(self, array: Array) -> tuple[Any, ...]:
        """The entry of *array*, in pieces: bytes, and memory of arrays."""
        if self._as_it_lies:
            if array.dtype is not self._numpy:
                array = array.astype(self._numpy)
            memory: Any = array.tobytes() if array.size < LARGE else np.ascontiguousarray(array)
        else:
            memory = _one_byte_each(array) if self._whole else None
            if memory is None:
                return (self._with_others(array),)
        shape = array.shape
        return self._heads.get(shape) or self._head(shape), memory

    def _head(self, shape: Shape) -> bytes:
        """What comes before values that take ``_size`` bytes each."""
        if len(self._heads) >= self.KEPT:  # filled with what does not come again
            self._heads.clear()
        size = prod(shape) * self._size
        before = self._described(shape) + self._tag + varint(size)
        head = self._heads[shape] = self._entry(len(before) + size) + before
        return head

    def _with_others(self, array: Array) -> bytes:
        """The entry with any other values, which protobuf writes."""
        values: list[Any]
        if self._kind == "O":
            values = [_bytes(value) for value in array.ravel().tolist()]
        elif self._kind == "f":
            values = array.astype(np.float16, copy=False).ravel().view(np.uint16).tolist()
        else:
            values = array.ravel().tolist()
        written: bytes = message(TENSOR)(**{self._values.name: values}).SerializeToString()
        tensor = self._described(array.shape) + written
        return self._entry(len(tensor)) + tensor

    def _described(self, shape: Shape) -> bytes:
        """The datatype and the shape; of rank 0, too."""
        tensor = message(TENSOR)(dtype=self._number)
        tensor.tensor_shape.SetInParent()
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        described: bytes = tensor.SerializeToString()
        return described

    def _entry(self, size: int) -> bytes:
        """What comes before a tensor of *size* bytes."""
        inner = self._key + tag(2) + varint(size)
        return tag(1) + varint(len(inner) + size) + inner


def _one_byte_each(array: Array) -> bytes | None:
    """Whole numbers as varints, where each is small; None where one is not."""
    if array.size == 1:  # mostly: the class of one row
        value = array.item()
        return bytes((value,)) if 0 <= value < FIRST_LONG else None
    if array.size <= FEW:
        values = array.ravel().tolist()
        if max(values, default=0) < FIRST_LONG and min(values, default=0) >= 0:
            return bytes(values)
        return None
    if array.max() < FIRST_LONG and array.min() >= 0:
        return array.astype(np.uint8).tobytes()
    return None


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
