"""The index of the model repository. Loading and unloading are refused, as by a Triton whose model
control is off. (server 2.73dev, docs/protocol/extension_model_repository.md)"""

from typing import Any, NoReturn

import msgspec

from inferd.calls import Call, Handle, Lookup, ModelStates, VersionState, VersionStates
from inferd.errors import Refused, Unsupported
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.schemas import NOTHING, TEXT, TRUTH, array
from inferd.wire.json import decode, encode

STATES = {
    "new": ("LOADING", ""),
    "loading": ("LOADING", ""),
    "ready": ("READY", ""),
    "draining": ("UNLOADING", ""),
    "gone": ("UNAVAILABLE", "unloaded"),
    # Why is the operator's to read: such a reason may name paths.
    "failed": ("UNAVAILABLE", "it could not be loaded; the server's log says why"),
}
"""Triton's state and reason for each of ours."""


class Wish(msgspec.Struct):
    """The body of a request for the index."""

    ready: bool = False


_WISH = msgspec.json.Decoder(Wish)


class Listed(ModelStates, eq=False):
    """All versions, or only the ready ones."""

    ready: bool = False


class Index(Operation):
    """``POST /v2/repository/index``, with or without the name of a repository, which is ignored."""

    call = ModelStates

    def decode(self, message: Message, lookup: Lookup) -> Call:
        wish = decode(message.body, _WISH) if message.body else Wish()
        return Listed(ready=wish.ready)

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode(index(response, ready=call.ready)))  # type: ignore[attr-defined]  # decode makes nothing else

    def document(self, handle: Handle | None) -> Documentation:
        entry = {
            "type": "object",
            "properties": {"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT},
            "required": ["name"],
        }
        wish = {"type": "object", "properties": {"ready": TRUTH}}
        return Documentation(
            "Every model and the state of its versions.",
            array(entry),
            request=wish,
            example={"ready": True},
            optional=True,
        )


class Control(Operation):
    """``POST /v2/repository/models/{model}/load`` and ``/unload``: refused."""

    call = ModelStates

    def decode(self, message: Message, lookup: Lookup) -> NoReturn:
        if "repository" in message.path:
            raise Unsupported("'repository_name' specification is not supported")
        raise Refused("explicit model load / unload is not allowed if polling is enabled")

    def encode(self, call: Call, response: Any) -> Payload:
        return NOTHING


def index(states: VersionStates, *, ready: bool) -> list[dict[str, str]]:
    """All versions, or only the *ready* ones, each with its state."""
    told = [_told(version) for version in states.versions]
    return [each for each in told if each["state"] == "READY"] if ready else told


def _told(version: VersionState) -> dict[str, str]:
    state, reason = STATES[version.state]
    told = {"name": version.model, "version": version.version, "state": state}
    return told | {"reason": reason} if reason else told
