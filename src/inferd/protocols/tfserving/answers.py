"""Outputs to the JSON of ``predictions``, row by row, or of ``outputs``, each whole.
(json_tensor.cc, MakeJsonFromTensors)"""

from collections.abc import Callable
from typing import Any

from inferd.calls import Handle
from inferd.errors import InvalidInput
from inferd.protocols.base import PerHandle
from inferd.signature import TensorSpec
from inferd.tensors import Array
from inferd.wire.json_tfserving import EXACT, encode_text, singles, write, write_rows

BYTES = "_bytes"
"""How the names of string outputs end that hold bytes."""


def rows(outputs: dict[str, Array]) -> bytes:
    """The row form: the elements of the outputs' first axes, side by side. Raises InvalidInput."""
    count = -1
    for name, array in outputs.items():
        if not array.ndim:
            raise InvalidInput(f"Tensor name: {name} has no shape information ")
        if count >= 0 and len(array) != count:
            raise InvalidInput(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {count}"
            )
        count = len(array)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return b'{"predictions":' + write(array, as_b64=name.endswith(BYTES)) + b"}"
    written = [write_rows(array, as_b64=name.endswith(BYTES)) for name, array in outputs.items()]
    form = b"{" + b",".join(_key(name).replace(b"%", b"%%") + b"%b" for name in outputs) + b"}"
    listed = [form % row for row in zip(*written, strict=True)]
    return b'{"predictions":[' + b",".join(listed) + b"]}"


def columns(outputs: dict[str, Array]) -> bytes:
    """The column form: every output whole."""
    written = {name: write(array, as_b64=name.endswith(BYTES)) for name, array in outputs.items()}
    if len(written) == 1:
        return b'{"outputs":' + next(iter(written.values())) + b"}"
    members = [_key(name) + text for name, text in written.items()]
    return b'{"outputs":{' + b",".join(members) + b"}}"


def _key(name: str) -> bytes:
    return encode_text(name) + b":"


class OneRow:
    """Writes what ``rows`` does, of one row, which is what most requests ask for: a third of the
    time."""

    def __init__(self, handle: Handle) -> None:
        outputs = handle.signature.outputs
        self._writers = [_writer(spec) for spec in outputs]
        self.fits = handle.signature.batch_axis == 0 and None not in self._writers
        """Whether the model's outputs are such as it knows to write."""
        keys = [_key(spec.name).decode().replace("%", "%%") + "%s" for spec in outputs]
        row = "{" + ",".join(keys) + "}" if len(keys) > 1 else "%s"
        self._form = '{"predictions":[' + row + "]}"

    def write(self, outputs: dict[str, Array]) -> bytes:
        """The answer with *outputs*, all of the model's, of one row."""
        texts = [
            writer(array.tolist()[0])  # type: ignore[misc]  # where it fits, none is None
            for writer, array in zip(self._writers, outputs.values(), strict=True)
        ]
        return (self._form % tuple(texts)).encode()


one_row = PerHandle(OneRow)


def _writer(spec: TensorSpec) -> Callable[[Any], str] | None:
    """What writes one row of the output *spec*; None where that is nothing simple."""
    inner = spec.shape[1:]
    if spec.datatype == "FP32":
        if not inner:
            return _one_real
        return _reals if len(inner) == 1 and 0 <= inner[0] <= EXACT else None
    return str if spec.type.numpy.kind in "iu" and not inner else None


def _one_real(value: float) -> str:
    return singles((value,))[0]


def _reals(values: list[float]) -> str:
    return "[" + ",".join(singles(values)) + "]"
