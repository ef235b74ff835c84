"""Runs a worker as this process's main business: on the main thread, until a signal."""

import asyncio
import gc
import signal
from collections.abc import Callable

from inferd.server.worker import Worker, new_loop

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; what systemd, Docker and Kubernetes send


def run_until_signal(worker: Worker, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, then drain. A second signal cuts the draining short."""

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
