"""Triton's settings of tracing and of the log: told as they are, and not changed from outside.

(server 2.73dev, docs/protocol/extension_trace.md, extension_logging.md)
"""

import logging
from typing import Any, NoReturn

from inferd.calls import Call, Handle, Lookup, ServerLive
from inferd.errors import InvalidInput, ModelNotFound, RequestError
from inferd.log import logger
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.schemas import TEXT, TRUTH, WHOLE, array, record
from inferd.wire.json import encode

TRACE = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "",
    "trace_mode": "triton",
}
"""Nothing is traced; the rest is what Triton says then."""


class TraceSettings(Operation):
    """``GET /v2/trace/setting``, or the same *of_model*."""

    call = ServerLive

    def __init__(self, *, strict: bool = False, of_model: bool = False) -> None:
        self._strict, self._of_model = strict, of_model

    def decode(self, message: Message, lookup: Lookup) -> Call:
        model = message.path.get("model")
        if model is not None:
            self._find(model, lookup)
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode(TRACE))

    def document(self, handle: Handle | None) -> Documentation | None:
        if self._of_model and handle is None:
            return None
        texts = dict.fromkeys(list(TRACE)[1:], TEXT)
        return Documentation("What is traced: nothing.", record(trace_level=array(TEXT), **texts))

    def _find(self, model: str, lookup: Lookup) -> None:
        try:
            lookup(model)
        except ModelNotFound as error:
            if self._strict:
                raise InvalidInput(f"Request for unknown model : {error.name}") from None
            raise


class LogSettings(Operation):
    """``GET /v2/logging``."""

    call = ServerLive

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode(log_settings()))

    def document(self, handle: Handle | None) -> Documentation:
        schema = record(
            log_file=TEXT,
            log_info=TRUTH,
            log_warning=TRUTH,
            log_error=TRUTH,
            log_verbose_level=WHOLE,
            log_format=TEXT,
        )
        return Documentation("What is logged.", schema)


def log_settings() -> dict[str, str | int | bool]:
    """What is logged."""
    return {
        "log_file": "",
        "log_info": logger.isEnabledFor(logging.INFO),
        "log_warning": logger.isEnabledFor(logging.WARNING),
        "log_error": logger.isEnabledFor(logging.ERROR),
        "log_verbose_level": int(logger.isEnabledFor(logging.DEBUG)),
        "log_format": "default",
    }


class Fixed(Operation):
    """A POST that would change settings: refused."""

    call = ServerLive

    def __init__(self, what: str, cure: str) -> None:
        self._what, self._cure = what, cure

    def decode(self, message: Message, lookup: Lookup) -> NoReturn:
        raise RequestError(f"{self._what} cannot be changed by request", cure=self._cure)

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b"{}")


NO_TRACE = Fixed("tracing", "Nothing is traced here.")
NO_LOG = Fixed("the log", "Start the server with --log-level.")
