"""How long the caller of an ordinary HTTP request waits for its answer, as the head says.

No standard has a header for it. ``x-request-timeout-ms`` is ours, and
``x-envoy-expected-rq-timeout-ms`` is what Envoy tells the servers behind it by itself, and with it
Istio and KServe. Over gRPC there is ``grpc-timeout``.
"""

import re
from collections.abc import Mapping

from inferd.errors import InvalidInput, short

TIMEOUTS = (b"x-request-timeout-ms", b"x-envoy-expected-rq-timeout-ms")
"""Both in milliseconds from the request's arrival; where both are there, the shorter holds."""

_MILLISECONDS = re.compile(rb"[0-9]{1,12}(\.[0-9]{1,9})?")


def timeout(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds that the caller gives its request; None where it does not say. Raises
    InvalidInput."""
    told = [_seconds(name, headers[name]) for name in TIMEOUTS if name in headers]
    return min(told) if told else None


def _seconds(name: bytes, value: bytes) -> float:
    if not _MILLISECONDS.fullmatch(value):
        raise InvalidInput(
            f"the header {name.decode()!r} is wrong",
            got=repr(short(value.decode("latin-1"))),
            expected="milliseconds, as 250",
        )
    return float(value) / 1000
