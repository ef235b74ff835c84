"""TensorFlow Serving's words for what is wrong, from our errors, whatever the transport.
(release 2.20: server_core.cc, get_model_status_impl.cc, http_rest_api_handler.cc)"""

from inferd.calls import Handle, Lookup
from inferd.errors import (
    InferdError,
    InvalidInput,
    MethodNotAllowed,
    ModelNotFound,
    QueueFull,
    RouteNotFound,
    UnknownLabel,
    short,
)

LARGEST_VERSION = (1 << 63) - 1


class ServableNotFound(ModelNotFound):
    """A model or version to run, which TensorFlow Serving tells in other words than one to tell
    about."""


def tf_text(error: InferdError) -> str:  # noqa: PLR0911 - a table
    """What TensorFlow Serving says of *error*; our own text where it has no words, or says less."""
    match error:
        case ServableNotFound(name=name, version=None):
            return f"Servable not found for request: Latest({name})"
        case ServableNotFound(name=name, version=version):
            return f"Servable not found for request: Specific({name}, {version})"
        case ModelNotFound(name=name, version=None):
            return f"Could not find any versions of model {name}"
        case ModelNotFound(name=name, version=version):
            return f"Could not find version {version} of model {name}"
        case UnknownLabel(label=label):
            return f"Unrecognized servable version label: {label}"
        case QueueFull():
            return f"The batch scheduling queue to which this task was submitted is full: {error}"
    return str(error)


def malformed_text(error: RouteNotFound | MethodNotAllowed) -> str:
    """What it says of whatever no pattern of its own matches."""
    return f"Malformed request: {error.method} {error.target}"


def find(lookup: Lookup, model: str, version: str | None, label: str | None) -> Handle:
    """The handle to run. Raises ServableNotFound, UnknownLabel or NotReady."""
    try:
        if label is not None:
            return lookup(model, None, label)
        return lookup(model, version)
    except ModelNotFound as error:
        if label is not None:  # said of a model that is unknown, too
            raise UnknownLabel(model, label, ()) from None
        raise ServableNotFound(error.name, error.version, error.known) from None


def checked_version(version: str) -> str:
    """*version*, which must be a number that TensorFlow can hold where it is a number at all."""
    number = version.isascii() and version.isdigit()
    if number and (len(version) > LONGEST or int(version) > LARGEST_VERSION):
        raise InvalidInput(f"Failed to convert version: {short(version)} to numeric.")
    return version


LONGEST = 100  # digits of a version that are looked at: leading zeros may stand before it
