"""A caller's own id of its request: read, and given back."""

import re
from collections.abc import Mapping


def request_id_field(fields: Mapping[bytes, bytes]) -> bytes:
    """The header that gives a caller's own id of its request back; empty where there is none, or
    one that is no id."""
    told = request_id(fields)
    return b"%b: %b\r\n" % (REQUEST_ID, told) if told else b""


def request_id(fields: Mapping[bytes, bytes]) -> bytes:
    """The caller's own id of its request; empty where there is none, or one that is no id."""
    told = fields.get(REQUEST_ID, b"")
    return told if _ID.fullmatch(told) else b""


REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[\x21-\x7e]{1,128}")  # visible, and no longer than any that tools make
