"""Examples in JSON: features by name, each a value or a list of values of one kind.
(json_tensor.cc, MakeExampleFromJsonObject)"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from inferd.errors import InvalidInput
from inferd.protocols.tfserving.json_tensors import B64, b64_text, is_b64, kind_of
from inferd.protocols.tfserving.signatures import ExamplesPlan
from inferd.wire.json_tfserving import dump

Example: TypeAlias = dict[str, list[Any]]
"""The values of each feature."""

NOTHING: Example = {}
LARGEST = (1 << 63) - 1
MOST_SHARED = 1 << 20
"""Values that a context may stand for, and eight bytes of text are as one: an Example that has none
of its own takes two bytes."""
_FLOAT, _INT64, _BYTES = "float", "int64", "bytes"
_PLAIN: dict[type, str] = {float: _FLOAT, int: _INT64, bool: _INT64, str: _BYTES}


def read_example(value: Any) -> Example:
    """The Example that *value* means. Raises InvalidInput."""
    if type(value) is not dict:
        raise InvalidInput(f"Example must be JSON object but got JSON {kind_of(value)}")
    return {
        name: _feature(name, each if type(each) is list else [each]) for name, each in value.items()
    }


def rows_of(
    examples: Sequence[Example], plan: ExamplesPlan, first: int, shared: Example = NOTHING
) -> list[list[Any]]:
    """The rows of features that *examples*, counted from *first*, hold; what one lacks is that
    which is *shared*. Raises InvalidInput."""
    if plan.whole_row:
        (name,) = plan.features
        given = shared.get(name)
        return [
            _present(example.get(name, given), name, at)
            for at, example in enumerate(examples, first)
        ]
    rows = []
    defaults = [(name, shared.get(name)) for name in plan.features]
    for at, example in enumerate(examples, first):
        row = []
        for name, given in defaults:
            values = example.get(name, given)
            if values is None or len(values) != 1:
                count = len(_present(values, name, at))
                raise InvalidInput(
                    f"Key: {_shown(name)}.  Number of values != expected in example {at}: "
                    f"{count}, expected 1"
                )
            row.append(values[0])
        rows.append(row)
    return rows


def check_shared(count: int, plan: ExamplesPlan, shared: Example) -> None:
    """Raise InvalidInput where *count* Examples would have too much of what is *shared*."""
    values = [value for name in plan.features for value in shared.get(name, ())]
    each = sum([1 + len(value) // 8 if type(value) is str else 1 for value in values])
    if count * each > MOST_SHARED:
        raise InvalidInput(
            "the context stands for too many values",
            got=f"{each} values for each of {count} Examples",
            expected=f"at most {MOST_SHARED} values",
            cure="Send fewer Examples in one request, or their features with them.",
        )


def _feature(name: str, values: list[Any]) -> list[Any]:
    """The *values* of one feature, which must all be of one kind."""
    if len(values) == 1 and type(values[0]) is float:  # the commonest
        return values
    found, kind = [], ""
    for value in values:
        its_kind = _BYTES if is_b64(value) else _PLAIN.get(type(value), "")
        if not its_kind:
            raise InvalidInput(
                f"Feature: {_shown(name)} has element with unexpected JSON type: {kind_of(value)}"
            )
        if kind and its_kind != kind:
            raise InvalidInput(
                f"Unexpected element type in feature: {_shown(name)} expecting type: {kind}"
            )
        kind = its_kind
        found.append(_value(name, value, kind))
    return found


def _value(name: str, value: Any, kind: str) -> Any:
    if kind is _BYTES:
        return b64_text(value[B64]) if type(value) is dict else value
    if kind is not _INT64:
        return value
    if value > LARGEST or value < -LARGEST - 1:
        raise InvalidInput(
            f"Feature: {_shown(name)} has uint64_t element. Only int64_t is supported."
        )
    return int(value)


def _present(values: list[Any] | None, name: str, at: int) -> list[Any]:
    if not values:
        raise InvalidInput(
            f"Name: <unknown>, Feature: {_shown(name)} is required but could not be found in "
            f"example {at}."
        )
    return values


def _shown(name: str) -> str:
    return dump(name)[1:-1]
