"""ModelSpec: the model, version and signature that a request means, and those that answered.
(server_core.cc, ServableRequestFromModelSpec; util.cc, MakeModelSpec)"""

from typing import Any

from inferd.calls import Handle, Lookup
from inferd.errors import InvalidInput
from inferd.protocols.tfserving.texts import LARGEST_VERSION, find
from inferd.wire.proto import message

NO_SPEC = "Missing ModelSpec"
NO_NAME = "ModelSpec has no name specified."


def check_present(request: Any) -> None:
    """Raise InvalidInput where *request* has no ModelSpec."""
    if not request.HasField("model_spec"):
        raise InvalidInput(NO_SPEC)


def find_asked(lookup: Lookup, spec: Any) -> Handle:
    """The handle to run. Raises InvalidInput, ServableNotFound, UnknownLabel or NotReady."""
    name = spec.name
    if not name:
        raise InvalidInput(NO_NAME)
    choice = spec.WhichOneof("version_choice")
    if choice is None:  # mostly
        return find(lookup, name, None, None)
    if choice == "version":
        return find(lookup, name, version_of(spec), None)
    return find(lookup, name, None, spec.version_label)


def version_of(spec: Any) -> str | None:
    """The version that *spec* names by its number; 0 is one, too."""
    return str(spec.version.value) if spec.HasField("version") else None


def number_of(version: str) -> int | None:
    """A version's name as a message has it; None for one that no message can name."""
    digits = version.isascii() and version.isdigit()
    number = int(version) if digits and len(version) <= DIGITS else None
    return number if number is not None and number <= LARGEST_VERSION else None


DIGITS = 100  # leading zeros may stand before a version's number


def told(handle: Handle, signature: str | None) -> bytes:
    """The ModelSpec of an answer: never a label; no version where that is no number."""
    spec = message("tensorflow.serving.ModelSpec")(name=handle.model)
    number = number_of(handle.version)
    if number is not None:
        spec.version.value = number  # 0 is written, too
        spec.version.SetInParent()
    if signature is not None:
        spec.signature_name = signature
    found: bytes = spec.SerializeToString()
    return found
