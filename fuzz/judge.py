"""What an answer must be, whatever was asked: its status, its coding, its document."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from fuzz import codings, frames
from fuzz.answers import Answer, Malformed
from fuzz.dialects.base import Known
from fuzz.dialects.binary import LENGTH, Tail

INSIDE = re.compile(rb"Traceback|\.py\b|site-packages|\.cc\b|the server failed on this request")
"""What no client may see: a path or a trace, or the words for a fault of the server's own."""


class Prescribed(NamedTuple):
    """A status of 500 and more that a contract asks for."""

    status: int
    doors: tuple[str, ...]
    """Where; empty: everywhere."""
    reason: str


PRESCRIBED = (
    Prescribed(
        500, ("triton",), "Triton reports JSON that is broken or of a wrong type as INTERNAL"
    ),
    Prescribed(501, (), "what a contract has and this server does not is told as UNIMPLEMENTED"),
    Prescribed(
        503,
        ("main", "triton", "kserve"),
        "load and unload where models may not be loaded by request",
    ),
)


def faults(answer: Answer, door: str, offered: str | None) -> Iterator[tuple[str, str]]:
    """What is wrong with *answer*, as kinds and details; nothing is known of what was asked.

    *offered*: the request's Accept-Encoding; None where even that is not known.
    """
    if answer.status >= 500 and not _prescribed(answer.status, door):
        yield "5xx", f"{answer.status} {answer.body[:300]!r}"
    if (found := INSIDE.search(answer.body)) and _is_json(answer):
        yield "tells the inside", f"{found[0]!r} in {answer.body[:300]!r}"
    try:
        body = plain_body(answer, offered)
        if body and answer.status != 101:
            _check_document(answer, body)
    except (Malformed, ValueError) as error:
        yield "malformed document", f"{error} in {answer.status} {answer.body[:300]!r}"


def plain_body(answer: Answer, offered: str | None) -> bytes:
    """The body without its coding, which must have been offered. Raises Malformed or ValueError."""
    coding = answer.header("content-encoding")
    if coding is None or not answer.body:
        return answer.body
    if offered is not None and coding not in offered and "*" not in offered:
        raise Malformed(f"content-encoding {coding}, which was not offered")
    return codings.decode(coding, answer.body)


def mismatch(known: Known, answer: Answer, rest: bytes = b"") -> str | None:
    """Why *answer* is not the known one; None where it is. *rest* came after it."""
    if answer.status != known.status:
        return f"got {answer.status} {answer.body[:300]!r}, expected {known.status}"
    try:
        body = plain_body(answer, known.request.offers())
        got = _told(known, answer, body, rest)
    except (Malformed, ValueError, KeyError) as error:
        return f"{error!r} in {answer.body[:300]!r}"
    if known.expected is not None and got != known.expected:
        return f"got {str(got)[:300]}, expected {str(known.expected)[:300]}"
    return None


def _told(known: Known, answer: Answer, body: bytes, rest: bytes) -> Any:
    """What *answer* says, in the form in which it is known."""
    if known.status == 101:
        return [json.loads(each.payload) for each in messages(rest)]
    if isinstance(known.expected, Tail):
        return body[int(answer.header(LENGTH) or 0) :]
    if known.expected is None or isinstance(known.expected, bytes):
        return body
    return json.loads(body)


def messages(data: bytes) -> list[frames.Frame]:
    """The messages in a server's frames, control frames aside. Raises Malformed."""
    found, end = frames.read_frames(data, 0)
    if end != len(data):
        raise Malformed(f"{len(data) - end} bytes of a frame that does not end")
    return [each for each in found if each.opcode < frames.CONTROL]


def _prescribed(status: int, door: str) -> bool:
    return any(
        each.status == status and (not each.doors or door in each.doors) for each in PRESCRIBED
    )


def _is_json(answer: Answer) -> bool:
    return (answer.header("content-type") or "").startswith("application/json")


def _check_document(answer: Answer, body: bytes) -> None:
    kind = answer.header("content-type") or ""
    length = answer.header(LENGTH)
    if length is not None:
        _check_binary(int(length), body)
    elif kind.startswith("application/json"):
        json.loads(body)
    elif kind.startswith("text/event-stream"):
        _check_events(body)


def _check_binary(length: int, body: bytes) -> None:
    """The document's sizes are those of what follows it."""
    document = json.loads(body[:length])
    sizes = [
        output["parameters"]["binary_data_size"]
        for output in document["outputs"]
        if "binary_data_size" in output.get("parameters", {})
    ]
    if length + sum(sizes) != len(body):
        raise Malformed(f"{len(body) - length} bytes after a document that tells of {sizes}")


def _check_events(body: bytes) -> None:
    if not body.endswith(b"\n\n"):
        raise Malformed("an event without its end")
    for event in body[:-2].split(b"\n\n"):
        if not event.startswith(b"data:") or b"\n" in event:
            raise Malformed(f"the event {event[:100]!r}")
        json.loads(event[5:])
