"""Runs a worker as this process's main business: on the main thread, until a signal."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from inferd.server.worker import Worker, new_loop

HAS_WORKERS = sys.platform == "linux"
"""Whether there can be several: elsewhere the system does not spread the connections to one address
over several sockets, or cannot fork."""

FAREWELL_SECONDS = 1.0
"""How long a client may take, after the end began, to send what it cannot know is late."""

STANDARD_ERROR = 2

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; what systemd, Docker and Kubernetes send


def raise_file_limit() -> None:
    """Let this process open as many files, and so connections, as it may."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says "no limit", and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def hold_standard_streams() -> None:
    """Lead those that are closed to nowhere: a socket that got the number of one would get what
    libraries print, too."""
    while (held := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(held, True)
    os.close(held)
    for name, number in (("stdout", 1), ("stderr", STANDARD_ERROR)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115 - for good


def run_until_signal(worker: Worker, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, then drain. A second signal cuts the draining short."""
    worker.farewell_seconds = FAREWELL_SECONDS

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        # What is there by then stays: without this every full collection walks through all of it,
        # a pause of a tenth of a second for whoever is being answered.
        task = asyncio.ensure_future(worker.serve(ready, settled=gc.freeze))

        def stop() -> None:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
                loop.add_signal_handler(number, worker.hurry)
            worker.stop()

        for number in SIGNALS:
            loop.add_signal_handler(number, stop)
        await task

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())
