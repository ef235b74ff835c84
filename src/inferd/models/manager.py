"""Holds every loaded version and hands out its handle: published when it works, retracted before it
stops."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from inferd.calls import Handler, ModelDescription, Readiness, VersionState, VersionStates
from inferd.errors import InferdError, InvalidInput, ModelNotFound, NotReady, UnknownLabel
from inferd.log import logger
from inferd.models.policy import default_version, newest_first
from inferd.models.state import State, advance
from inferd.rows import RowReader
from inferd.runtimes.base import Runtime
from inferd.signature import Checker, roles
from inferd.spec import ModelSpec
from inferd.statistics import NOTHING, Statistics
from inferd.tensors import Array

Key: TypeAlias = tuple[str, str]
"""A model's name and a version's."""

_GONE, _DRAINING = State.GONE, State.DRAINING  # looking them up takes as long as a call
_RETIRED = State.DRAINING, State.GONE


def close(runtime: Runtime) -> None:
    """Free *runtime*, and wait until that is done."""
    runtime.close()


class Version:
    """One version of a model; the Handle that requests carry."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.model, self.version = spec, spec.name, spec.version
        self.batching = spec.batching
        self.state, self.reason, self._users = State.NEW, "", 0
        self.runtime: Runtime
        self.infer: Handler
        self.example: Mapping[str, Array]
        self.feature_names: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self.streams, self.instances, self.threads = False, 1, 1
        self.successor: Version | None = None
        """What answers in its place, where it was loaded again."""
        self.dispose: Callable[[Runtime], None] = close
        """Frees the runtime, once nobody uses it any more."""
        self.statistics: Callable[[], Statistics] = lambda: NOTHING
        """What it has done so far; put in place by whoever counts."""

    def fill(self, runtime: Runtime, infer: Handler, example: Mapping[str, Array]) -> None:
        """Take what loading made."""
        self.runtime, self.infer, self.example = runtime, infer, example
        self.runtime_name, self.signature = runtime.name, runtime.signature
        self.streams = runtime.streams
        self.feature_names = runtime.feature_names()
        self.classes = runtime.classes()
        self.checker = Checker(runtime.signature)
        self.reader = RowReader(runtime.signature, self.feature_names)
        self.roles = roles(runtime.signature)
        self.role_outputs = self.roles.outputs

    def acquire(self) -> None:
        """Count one user more. Raises NotReady when the runtime is closed already."""
        if self.state is _GONE:
            raise NotReady(
                f"model {self.model!r} version {self.version!r} was unloaded meanwhile",
                cure="Send it again.",
            )
        self._users += 1

    def release(self) -> None:
        """Count one user less; the last one of a draining version closes it."""
        self._users -= 1
        if self.state is _DRAINING:
            self.close_when_unused()

    def move(self, state: State) -> None:
        """Go forward to *state*."""
        self.state = advance(self.state, state)

    def close_when_unused(self) -> None:
        """Close the runtime of a draining version that nobody uses, and forget it: what is gone
        holds no memory."""
        if self.state is State.DRAINING and not self._users:
            self.state = advance(self.state, State.GONE)
            runtime = self.runtime
            del self.runtime, self.infer
            self.dispose(runtime)


