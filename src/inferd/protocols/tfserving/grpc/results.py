"""ClassificationResult and RegressionResult, from the one output that each tells.
(classification.proto, regression.proto)"""

from collections.abc import Sequence

import numpy as np

from inferd.protocols.tfserving.classify import class_names
from inferd.protocols.tfserving.grpc.fields import field
from inferd.protocols.tfserving.signatures import CLASSIFY, ExamplesPlan
from inferd.tensors import Array

SCORE = b"\x15"  # field 2, four bytes
VALUE = b"\x0a\x05\x0d"  # a regression of five bytes: field 1, four bytes


def result(plan: ExamplesPlan, answer: Array) -> bytes:
    """The result for *answer*, of float32: for each row classes with scores, or a value."""
    if plan.method == CLASSIFY:
        return _classifications(class_names(plan, answer.shape[1]), answer)
    return _filled(VALUE + _FOUR, np.arange(len(VALUE), len(VALUE) + 4), answer.reshape(-1, 1))


_FOUR = bytes(4)


def _classifications(labels: Sequence[str], scores: Array) -> bytes:
    """All rows are alike but for the scores, which take four bytes each."""
    if not labels:
        return field(1, b"") * len(scores)
    classes = [field(1, _class(label)) for label in labels]
    row = field(1, b"".join(classes))
    ends = np.cumsum([len(each) for each in classes]) + len(row) - sum(map(len, classes))
    places = (ends[:, np.newaxis] - 4 + np.arange(4)).ravel()
    return _filled(row, places, scores)


def _class(label: str) -> bytes:
    named = field(1, label.encode("utf-8", "replace")) if label else b""
    return named + SCORE + _FOUR


def _filled(row: bytes, places: Array, numbers: Array) -> bytes:
    """*row* once for each row of *numbers*, whose memory stands at *places* of it."""
    rows = np.empty((len(numbers), len(row)), np.uint8)
    rows[:] = np.frombuffer(row, np.uint8)
    rows[:, places] = np.ascontiguousarray(numbers).view(np.uint8)
    return rows.tobytes()
