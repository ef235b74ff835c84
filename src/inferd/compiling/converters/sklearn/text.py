"""Text and dictionaries as features: refused, with the reason.

A vectorizer lower-cases and splits by Python's tables of Unicode (``\\w`` alone knows over 130,000
characters, and some letters become two when lower-cased). ONNX's text operators know neither, so a
document outside ASCII would get other counts than the library's.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from inferd.compiling.converters.base import CannotConvert, Context, Frame


def _refused(reason: str) -> Callable[[Context, Any, Frame, str], NoReturn]:
    def emit(context: Context, model: Any, frame: Frame, method: str) -> NoReturn:
        raise CannotConvert(f"{type(model).__name__} {reason}")

    return emit


_words = _refused("splits text by Unicode's rules, which ONNX does not know")
_hashes = _refused("hashes names")

EMITTERS = {
    "CountVectorizer": _words,
    "DictVectorizer": _refused("reads dictionaries"),
    "FeatureHasher": _hashes,
    "HashingVectorizer": _words,
    "TfidfVectorizer": _words,
}
