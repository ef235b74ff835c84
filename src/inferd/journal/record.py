"""What became of each request: fed by the engine's completion hook, off the caller's path."""

from collections.abc import Callable
from typing import TypeAlias

from inferd.calls import InferRequest

Record: TypeAlias = Callable[[InferRequest, bool], None]
"""Called on the loop thread after the answer was given, with whether it failed. Must not block or
keep the arrays."""


def off(request: InferRequest, failed: bool) -> None:
    """Forget it."""
