"""A server in this process, beside whatever else it does: for notebooks, scripts and tests."""

import asyncio
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inferd import config
from inferd.server.worker import Worker, new_loop


class Server:
    """A running server, in a thread with an event loop of its own. Stop it, or use it as a
    context."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inferd-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:8000``."""
        return self._worker.url

    @property
    def urls(self) -> dict[str, str]:
        """Where it answers, by listener: ``main``, and each door by the name of its setting."""
        return self._worker.urls

    def stop(self) -> None:
        """Answer what was asked, then end. Returns when that is done; a second call changes
        nothing."""
        if self._thread.is_alive():
            self._worker.pipeline.home.post(self._worker.stop)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "serving" if self._thread.is_alive() else "stopped"
        models = ", ".join(v.model for v in self._worker.manager.versions())
        return f"<inferd server {state} {models} on {self.url}>"

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(self._worker.serve(self._ready.set))
        except BaseException as error:  # noqa: BLE001 - raised again where the start is awaited
            self._failure = error
        finally:
            self._ready.set()


def serve(*paths: str | os.PathLike[str], name: str | None = None, **settings: Any) -> Server:
    """Serve the models at *paths* from this process, and return when they answer.

    *settings* are those of ``docs/settings.md``; a port of 0, the default here, takes any free one.
    Works under a running event loop, too. Raises LoadError or ConfigError.

        with inferd.serve("iris.onnx") as server:
            requests.post(server.url + "/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
    """
    worker = Worker(
        [Path(path) for path in paths], config.resolve({"port": 0, **settings}, {}, {}), name
    )
    worker.prepare()
    return Server(worker)
