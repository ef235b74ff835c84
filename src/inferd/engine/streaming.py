"""Carries a streaming model's parts from its thread to the loop, no faster than the caller reads
them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from inferd.calls import InferRequest, InferResponse, Reply
from inferd.engine.home import Home
from inferd.tensors import Array

PATIENCE_SECONDS = 1.0
"""How often a thread that waits for its reader looks whether he is there, and the loop."""


def stream(
    parts: Callable[[], Iterator[dict[str, Array]]], request: InferRequest, reply: Reply, home: Home
) -> None:
    """Give *reply* every part. Runs in a worker thread; stops between two parts when the caller
    goes away.

    After each part it waits until the reply was seen writable on the loop thread, so that at most
    one part is under way and the model makes the next only when there is room for it.
    """
    iterator = parts()
    try:
        for outputs in iterator:
            if not _deliver(outputs, request, reply, home):
                return
    finally:
        _close(iterator)


def _deliver(outputs: dict[str, Array], request: InferRequest, reply: Reply, home: Home) -> bool:
    """Give one part and wait for room; False when nobody reads any more."""
    taken = threading.Event()

    def on_loop() -> None:
        reply.part(InferResponse(request, outputs))
        if reply.writable or reply.cancelled:
            taken.set()
        else:
            reply.on_writable(taken.set)

    if not home.post(on_loop):
        return False
    while not taken.wait(PATIENCE_SECONDS):
        if home.loop.is_closed() or reply.cancelled:
            return False
    return not reply.cancelled


def _close(iterator: Any) -> None:
    """Run a generator's ``finally``; other iterators have nothing to close."""
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
