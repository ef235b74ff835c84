"""Puts the stages together, once: models below, and what every request passes on its way to them.

admit -> router -> dispatch -> a version's cache and scheduler -> its runtime
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from inferd.calls import Call, Handler, InferRequest
from inferd.clock import monotonic_ns
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
from inferd.models.manager import Manager
from inferd.spec import Batching, Loading, ModelSpec


class Pipeline:
    """Everything behind the dialects: a table of handlers by kind of call, and the lookup that
    decoders need."""

    def __init__(self, settings: Settings, cores: int) -> None:
        self.home = Home(settings.model_threads)
        self.manager = Manager(settings.default_model)
        self._settings = settings
        self._preparer = Preparer(
            self.home, record.off, monotonic_ns, settings.inline_limit_microseconds, instances=cores
        )
        self.handlers: Mapping[type[Call], Handler] = {
            InferRequest: admit.off(router.off(dispatch)),
            **queries(self.manager),
        }

    def load(
        self, paths: Sequence[Path], name: str | None = None, progress: Progress = quiet
    ) -> None:
        """Find, load, warm and publish every model at *paths*, and tell *progress* what is being
        done. Blocks; raises LoadError or ConfigError."""
        settings = self._settings
        batching = Batching(
            settings.max_batch_size,
            settings.max_queue_delay_microseconds,
            settings.max_queue_size,
        )
        loading = Loading(settings.compile, settings.native_processes, settings.cache_dir)
        specs = loader.find(
            paths, name, loader.trust(settings.trust_pickle, settings.trusted_types)
        )
        self._check_default(specs)
        for found in specs:
            spec = ModelSpec(found.name, found.version, found.artifact, batching, loading)
            version = self.manager.begin(spec)
            self._preparer.prepare(version, loader.open_runtime(spec, progress))
            self.manager.publish(version)

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


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