class Manager:
    """All versions of all models. Changes are for the loop thread; ``lookup`` may be asked from
    any."""

    def __init__(self, default_model: str = "") -> None:
        self._default_model = default_model
        self.stopping = False
        """Whether the server is about to stop: it still answers, and says that it is not ready."""
        self._versions: dict[str, dict[str, Version]] = {}
        self._answering: dict[tuple[str | None, str | None], Version] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._retired: list[Version] = []
        self._done: dict[Key, Statistics] = {}
        """What those did that are gone."""
        self.dispose: Callable[[Runtime], None] = close
        """Frees the runtimes of retired versions; for whoever must not wait for that."""

    def stage(self, spec: ModelSpec) -> Version:
        """Take up a version that nobody sees before it is published. Any thread may."""
        version = Version(spec)
        version.move(State.LOADING)
        return version

    def begin(self, spec: ModelSpec) -> Version:
        """Take up a version that will be loaded, and without which the server is not ready."""
        version = self.stage(spec)
        self._place(version)
        return version

    def publish(self, version: Version) -> None:
        """Hand *version* out from now on, instead of the one that has its name and number; it must
        have been filled."""
        replaced = self._place(version)
        version.move(State.READY)
        self._answering = self._table()
        if replaced and replaced.state is State.READY:
            replaced.successor = version
            replaced.move(State.DRAINING)
            self._drain(replaced)

    def discard(self, version: Version) -> None:
        """Free a version that was filled and will not be published."""
        self.dispose(version.runtime)

    def give_up(self, version: Version, error: InferdError) -> None:
        """Keep the reason why *version* could not be loaded, and log it: it is the operator's, and
        may name paths."""
        version.reason = str(error)
        logger.error("model %s version %s failed: %s", version.model, version.version, error)
        version.move(State.FAILED)

    def retire(self, version: Version) -> None:
        """Hand *version* out no more, and close it when its last request is answered. Labels that
        stood for it are forgotten."""
        version.move(State.DRAINING)
        labels = self._labels.get(version.model, {})
        left = {label: number for label, number in labels.items() if number != version.version}
        self._labels = {**self._labels, version.model: left}
        self._answering = self._table()
        self._drain(version)

    def close(self) -> None:
        """Retire everything, and wait until it is freed."""
        self.dispose = close
        for version in self.versions():
            if version.state is State.READY:
                self.retire(version)

    def label(self, model: str, label: str, version: str) -> None:
        """Let *label* stand for *version* from now on. Raises as ``lookup`` does: a label is for a
        version that can answer."""
        self.lookup(model, version)
        self._labels = {**self._labels, model: {**self._labels.get(model, {}), label: version}}

    def lookup(
        self, model: str | None, version: str | None = None, label: str | None = None
    ) -> Version:
        """The handle of a model and version; see ``calls.Lookup``."""
        if label is not None and version is None:
            version = self._labelled(model or self._default_model, label)
        found = self._answering.get((model, version))
        return found if found is not None else self._explain(model, version)

    def statistics(self) -> dict[Key, Statistics]:
        """What each version has done since the start, with those in whose place it came."""
        for version in [each for each in self._retired if each.state is State.GONE]:
            self._retired.remove(version)
            _count(self._done, version)
        total = dict(self._done)
        for version in (*self._retired, *self.answering()):
            _count(total, version)
        return total

    def answering(self, model: str | None = None, version: str | None = None) -> list[Version]:
        """Every version that is ready; those of *model*, or that one, where they are named."""
        return [
            each
            for each in self.versions()
            if each.state is State.READY
            and model in (None, each.model)
            and version in (None, each.version)
        ]

    def versions(self) -> list[Version]:
        """Every version ever taken up; of those with one name and number the last."""
        return [version for versions in self._versions.values() for version in versions.values()]

    def ready(self) -> list[Version]:
        """The version of each model that answers when none is named, by model name."""
        return [
            v
            for (name, number), v in sorted(self._answering.items(), key=lambda item: str(item[0]))
            if name and number is None
        ]

    def describe(self, model: str, version: str | None) -> ModelDescription:
        """One version and its ready siblings. Raises as ``lookup`` does."""
        return ModelDescription(
            self.lookup(model, version), newest_first(self._ready_numbers(model))
        )

    def states(self, model: str | None, version: str | None) -> VersionStates:
        """Where every version, or those of that name, stand. Raises ModelNotFound."""
        if model is not None and model not in self._versions:
            raise ModelNotFound(model, None, sorted(self._versions))
        names = sorted(self._versions) if model is None else [model]
        found = [
            self._versions[name][number]
            for name in names
            for number in newest_first(self._versions[name])
            if version is None or number == version
        ]
        if model is not None and version is not None and not found:
            raise ModelNotFound(model, version, newest_first(self._versions[model]))
        return VersionStates(
            tuple(VersionState(v.model, v.version, v.state.value, v.reason) for v in found)
        )

    def readiness(self) -> Readiness:
        """Whether every version that should answer does."""
        if self.stopping:
            return Readiness(False, ("the server is stopping",))
        reasons = tuple(
            f"model {v.model!r} version {v.version!r} is {v.state.value}"
            + (": the server's log says why" if v.reason else "")
            for v in self.versions()
            if v.state not in (State.READY, *_RETIRED)
        )
        if not reasons and not self._answering:
            reasons = ("no model is loaded",)
        return Readiness(not reasons, reasons)

    def _place(self, version: Version) -> Version | None:
        """Put *version* where it belongs, in tables of which readers in other threads may have the
        old ones; what was there before, if that was another one."""
        versions = self._versions.get(version.model, {})
        replaced = versions.get(version.version)
        placed = {**versions, version.version: version}
        self._versions = {**self._versions, version.model: placed}
        return replaced if replaced is not version else None

    def _drain(self, version: Version) -> None:
        """Close *version*, which is handed out no more, as soon as nobody uses it."""
        version.dispose = self.dispose
        self._retired.append(version)
        version.close_when_unused()

    def _served(self) -> list[str]:
        """The models that answer, or that should."""
        return [
            name
            for name, versions in self._versions.items()
            if any(v.state not in _RETIRED for v in versions.values())
        ]

    def _labelled(self, model: str, label: str) -> str:
        labels = self._labels.get(model, {})
        if label not in labels:
            raise UnknownLabel(model, label, sorted(labels))
        return labels[label]

    def _ready_numbers(self, model: str) -> list[str]:
        return [
            number for number, v in self._versions.get(model, {}).items() if v.state is State.READY
        ]

    def _table(self) -> dict[tuple[str | None, str | None], Version]:
        """Every question that has an answer; made anew and put in place whole, so that readers need
        no lock."""
        table: dict[tuple[str | None, str | None], Version] = {}
        for name, versions in self._versions.items():
            ready = {number: v for number, v in versions.items() if v.state is State.READY}
            table |= {(name, number): v for number, v in ready.items()}
            newest = default_version(ready)
            if newest is not None:
                table[name, None] = ready[newest]
        served = self._served()
        chosen = self._default_model or (served[0] if len(served) == 1 else None)
        if (chosen, None) in table:
            table[None, None] = table[chosen, None]
        return table

    def _explain(self, model: str | None, version: str | None) -> Version:
        """Raise the reason why nothing answers to this name."""
        served = self._served()
        if not self._versions or (model is None and not served):
            raise NotReady("no model is loaded")
        if model is None and not self._default_model and len(served) != 1:
            raise InvalidInput(
                "several models are served, and the request names none",
                expected="one of " + ", ".join(map(repr, sorted(served))),
                cure="Name it in the URL, or start the server with --default-model.",
            )
        name = model or self._default_model or served[0]
        known = self._versions.get(name, {})
        versions = [number for number, v in known.items() if v.state not in _RETIRED]
        if not versions:
            raise ModelNotFound(name, None, sorted(served))
        if version is not None and version not in versions:
            raise ModelNotFound(name, version, newest_first(versions))
        raise NotReady(
            f"model {name!r}" + (f" version {version!r}" if version else "") + " is not ready"
        )


def _count(total: dict[Key, Statistics], version: Version) -> None:
    """Add what *version* did to *total*."""
    key = version.model, version.version
    total[key] = total.get(key, NOTHING) + version.statistics()
