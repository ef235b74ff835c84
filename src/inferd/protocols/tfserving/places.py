"""What every operation on a model has to say of its URL: a model, and perhaps a version or a
label."""

from typing import ClassVar
from urllib.parse import quote

from inferd.calls import Handle, Lookup
from inferd.errors import RouteNotFound
from inferd.protocols.base import Message
from inferd.protocols.tfserving.texts import checked_version, find


class Place:
    """An operation at ``/v1/models/{model}``, with or without ``/versions/{version}`` or
    ``/labels/{label}``.

    A *strict* one knows versions that are numbers, and no others.
    """

    method: ClassVar[str]
    suffix: ClassVar[str]
    """What follows in the URL."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def find(self, message: Message, lookup: Lookup) -> Handle:
        """The handle that is asked. Raises ServableNotFound, UnknownLabel or NotReady."""
        path = message.path
        if len(path) == 1:
            return find(lookup, path["model"], None, None)
        return find(lookup, path["model"], self.version(message), path.get("label"))

    def version(self, message: Message) -> str | None:
        """The version in the URL; None where there is none. Raises InvalidInput."""
        version = message.path.get("version")
        if version is None:
            return None
        if self.strict and not (version.isascii() and version.isdigit()):
            model = quote(message.path["model"], "")
            target = f"/v1/models/{model}/versions/{quote(version, '')}{self.suffix}"
            raise RouteNotFound(self.method, target)
        return checked_version(version)
