"""The parameters of a request and of its outputs, whose kinds are told on the wire."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from inferd.errors import InvalidInput, short
from inferd.protocols.oip.request import OutputParameters

EMPTY_FINAL = "triton_enable_empty_final_response"
REGION = "shared_memory_region"

_BOOL, _INT, _TEXT, _UINT = "bool_param", "int64_param", "string_param", "uint64_param"


class Rule(NamedTuple):
    """The kinds that a parameter may have, and how Triton names them."""

    kinds: frozenset[str]
    expected: str


_RESERVED: Mapping[str, Rule] = {
    "sequence_id": Rule(frozenset({_INT, _TEXT}), "int64_param or string_param."),
    "sequence_start": Rule(frozenset({_BOOL}), "bool_param."),
    "sequence_end": Rule(frozenset({_BOOL}), "bool_param."),
    "priority": Rule(frozenset({_INT, _UINT}), "int64_param or uint64_param."),
    "timeout": Rule(frozenset({_INT}), "int64_param."),
    EMPTY_FINAL: Rule(frozenset({_BOOL}), "bool_param."),
}
_FREE = Rule(
    frozenset({_INT, _BOOL, _TEXT, "double_param"}), "int64_param, bool_param, or string_param."
)
_CLASSES = Rule(frozenset({_INT}), "int64_param")
_NATURAL = frozenset({"priority", "timeout"})


def read_parameters(sent: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """The parameters of a request, each of a kind that its name may have. Raises InvalidInput.

    Where not *strict*, an integer may come without a sign, too.
    """
    return {name: _read(name, sent[name], strict=strict) for name in sent}


def read_output(sent: Mapping[str, Any], *, strict: bool) -> OutputParameters | None:
    """In which form an output is wanted; None where nothing is said."""
    if not sent:
        return None
    told = OutputParameters()
    if REGION in sent:
        told.shared_memory_region = sent[REGION].string_param
    if "classification" in sent:
        count = _value("classification", sent["classification"], _CLASSES, strict=strict)
        if count <= 0:
            raise InvalidInput("invalid value for 'classification' parameter, expected >= 0")
        told.classification = count
    return told


def _read(name: str, parameter: Any, *, strict: bool) -> Any:
    rule = _RESERVED.get(name)
    if rule is None and name.startswith("triton_"):
        raise InvalidInput(
            "parameter keys starting with 'triton_' are reserved for Triton usage. Only the "
            f"following keys starting with 'triton_' are allowed: {EMPTY_FINAL}"
        )
    value = _value(name, parameter, rule or _FREE, strict=strict)
    if name in _NATURAL and value < 0:
        raise InvalidInput(f"invalid value for '{name}', expected value >= 0.")
    return value


def _value(name: str, parameter: Any, rule: Rule, *, strict: bool) -> Any:
    kind = parameter.WhichOneof("parameter_choice")
    wider = not strict and kind == _UINT and _INT in rule.kinds
    if kind not in rule.kinds and not wider:
        raise InvalidInput(
            f"invalid value type for '{short(name)}' parameter, expected {rule.expected}"
        )
    return getattr(parameter, kind)
