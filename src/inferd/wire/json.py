"""JSON in and out: a fast codec, and a lenient one where NaN or an infinity appears, which JSON
cannot write.

Both read the same values from a document that both accept, and write documents of equal values.
``NaN``, ``Infinity`` and ``-Infinity`` are bare tokens, as in Python's own json, TensorFlow Serving
and Triton.
"""

import json
from math import isinf
from typing import Any, NoReturn, TypeVar

import msgspec
import orjson

from inferd.errors import MalformedRequest
from inferd.tensors import TOO_DEEP

T = TypeVar("T")

_U = ord("u")


def decode(document: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Read *document* as the decoder's type. Raises MalformedRequest, with the place in the
    document."""
    try:
        return decoder.decode(document)
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"the JSON does not fit: {error}") from None
    except RecursionError:
        _too_deep()
    except UnicodeDecodeError:
        raise MalformedRequest("the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        if b"NaN" in document or b"Infinity" in document:
            return _decode_lenient(document, decoder)
        raise MalformedRequest(f"the body is not JSON: {error}") from None


def encode(value: Any) -> bytes:
    """Write *value*, made of dicts, lists, strings and numbers, as JSON."""
    document = orjson.dumps(value)
    # orjson writes what JSON cannot as null, and nothing else here is null but perhaps the inside
    # of a string. Looking for a single byte first takes a fifth of the time.
    return encode_lenient(value) if _U in document and b"null" in document else document


def encode_lenient(value: Any) -> bytes:
    """Write *value* with bare NaN and Infinity tokens."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _decode_lenient(document: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        value = json.loads(document.decode("utf-8"), parse_float=_parse_float)
        json.dumps(value, ensure_ascii=False).encode(
            "utf-8"
        )  # refuses lone surrogates, as the fast codec does
        return msgspec.convert(value, decoder.type)
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"the JSON does not fit: {error}") from None
    except RecursionError:
        _too_deep()
    except ValueError as error:  # UnicodeError and JSONDecodeError are ValueErrors
        raise MalformedRequest(f"the body is not JSON: {error}") from None


def _parse_float(token: str) -> float:
    """Refuse what overflows, as the fast codec does, so that an infinity is only ever one that was
    written."""
    value = float(token)
    if isinf(value):
        raise ValueError("Number out of range")
    return value


def _too_deep() -> NoReturn:
    raise MalformedRequest(TOO_DEEP)
