"""What was found out about a compiled model; it travels in the ONNX file's metadata.

Three kinds, none of which claims more than was shown:

- ``exact``: every tree of the file was held against the model's, node by node; all other arithmetic
  is of the kind that IEEE 754 determines to the last bit; and all probes agreed bit for bit.
- ``agrees``: on every probe the labels were the same, and the scores within a tolerance (see
  ``compiling.judge``). Probing is evidence, no proof.
- ``native``: the library itself answers, for the reason that is given.
"""

import re
from typing import Literal

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One model's."""

    kind: Literal["exact", "agrees", "native"]
    reason: str = ""
    """Why the library itself answers, or why ``agrees`` is not ``exact``."""
    probes: int = 0
    """Rows that both forms were asked."""
    largest_difference: float = 0.0
    """Between scores, on any probe: absolute up to 1, relative beyond."""
    kinds: dict[str, int] = {}
    """The probes by kind."""
    worst: str = ""
    """The kind of the probe with the largest difference."""
    nodes_compared: int = 0
    """Nodes of trees that were read back and held against the model's."""
    estimator: str = ""
    """What was compiled, such as ``Pipeline(StandardScaler, LogisticRegression)``."""
    library: str = ""
    digest: str = ""
    """The SHA-256 of the artifact that was compiled."""
    versions: dict[str, str] = {}
    """Of the packages that took part."""

    def __str__(self) -> str:
        if self.kind == "native":
            return f"native: {self.reason}"
        if self.kind == "exact":
            return "exact"
        difference = f"{self.largest_difference:.1e}" if self.largest_difference else "0"
        return f"agrees on {self.probes:,} probes, largest difference {difference}"


def encode(verdict: Verdict) -> str:
    """*verdict* as JSON."""
    return msgspec.json.encode(verdict).decode()


def decode(text: str) -> Verdict | None:
    """The verdict in a file's metadata; None where there is none, or it is not one.

    It is the file's own word, and shown on terminals: one with control characters is none.
    """
    try:
        verdict = msgspec.json.decode(text, type=Verdict)
    except msgspec.MsgspecError:
        return None
    return None if _CONTROL.search(encode(verdict)) else verdict


_CONTROL = re.compile(r"\\(u00[01]|[bfnrt])|[\x7f-\x9f]")
"""A control character, as JSON writes it."""
