"""JSON as TensorFlow Serving reads and writes it: what RapidJSON takes beyond the standard, and
floating-point numbers in its digits. (json_tensor.cc)"""

import base64
import json
import re
from collections.abc import Iterable
from json.decoder import JSONDecodeError
from math import isinf
from struct import Struct
from typing import Any, TypeVar

import msgspec
import numpy as np
import orjson

from inferd.errors import MalformedRequest
from inferd.tensors import Array, json_values

T = TypeVar("T")

EXACT = 64
"""Values of one array that are written in TensorFlow Serving's own digits, at 0.4 microseconds a
value. Larger arrays have the fewest digits that tell the number apart in its own precision."""
SLICE = 1 << 14  # elements written in one step


def decode(document: bytes, decoder: msgspec.json.Decoder[T], *, whole: bool = False) -> T:
    """Read *document* as the decoder's type: an object or a list, whatever its elements are.

    What follows the first whole value is ignored, unless the *whole* of it must be one; NaN, Inf,
    Infinity and their negatives are numbers. Raises MalformedRequest.
    """
    try:
        return decoder.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the first two in any order
        value = _lenient(document, whole)
    try:
        return msgspec.convert(value, decoder.type)
    except msgspec.ValidationError:
        raise MalformedRequest(f"JSON Value: {dump(value)} Is not object") from None


def _lenient(document: bytes, whole: bool) -> Any:
    """The value that *document* begins with."""
    if not document.strip():
        raise MalformedRequest("JSON Parse error: The document is empty")
    try:
        text = document.decode("utf-8-sig").lstrip(_SPACE)
        if _MAY_BE_FOREIGN.search(text):
            text = _FOREIGN.sub(_as_python, text)
        value, end = _DECODER.raw_decode(text)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    except JSONDecodeError as error:
        reason = next((told for ours, told in _REASONS.items() if error.msg.startswith(ours)), "")
        raise MalformedRequest(
            f"JSON Parse error: {reason or error.msg} at offset: {error.pos}"
        ) from None
    except RecursionError:
        raise MalformedRequest("JSON Parse error: The document is nested too deep.") from None
    except UnicodeError:
        raise MalformedRequest("JSON Parse error: The document is not UTF-8.") from None
    except ValueError as error:
        raise MalformedRequest(f"JSON Parse error: {error}") from None
    if whole and text[end:].strip(_SPACE):
        raise MalformedRequest("JSON Parse error: Invalid value.")
    return value


def _parse_float(token: str) -> float:
    value = float(token)
    if isinf(value):
        raise ValueError("Number too big to be stored in double.")
    return value


_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder(parse_float=_parse_float, strict=False)
_MAY_BE_FOREIGN = re.compile(r"Inf(?!inity)|-NaN")
_FOREIGN = re.compile(r'"(?:[^"\\]|\\.)*"?|Inf(?!inity)|-NaN', re.DOTALL)
"""What Python's reader spells otherwise; strings are matched so that nothing in them is. One that
never ends is matched, too: else it would be tried anew from each quote in it."""


def _as_python(found: re.Match[str]) -> str:
    return {"Inf": "Infinity", "-NaN": "NaN"}.get(found[0], found[0])


_REASONS = {
    "Expecting value": "Invalid value.",
    "Expecting property name": "Missing a name for object member.",
    "Expecting ':'": "Missing a colon after a name of object member.",
    "Expecting ','": "Missing a comma or } after an object member, or ] after an array element.",
    "Illegal trailing comma": "Invalid value.",
    "Unterminated string": "Missing a closing quotation mark in string.",
    "Invalid \\": "Invalid escape character in string.",
}
"""RapidJSON's words for what Python's reader found."""


def dump(value: Any) -> str:
    """*value* as a text shows it, cut off after some 256 characters."""
    try:
        shown = json.dumps(_little(value, DUMP_DEPTH), ensure_ascii=False)
    except ValueError:  # an integer of thousands of digits
        shown = "..."
    return shown if len(shown) <= DUMPED else shown[:DUMPED] + "..."


DUMPED, DUMP_DEPTH = 256, 8


