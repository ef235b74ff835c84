"""What a worker has to load when it starts: the paths of the command line, and what was changed
since. Pure; a change that a later one undoes leaves nothing behind."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from inferd.server.link import Change, Label, Load, Unload

Key: TypeAlias = tuple[str, str]
"""A model's name and a version's."""
Keys: TypeAlias = frozenset[Key]
Scan: TypeAlias = Callable[[Load], Keys]
"""Says which versions of which models lie at a path. Raises LoadError or ConfigError."""


class Start(NamedTuple):
    """What a worker is started with."""

    paths: tuple[Path, ...]
    name: str | None
    changes: tuple[Change, ...]
    """What to make of that, in order."""


class Source(NamedTuple):
    """A path that gives some versions."""

    load: Load
    versions: Keys
    given: bool
    """Whether it stands on the command line."""


class Catalogue(msgspec.Struct, frozen=True):
    """What is served, and from where."""

    sources: tuple[Source, ...] = ()
    """In the order of loading: a later one wins over an earlier."""
    without: Keys = frozenset()
    """Versions that a source gives and that were unloaded."""
    labels: Mapping[Key, str] = {}
    """The version of each model and label."""

    @property
    def versions(self) -> dict[Key, str]:
        """Each version that is served, and the path that it came from."""
        found = {key: each.load.path for each in self.sources for key in each.versions}
        return {key: path for key, path in found.items() if key not in self.without}

    @property
    def start(self) -> Start:
        """What a worker is started with, to serve this."""
        given = [each.load for each in self.sources if each.given]
        later = [each.load for each in self.sources if not each.given]
        unloaded = [Unload(model, version) for model, version in sorted(self.without)]
        labels = [Label(model, label, to) for (model, label), to in sorted(self.labels.items())]
        name = given[0].name if len(given) == 1 else None
        paths = tuple(Path(load.path) for load in given)
        return Start(paths, name, (*later, *unloaded, *labels))

    def after(self, change: Change, versions: Keys = frozenset()) -> "Catalogue":
        """This, changed; *versions* are those that a Load gives."""
        match change:
            case Load():
                return self._loaded(Source(change, versions, given=False))
            case Unload(model, version):
                gone = {k for k in self.versions if k[0] == model and version in (None, k[1])}
                return self._unloaded(frozenset(gone))
            case Label(model, label, to):
                return msgspec.structs.replace(self, labels={**self.labels, (model, label): to})

    def scanned(self, scan: Scan) -> "Catalogue":
        """This, with what lies at its paths now. Raises as *scan* does."""
        sources = tuple(each._replace(versions=scan(each.load)) for each in self.sources)
        there = frozenset[Key]().union(*(each.versions for each in sources))
        labels = {of: to for of, to in self.labels.items() if (of[0], to) in there}
        return Catalogue(sources, self.without & there, labels)

    def _loaded(self, source: Source) -> "Catalogue":
        kept = [each for each in self.sources if not each.versions <= source.versions]
        without = self.without - source.versions
        return msgspec.structs.replace(self, sources=(*kept, source), without=without)

    def _unloaded(self, gone: Keys) -> "Catalogue":
        without = self.without | gone
        kept = [each for each in self.sources if not each.versions <= without]
        still = frozenset[Key]().union(*(each.versions for each in kept))
        labels = {
            (model, label): to
            for (model, label), to in self.labels.items()
            if (model, to) not in gone
        }
        return Catalogue(tuple(kept), without & still, labels)


def catalogue(given: Sequence[Load], scan: Scan) -> Catalogue:
    """What the command line asks for. Raises as *scan* does."""
    return Catalogue(tuple(Source(load, scan(load), given=True) for load in given))
