"""The classification extension: of each row the greatest elements, as texts ``value:index`` or
``value:index:label``."""

from collections.abc import Collection, Mapping, Sequence
from math import prod

import numpy as np

from inferd.errors import InvalidInput
from inferd.tensors import Array

MOST_ELEMENTS = 1_000_000  # of a row, as in Triton: all of them are sorted
CLASSIFIED = frozenset(
    "UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64".split()  # noqa: SIM905 - legible
)


def check_classified(names: Collection[str], datatypes: Mapping[str, str]) -> None:
    """Raise InvalidInput unless each of *names* is an output of numbers."""
    for name in names:
        if datatypes[name] not in CLASSIFIED:
            raise InvalidInput(
                f"class result not available for output due to unsupported type '{datatypes[name]}'"
            )


def classify(array: Array, count: int, labels: Sequence[str], *, batched: bool) -> Array:
    """The *count* greatest elements of *array*, or, where it is *batched*, of each of its rows; the
    greatest first, and among equal ones the first. NaN is less than any number.

    *labels* are the names of the elements of a row, as far as they are known.
    """
    rows, elements = (len(array), prod(array.shape[1:])) if batched else (1, array.size)
    if elements > MOST_ELEMENTS:
        raise InvalidInput(
            "classification output tensor too large",
            got=f"{elements} elements",
            expected=f"at most {MOST_ELEMENTS}",
        )
    values = array.reshape(rows, elements)
    best = _greatest(values, count)
    scores = np.take_along_axis(values, best, axis=1)
    texts = np.empty(best.size, np.object_)
    for at, (score, index) in enumerate(
        zip(scores.ravel().tolist(), best.ravel().tolist(), strict=True)
    ):
        text = f"{score:.6f}:{index}" if isinstance(score, float) else f"{score}:{index}"
        texts[at] = f"{text}:{labels[index]}" if index < len(labels) else text
    return texts.reshape(best.shape if batched else best.size)


def _greatest(values: Array, count: int) -> Array:
    """The positions in each row of its *count* greatest elements."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -np.inf, values)
    # Backwards, so that among equal elements the first is the last when the order is turned.
    order = np.argsort(values[:, ::-1], axis=1, kind="stable")[:, ::-1][:, :count]
    positions: Array = values.shape[1] - 1 - order
    return positions