def _little(value: Any, depth: int) -> Any:
    """The beginning of *value*: whatever its size, little work."""
    if isinstance(value, str):
        return value[:DUMPED]
    if isinstance(value, list):
        return [_little(each, depth - 1) for each in value[:DUMPED]] if depth else ["..."]
    if isinstance(value, dict):
        if not depth:
            return {"...": "..."}
        names = [name for name, _ in zip(value, range(DUMPED), strict=False)]
        return {name[:DUMPED]: _little(value[name], depth - 1) for name in names}
    return value


def write(array: Array, *, as_b64: bool = False) -> bytes:
    """*array* as nested JSON lists; strings as objects of base64, if *as_b64*."""
    if array.size > SLICE and array.ndim:
        step = max(1, SLICE // max(1, array[:1].size))
        parts = [_write(array[at : at + step], as_b64)[1:-1] for at in range(0, len(array), step)]
        return b"[" + b",".join(parts) + b"]"
    return _write(array, as_b64)


def write_rows(array: Array, *, as_b64: bool = False) -> list[bytes]:
    """Each element of *array*'s first axis as JSON."""
    if array.dtype.kind in "OUS" or array.ndim > 2:
        return [_write(array[at, ...], as_b64) for at in range(len(array))]
    written = write(array)
    if array.ndim == 1:
        return written[1:-1].split(b",") if array.size else []
    return [row + b"]" for row in written[1:-2].split(b"],")] if len(array) else []


def encode_text(text: str) -> bytes:
    """*text* as a JSON string."""
    return orjson.dumps(text)


def tokens(array: Array) -> list[str]:
    """The elements of an array of floating-point numbers as JSON, in row-major order.

    The shorter of six digits, where they tell the number apart in the array's own precision, and of
    nine (float32) or seventeen (float64). Never without a ``.`` or an exponent.
    """
    values = array.ravel().tolist()
    return doubles(values) if array.dtype == np.float64 else singles(values)


def singles(values: Iterable[float]) -> list[str]:
    """The texts of numbers of float32 (or less) precision, given as float64 of the same values."""
    texts = []
    for value in values:  # every step here is for each number of every answer
        text = "%g" % value  # noqa: UP031 - an f-string takes 40 % longer
        read = float(text)
        if read != value and (
            abs(read - value) > _NEAR * abs(value) + _LEAST or _unpack(_pack(read))[0] != value
        ):
            text = "%.9g" % value  # noqa: UP031 - as above
        texts.append(text if "." in text or "e" in text else _finished(text))
    return texts


def doubles(values: Iterable[float]) -> list[str]:
    """The texts of numbers of float64."""
    texts = []
    for value in values:
        text = f"{value:g}"
        if float(text) != value:
            text = f"{value:.17g}"
        texts.append(text if "." in text or "e" in text else _finished(text))
    return texts


def _write(array: Array, as_b64: bool) -> bytes:
    kind = array.dtype.kind
    if kind == "f":
        return _write_reals(array)
    if kind not in "OUS":
        return orjson.dumps(array.tolist())
    values = json_values(array)
    return orjson.dumps(_as_b64(values) if as_b64 else values)


def _as_b64(values: Any) -> Any:
    if isinstance(values, list):
        return [_as_b64(value) for value in values]
    return {"b64": base64.b64encode(values.encode()).decode()}


def _write_reals(array: Array) -> bytes:
    if (array.size > EXACT or array.dtype == np.float64) and np.isfinite(array).all():
        # Of float64 the fewest digits are the same number to every reader.
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
    return _nested(tokens(array), array.shape).encode()


def _nested(texts: list[str], shape: tuple[int, ...]) -> str:
    """*texts* as lists of *shape*."""
    for at in range(len(shape) - 1, 0, -1):
        width = shape[at]
        count = 1
        for each in shape[:at]:
            count *= each
        texts = ["[" + ",".join(texts[n * width : (n + 1) * width]) + "]" for n in range(count)]
    return "[" + ",".join(texts) + "]" if shape else texts[0]


_FLOAT32 = Struct("f")
_pack, _unpack = _FLOAT32.pack, _FLOAT32.unpack
_NEAR, _LEAST = 6e-8, 1e-45
"""More than half the distance of neighbours in float32: 2**-24 of the number, or 2**-150."""


def _finished(text: str) -> str:
    return _TOKENS.get(text) or text + ".0"


_TOKENS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""What C spells otherwise than JSON's readers."""
