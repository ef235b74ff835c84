"""The parameters of a request: names that mean something to the server, and those for the model."""

from collections.abc import Mapping
from typing import Any

from inferd.calls import InferRequest
from inferd.errors import InvalidInput, MalformedRequest, short

NO_PARAMETERS: Mapping[str, Any] = {}
BINARY = "binary_data_output"

_UNSIGNED = "an integer from 0 to 2**64-1"
_RESERVED: Mapping[str, tuple[tuple[type, ...], str]] = {
    "sequence_id": ((int, str), _UNSIGNED + ", or a string"),
    "sequence_start": ((bool,), "true or false"),
    "sequence_end": ((bool,), "true or false"),
    "priority": ((int,), _UNSIGNED),
    "timeout": ((int,), _UNSIGNED),
    BINARY: ((bool,), "true or false"),
}
"""The names that Triton reserves, and what each may hold."""
_FREE = (str, int, float, bool)


def request_parameters(parameters: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """*parameters*, once each is known to be of a kind that its name may have.

    Raises MalformedRequest for a reserved name with another kind of value, InvalidInput for a name
    that begins with ``triton_``, or a value that is no string, number or truth.
    """
    if not parameters:
        return NO_PARAMETERS
    for name, value in parameters.items():
        if name in _RESERVED:
            kinds, expected = _RESERVED[name]
            if type(value) not in kinds or (type(value) is int and not 0 <= value < 1 << 64):
                raise MalformedRequest(f"Unable to parse '{name}'", expected=expected)
        elif name.startswith("triton_"):
            raise InvalidInput(
                "parameter keys starting with 'triton_' are reserved for Triton usage and should "
                "not be specified."
            )
        elif type(value) not in _FREE:
            raise InvalidInput(
                f"parameter '{short(name)}' has invalid type. It should be either 'int', 'bool', "
                "or 'string'."
            )
    return parameters


def take_turn(request: InferRequest) -> None:
    """Tell *request* what its (validated) parameters say of its place in the queue."""
    request.priority = request.parameters.get("priority", 0)
    request.timeout_us = request.parameters.get("timeout", 0)
