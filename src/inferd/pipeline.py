"""Puts the stages together, once: models below, and what every request passes on its way to them.

admit -> router -> dispatch -> a version's cache and scheduler -> its runtime
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from inferd import memory
from inferd.calls import Call, Handler, InferRequest
from inferd.clock import monotonic_ns
from inferd.compiling.cache import default_folder
from inferd.config import Settings
from inferd.engine.dispatch import dispatch
from inferd.engine.home import Home
from inferd.engine.prepare import Preparer
from inferd.engine.queries import queries
from inferd.errors import ConfigError
from inferd.experiments import router
from inferd.gate import admit
from inferd.journal import record
from inferd.models import loader
from inferd.models.loader import Progress, quiet
from inferd.models.manager import Manager, Version
from inferd.spec import Batching, Loading, ModelSpec, QueuePolicy


class Pipeline:
    """Everything behind the dialects: a table of handlers by kind of call, and the lookup that
    decoders need."""

    def __init__(self, settings: Settings, cores: int, workers: int = 1) -> None:
        """For one of so many *workers*, which has *cores* for itself."""
        self.home = Home(settings.model_threads)
        self.manager = Manager(settings.default_model)
        self._settings, self._workers = settings, workers
        self._preparer = Preparer(
            self.home, record.off, monotonic_ns, settings.inline_limit_microseconds, cores
        )
        self.handlers: dict[type[Call], Handler] = {
            InferRequest: admit.off(router.off(dispatch)),
            **queries(self.manager),
        }

    def load(
        self, paths: Sequence[Path], name: str | None = None, progress: Progress = quiet
    ) -> None:
        """Find, load, warm and publish every model at *paths*, and tell *progress* what is being
        done. Blocks; raises LoadError or ConfigError."""
        specs = self.find(paths, name)
        self._check_default(specs)
        self.load_found(specs, progress)

    def load_found(self, specs: Sequence[ModelSpec], progress: Progress = quiet) -> None:
        """Load, warm and publish each of *specs*. Blocks; raises LoadError."""
        for spec in specs:
            version = self.manager.begin(spec)
            self.prepare(version, progress)
            self.manager.publish(version)

    def find(self, paths: Sequence[Path], name: str | None = None) -> list[ModelSpec]:
        """Every version of every model at *paths*, as the settings want it served. Opens none;
        raises LoadError or ConfigError."""
        settings = self._settings
        batching = _batching(settings)
        # So many for the server: each worker starts its part.
        processes = -(-settings.native_processes // self._workers)
        loading = Loading(settings.compile, processes, settings.cache_dir)
        trusted = loader.trust(settings.trust_pickle, settings.trusted_types)
        shared = shared_folder(settings.cache_dir) if self._workers > 1 else None
        replace = msgspec.structs.replace
        return [
            replace(
                spec,
                artifact=replace(spec.artifact, shared=shared),
                batching=batching,
                loading=loading,
            )
            for spec in loader.find(paths, name, trusted)
        ]

    def prepare(self, version: Version, progress: Progress = quiet) -> None:
        """Open, warm and measure what *version* is made from, so that it can be published.

        Blocks, in any thread; nothing that callers see changes. Raises LoadError.
        """
        self._preparer.prepare(version, loader.open_runtime(version.spec, progress))
        memory.trim()

    def close(self) -> None:
        """Let go of every model and thread. Requests in progress are the lanes' to wait for."""
        self.manager.close()
        self.home.close()

    def _check_default(self, specs: Sequence[ModelSpec]) -> None:
        names = sorted({spec.name for spec in specs})
        chosen = self._settings.default_model
        if chosen and chosen not in names:
            raise ConfigError(
                "--default-model is no model served", got=repr(chosen), expected=" or ".join(names)
            )


def shared_folder(cache_dir: str) -> Path | None:
    """Where the setting ``cache_dir`` lets workers keep what they share in memory."""
    if cache_dir == "none":
        return None
    return (Path(cache_dir) if cache_dir else default_folder(os.environ)) / "mapped"


def _batching(settings: Settings) -> Batching:
    sizes = settings.preferred_batch_size.split(",") if settings.preferred_batch_size else []
    return Batching(
        max_batch_size=settings.max_batch_size,
        max_queue_delay_microseconds=settings.max_queue_delay_microseconds,
        preferred_batch_size=tuple(int(size) for size in sizes),
        preserve_ordering=settings.preserve_ordering,
        priority_levels=settings.priority_levels,
        default_priority_level=settings.default_priority_level,
        queue=QueuePolicy(
            settings.queue_timeout_microseconds,
            settings.timeout_action,
            max_queue_size=settings.max_queue_size,
        ),
        queue_target_ms=settings.queue_target_milliseconds,
    )
