"""TensorProto to array: its memory as it lies, or its typed values, the last of which stands for
all that were not sent. (tensor.cc, Tensor::FromProto)"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.errors import InvalidInput, WrongValue, short
from inferd.protocols.tfserving.grpc.dtypes import NUMBERS, VALUES, dtype_text, is_dtype
from inferd.protocols.tfserving.grpc.fields import FIRST_LONG, tag, varint
from inferd.signature import Shape, TensorSpec
from inferd.tensors import Array, shaped

MOST_REPEATED = 1 << 20
"""Bytes that values which were not sent may take: as much as a packed body may unpack to, however
small it is. A shape costs its sender nothing."""

LARGE = 16
"""Values from which on a list's own bytes are quicker to get at than its values."""


class TensorReader:
    """Reads one input. One a version and input."""

    def __init__(self, spec: TensorSpec, place: int) -> None:
        datatype = spec.type
        self.name, self.datatype, self.number = spec.name, spec.datatype, NUMBERS[spec.datatype]
        self._numpy, self._field, self._place = datatype.numpy, VALUES[spec.datatype], place
        as_it_lies = spec.datatype not in ("BOOL", "BYTES")
        self._size = datatype.numpy.itemsize if as_it_lies else 0
        """Of an element whose memory is that of arrays; 0 for others."""

    def shape(self, tensor: Any) -> Shape:
        """The shape that *tensor*, of this input's datatype, has. Raises InvalidInput."""
        if tensor.dtype != self.number:
            raise self._wrong_dtype(tensor.dtype)
        shape = tuple([dimension.size for dimension in tensor.tensor_shape.dim])
        if min(shape, default=0) < 0:
            raise self._unfit("a negative dimension", "a shape")
        return shape

    def read(self, tensor: Any, shape: Shape, count: int) -> Array:
        """The values of *tensor*, of *count* elements; not to be written to.

        Raises InvalidInput, before anything of the shape's size is allocated.
        """
        content = tensor.tensor_content
        if content:
            if len(content) == count * self._size:  # mostly
                return np.ndarray(shape, self._numpy, content)
            return shaped(self.name, self._of_content(content, count), shape)
        return shaped(self.name, self._of_values(tensor, count), shape)

    def _of_content(self, content: bytes, count: int) -> Array:
        if self.datatype == "BYTES":
            return self._texts(self._cut(content, count))
        size = count * self._numpy.itemsize
        if len(content) != size:
            raise self._unfit(f"{len(content)} bytes of tensor_content", f"{size}")
        octets = np.frombuffer(content, np.uint8)
        if octets.max(initial=0) > 1:
            raise self._unfit("a byte of tensor_content that is neither 0 nor 1", "truth values")
        truths: Array = octets.view(np.bool_)
        return truths

    def _cut(self, content: bytes, count: int) -> list[bytes]:
        """The strings of a tensor_content: the lengths of all, then all of them."""
        lengths, at, end = [], 0, len(content)
        for _ in range(count if count <= end else 0):
            length, shift = 0, 0
            while at < end and shift < LONGEST_LENGTH:
                byte = content[at]
                at, length, shift = at + 1, length | (byte & 0x7F) << shift, shift + 7
                if byte < FIRST_LONG:
                    lengths.append(length)
                    break
            else:
                break
        if len(lengths) != count or at + sum(lengths) != end:
            raise self._unfit(
                f"{end} bytes of tensor_content", f"the lengths of {count} strings, and the strings"
            )
        found = []
        for length in lengths:
            found.append(content[at : at + length])
            at += length
        return found

    def _of_values(self, tensor: Any, count: int) -> Array:
        values = getattr(tensor, self._field.name)
        sent = len(values)
        if sent > count:
            raise self._unfit(f"{sent} values of {self._field.name}", f"{count}")
        if sent < count:
            self._check_repeated(values, sent, count)
        array = self._array(tensor, values, sent)
        if sent == count:
            return array
        whole = np.zeros(count, self._numpy)  # zeros, where nothing was sent
        if self.datatype == "BYTES":
            whole[:] = ""
        whole[:sent] = array
        if sent:
            whole[sent:] = array[-1]
        return whole

    def _check_repeated(self, values: Any, sent: int, count: int) -> None:
        size = self._numpy.itemsize
        if self.datatype == "BYTES" and sent:
            size = max(size, len(values[-1]))
        if (count - sent) * size > MOST_REPEATED:
            raise self._unfit(
                f"{sent} values for {count} elements",
                f"all of them, or the last to stand for at most {MOST_REPEATED} bytes",
            )

    def _array(self, tensor: Any, values: Any, count: int) -> Array:
        """The *count* values of the field."""
        if self.datatype == "BYTES":
            return self._texts(values)
        if count >= LARGE and self.datatype in _PACKED_AS_THEY_LIE:
            array = self._packed(tensor, count)
            if array is not None:
                return array
        half = self.datatype == "FP16"
        try:
            array = np.fromiter(values, np.uint16 if half else self._numpy, count)
        except OverflowError:
            raise WrongValue(self.name, "an integer out of range", self.datatype) from None
        return array.view(np.float16) if half else array

    def _packed(self, tensor: Any, count: int) -> Array | None:
        """The same, from the field's bytes: a hundredth of the time. None where they do not stand
        where they should."""
        kept = self._field.name
        for known, _ in tensor.ListFields():
            if known.name != kept:
                tensor.ClearField(known.name)
        packed = tensor.SerializeToString()
        size = count * self._numpy.itemsize
        head = tag(self._field.number) + varint(size)
        if not packed.startswith(head):
            return None
        array: Array = np.frombuffer(packed, self._numpy, count, len(head))
        # Compiled loops may take elements to be where the C standard has them.
        return array if array.flags.aligned else array.copy()

    def _texts(self, values: Sequence[bytes]) -> Array:
        found = np.empty(len(values), np.object_)
        try:
            found[:] = [value.decode() for value in values]
        except UnicodeDecodeError:
            raise InvalidInput(
                f"a string of input {short(self.name)!r} is not text",
                expected="UTF-8: models take strings of text only",
            ) from None
        return found

    def _wrong_dtype(self, number: int) -> InvalidInput:
        if not is_dtype(number):
            return self._unfit(f"the dtype {number}", dtype_text(self.number))
        return InvalidInput(
            f"input {short(self.name)!r}: Expects arg[{self._place}] to be "
            f"{dtype_text(self.number)} but {dtype_text(number)} is provided"
        )

    def _unfit(self, got: str, expected: str) -> InvalidInput:
        return InvalidInput(f"tensor parsing error: {self.name}", got=got, expected=expected)


LONGEST_LENGTH = 35  # bits of the five bytes that a length of 32 bits has at most
_PACKED_AS_THEY_LIE = frozenset({"FP32", "FP64", "BOOL"})
