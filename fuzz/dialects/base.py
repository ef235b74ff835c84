"""What the fuzzer knows of a dialect: how its requests are made, and answers that are known."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fuzz.request import MAIN, Request


class Known(NamedTuple):
    """A request whose answer is known."""

    request: Request
    expected: Any
    """The answer's JSON document, or its bytes; None: only its status is known."""
    status: int = 200


class Dialect(NamedTuple):
    """One dialect."""

    name: str
    requests: st.SearchStrategy[Request]
    known: Sequence[Known]
    doors: tuple[str, ...] = (MAIN,)
    """The ports that speak it."""
    upgrades: bool = False
    """Whether its requests are a handshake and what follows it, each on a connection of its own."""


def post(target: str, document: Any, expected: Any, *, status: int = 200, **parts: Any) -> Known:
    """*document* sent to *target*; *parts* are further ones of the request."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Known(Request("POST", target, body=body, **parts), expected, status)


def get(target: str, expected: Any, *, status: int = 200) -> Known:
    """A question without a document."""
    return Known(Request("GET", target), expected, status)
