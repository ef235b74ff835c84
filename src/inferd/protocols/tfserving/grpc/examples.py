"""Input: Examples, and what a context says for all of them, as the rows that a model takes.
(input.proto, example.proto; util.cc, InputToSerializedExampleTensor)"""

from typing import Any

from inferd.calls import Handle
from inferd.errors import InvalidInput, short
from inferd.protocols.tfserving.examples import NOTHING, Example, check_shared, rows_of
from inferd.protocols.tfserving.signatures import ExamplesPlan
from inferd.tensors import Array

EMPTY = "Input is empty."


def read_input(sent: Any, plan: ExamplesPlan, handle: Handle) -> tuple[dict[str, Array], int]:
    """The model's inputs that *sent* means, and the number of rows. Raises InvalidInput."""
    kind = sent.WhichOneof("kind")
    found = getattr(sent, kind).examples if kind is not None else ()
    if not len(found):
        raise InvalidInput(EMPTY)
    shared = _features(sent.example_list_with_context.context) if kind == WITH_CONTEXT else NOTHING
    check_shared(len(found), plan, shared)
    # As TensorFlow Serving puts the bytes of an Example after those of the context, of a feature
    # that both have the Example's own value counts.
    rows = rows_of([_features(example) for example in found], plan, 0, shared)
    return handle.reader.many(rows), len(rows)


WITH_CONTEXT = "example_list_with_context"


def _features(example: Any) -> Example:
    return {name: _values(name, feature) for name, feature in example.features.feature.items()}


def _values(name: str, feature: Any) -> list[Any]:
    """The values of one feature; none where its kind is not told."""
    kind = feature.WhichOneof("kind")
    if kind is None:
        return []
    values = list(getattr(feature, kind).value)
    if kind != "bytes_list":
        return values
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise InvalidInput(
            f"Feature: {short(name)} is not text",
            expected="UTF-8: models take strings of text only",
        ) from None
