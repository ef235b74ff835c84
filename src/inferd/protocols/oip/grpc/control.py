"""The methods that would change the server, which are refused, and those that ask about what is not
offered: nothing is traced, no memory is shared. Each says what REST says."""

from collections.abc import Iterator, Mapping
from typing import Any

from inferd.calls import Call, Lookup, ModelStates, ServerLive
from inferd.protocols.base import Message, Method, Operation
from inferd.protocols.oip.grpc.questions import ask, refuse_repository
from inferd.protocols.oip.repository import Control
from inferd.protocols.oip.settings import NO_LOG, NO_TRACE, TRACE, TraceSettings, log_settings
from inferd.protocols.oip.shared_memory import Register, Status
from inferd.wire import proto


def controls(*, strict: bool) -> Iterator[tuple[str, Method]]:
    """Each method by its name; where *strict*, as Triton understands it."""
    for name in ("RepositoryModelLoad", "RepositoryModelUnload"):
        yield ask(name, ModelStates, _control, _nothing)
    for kind in ("System", "Cuda"):
        yield from _shared_memory(kind)
    yield from _settings(strict=strict)


def _control(sent: Any, lookup: Lookup) -> Call:
    refuse_repository(sent)
    return Control().decode(Message(b"", {}), lookup)


def _nothing(*_: Any) -> Mapping[str, Any]:
    return {}


def _shared_memory(kind: str) -> Iterator[tuple[str, Method]]:
    def status(sent: Any, lookup: Lookup) -> Call:
        path = {"region": sent.name} if sent.name else {}
        return Status(kind.lower()).decode(Message(b"", path), lookup)

    def register(_: Any, lookup: Lookup) -> Call:
        return Register().decode(Message(b"", {}), lookup)

    name = f"{kind}SharedMemory"
    yield ask(f"{name}Status", ServerLive, status, _nothing)
    yield ask(f"{name}Register", ServerLive, register, _nothing)
    # A region that is not there is no error, as over REST.
    yield ask(f"{name}Unregister", ServerLive, lambda *_: ServerLive(), _nothing)


def _settings(*, strict: bool) -> Iterator[tuple[str, Method]]:
    of_trace = TraceSettings(strict=strict, of_model=True)

    def trace(sent: Any, lookup: Lookup) -> Call:
        path = {"model": sent.model_name} if sent.model_name else {}
        asked: Operation = NO_TRACE if sent.settings else of_trace
        return asked.decode(Message(b"", path), lookup)

    def log(sent: Any, lookup: Lookup) -> Call:
        return NO_LOG.decode(Message(b"", {}), lookup) if sent.settings else ServerLive()

    yield ask("TraceSetting", ServerLive, trace, _trace)
    yield ask("LogSettings", ServerLive, log, _log)


def _trace(*_: Any) -> Mapping[str, Any]:
    setting = proto.message("inference.TraceSettingResponse.SettingValue")
    values = {name: [told] if isinstance(told, str) else told for name, told in TRACE.items()}
    return {"settings": {name: setting(value=value) for name, value in values.items()}}


def _log(*_: Any) -> Mapping[str, Any]:
    setting = proto.message("inference.LogSettingsResponse.SettingValue")
    told = {name: {_KINDS[type(value)]: value} for name, value in log_settings().items()}
    return {"settings": {name: setting(**fields) for name, fields in told.items()}}


_KINDS: Mapping[type, str] = {bool: "bool_param", int: "uint32_param", str: "string_param"}
